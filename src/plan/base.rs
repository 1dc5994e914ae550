//! The existing dataset that a plan appends to, as it is when the plan is made.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow::array::StringArray;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

use super::{
    Compression, Dtypes, GeneKey, IdType, IdVersions, PlannedColumn, PlannedEmbedding, Table,
    Widening,
};
use crate::survey::{Fingerprint, Scale, ValueType};

/// Properties of the dataset that are part of the plan. If any of them has changed, the plan is
/// void.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// Lance version of each table.
    pub versions: BTreeMap<String, u64>,
    /// Number of cells.
    pub cells: u64,
    /// Number of genes.
    pub genes: u64,
    /// Number of rows of the expression table.
    pub rows: u64,
    /// Whether columns may be rewritten in wider types.
    pub widening: Widening,
    /// Whether the dataset's config describes all of its contents.
    pub described: Described,
    /// Scale of the values, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What to do if another program has changed what the config describes.
    #[serde(default, skip_serializing_if = "KnownValues::are_kept")]
    pub known: KnownValues,
    /// The hash of uns.json, of a job that adds nothing: what it describes may be that alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uns: Option<String>,
}

/// What to do about recorded values that another program has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KnownValues {
    /// Require them to be unchanged.
    #[default]
    Keep,
    /// Accept them as they are now and describe them again.
    Accept,
}

impl KnownValues {
    fn are_kept(&self) -> bool {
        *self == KnownValues::Keep
    }
}

/// Whether the config of a dataset describes what is in its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Described {
    /// This program wrote the dataset last.
    Whole,
    /// Another program wrote the dataset or appended to it, so its rows must be inspected.
    Partly,
}

/// A layer, obsp or varp matrix of the dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseMatrix {
    /// Name of the matrix in the inputs.
    pub name: String,
    /// Name of its column in the dataset.
    pub written_as: String,
    /// Type of its values.
    pub value_type: ValueType,
    /// Scale of its values, if known.
    pub scale: Option<Scale>,
}

/// An input that the dataset already contains.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseSource {
    /// Path from which it was read.
    pub path: PathBuf,
    /// Name of the matrix that was read.
    pub matrix: String,
    /// What identifies the input.
    pub fingerprint: Fingerprint,
}

/// Everything a plan needs to know about the dataset; the counterpart of the survey of an input.
#[derive(Debug, Clone)]
pub struct BaseSurvey {
    /// Path of the dataset.
    pub path: PathBuf,
    /// The part that goes into the plan.
    pub base: Base,
    /// Family of types of the expression table.
    pub dtypes: Dtypes,
    /// Compression of the tables of non-zeros.
    pub compression: Compression,
    /// Type of the cell identifiers.
    pub cell_type: IdType,
    /// Type of the gene identifiers.
    pub gene_type: IdType,
    /// Types of the cell and gene identifiers of the layers table, if there is one.
    pub layer_ids: Option<[IdType; 2]>,
    /// Type of the values of the expression table.
    pub value_type: ValueType,
    /// The key by which its genes were joined, if there were several inputs.
    pub gene_key: Option<GeneKey>,
    /// Possible keys of the genes, with the key of each gene.
    pub gene_keys: Vec<(GeneKey, StringArray)>,
    /// Identifier of each gene, if known.
    pub gene_ids: Vec<Option<String>>,
    /// Whether versions of gene identifiers were ignored when its genes were joined.
    pub id_versions: IdVersions,
    /// Hashes of the cell identifiers that occur both in the dataset and in the inputs.
    pub cells_again: FxHashSet<u64>,
    /// Columns of its obs table.
    pub obs: Vec<PlannedColumn>,
    /// Columns of its var table.
    pub var: Vec<PlannedColumn>,
    /// Embeddings of cells.
    pub obsm: Vec<PlannedEmbedding>,
    /// Embeddings of genes.
    pub varm: Vec<PlannedEmbedding>,
    /// obs and var columns whose types no input can have: they are kept, and appended rows are
    /// null.
    pub other_columns: [Vec<String>; 2],
    /// Layers whose types no input can have, treated likewise.
    pub other_layers: Vec<String>,
    /// Columns, embeddings, layers and pairwise matrices that other programs added, by the name
    /// they would have in an input. Inputs need not have them.
    pub of_others: Vec<String>,
    /// Layers of the dataset.
    pub layers: Vec<BaseMatrix>,
    /// Matrices of cells × cells.
    pub obsp: Vec<BaseMatrix>,
    /// Inputs it was made from.
    pub sources: Vec<BaseSource>,
}

impl BaseSurvey {
    /// Returns the keys of all genes, or `None` if the dataset does not have this key.
    pub(super) fn keys(&self, key: &GeneKey) -> Option<&StringArray> {
        let mut keys = self.gene_keys.iter();
        keys.find(|(known, _)| known == key).map(|(_, keys)| keys)
    }

    /// Columns of a table.
    pub(super) fn columns(&self, table: Table) -> &[PlannedColumn] {
        match table {
            Table::Obs => &self.obs,
            Table::Var => &self.var,
        }
    }

    /// Columns of a table whose types no input can have.
    pub(super) fn other_columns(&self, table: Table) -> &[String] {
        match table {
            Table::Obs => &self.other_columns[0],
            Table::Var => &self.other_columns[1],
        }
    }

    /// Embeddings of a table.
    pub(super) fn embeddings(&self, table: Table) -> &[PlannedEmbedding] {
        match table {
            Table::Obs => &self.obsm,
            Table::Var => &self.varm,
        }
    }
}
