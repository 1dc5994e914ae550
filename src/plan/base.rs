//! The dataset that a plan appends to, as it is when the plan is made.

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

/// What of the dataset is a part of the plan: should it no longer be so, the plan is void.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Base {
    /// The Lance version of each of its tables.
    pub versions: BTreeMap<String, u64>,
    pub cells: u64,
    pub genes: u64,
    /// Rows of the expression table.
    pub rows: u64,
    /// Whether columns may be rewritten in wider types.
    pub widening: Widening,
    /// Whether its config describes what is in it.
    pub described: Described,
    /// The scale of its values, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What is done where another program has changed what the config describes.
    #[serde(default, skip_serializing_if = "KnownValues::are_kept")]
    pub known: KnownValues,
}

/// What is done about known values that another program has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KnownValues {
    /// They must be what they were.
    #[default]
    Keep,
    /// They are taken as they are, and described anew.
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
    /// This program wrote it last.
    Whole,
    /// Another program wrote it, or appended to it: its rows must be looked at.
    Partly,
}

/// A layer, or a matrix of pairs, of the dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseMatrix {
    pub name: String,
    pub written_as: String,
    pub value_type: ValueType,
    /// The scale of its values, where it is known.
    pub scale: Option<Scale>,
}

/// An input that the dataset has already.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseSource {
    pub path: PathBuf,
    /// The matrix that was read.
    pub matrix: String,
    pub fingerprint: Fingerprint,
}

/// All that a plan needs to know of the dataset: what a survey is for an input.
#[derive(Debug, Clone)]
pub struct BaseSurvey {
    pub path: PathBuf,
    pub base: Base,
    pub dtypes: Dtypes,
    pub compression: Compression,
    pub cell_type: IdType,
    pub gene_type: IdType,
    /// The identifiers of its table of layers, if it has one.
    pub layer_ids: Option<[IdType; 2]>,
    pub value_type: ValueType,
    /// By what its genes were joined, if there were several inputs.
    pub gene_key: Option<GeneKey>,
    /// What genes may be known by, with the key of each gene.
    pub gene_keys: Vec<(GeneKey, StringArray)>,
    /// The identifier of each gene of which one is known.
    pub gene_ids: Vec<Option<String>>,
    /// Whether its genes were joined without the versions of their identifiers.
    pub id_versions: IdVersions,
    /// The hashes of identifiers that its cells and those of the inputs have both.
    pub cells_again: FxHashSet<u64>,
    pub obs: Vec<PlannedColumn>,
    pub var: Vec<PlannedColumn>,
    pub obsm: Vec<PlannedEmbedding>,
    pub varm: Vec<PlannedEmbedding>,
    /// Columns of cells and of genes of types that no input has: they stay, and what is appended
    /// has no value in them.
    pub other_columns: [Vec<String>; 2],
    /// Likewise of layers.
    pub other_layers: Vec<String>,
    /// Columns, embeddings, layers and pairs that other programs added, by what inputs would call
    /// them: no input need have them.
    pub of_others: Vec<String>,
    pub layers: Vec<BaseMatrix>,
    pub obsp: Vec<BaseMatrix>,
    pub sources: Vec<BaseSource>,
}

impl BaseSurvey {
    /// The keys of all genes; `None` where the dataset does not have them.
    pub(super) fn keys(&self, key: &GeneKey) -> Option<&StringArray> {
        let mut keys = self.gene_keys.iter();
        keys.find(|(known, _)| known == key).map(|(_, keys)| keys)
    }

    pub(super) fn columns(&self, table: Table) -> &[PlannedColumn] {
        match table {
            Table::Obs => &self.obs,
            Table::Var => &self.var,
        }
    }

    pub(super) fn other_columns(&self, table: Table) -> &[String] {
        match table {
            Table::Obs => &self.other_columns[0],
            Table::Var => &self.other_columns[1],
        }
    }

    pub(super) fn embeddings(&self, table: Table) -> &[PlannedEmbedding] {
        match table {
            Table::Obs => &self.obsm,
            Table::Var => &self.varm,
        }
    }
}
