//! The features of a 10x matrix: which of them become genes, and under which names.
//!
//! Cell Ranger describes a feature by its identifier (`id`, from Ensembl for genes), its symbol
//! (`name`), its type (`feature_type`: Gene Expression, Antibody Capture, Peaks, …) and further tags.
//! Columns are named as scanpy's readers name them.

mod genes;
mod kept;
mod wanted;

use arrow::array::{ArrayRef, StringArray};

use super::ColumnKind;

pub(super) use genes::{Genes, batch};
pub(super) use kept::Kept;

/// The type of all features where a file knows of no types.
pub(super) const GENE_EXPRESSION: &str = "Gene Expression";

/// Features as a file lists them. All columns have as many rows as there are features.
#[derive(Debug, Default)]
pub(super) struct FeatureList {
    /// How many there are.
    pub count: usize,
    /// Unique identifiers, of Ensembl for genes.
    pub ids: Option<StringArray>,
    /// Symbols, which may repeat.
    pub symbols: Option<StringArray>,
    /// The genes that probes belong to; `ids` are then those of the probes.
    pub genes_of_probes: Option<StringArray>,
    pub types: Option<StringArray>,
    pub genomes: Option<StringArray>,
    /// Other columns, in order; that of the genomes is one of them.
    pub others: Vec<OtherColumn>,
    /// How a list was split into columns, where not at tabs.
    pub split: Option<String>,
    /// Whether the first line of the list is a heading.
    pub heading: bool,
}

/// A further column of features.
#[derive(Debug)]
pub(super) struct OtherColumn {
    pub name: String,
    pub kind: ColumnKind,
    pub values: ArrayRef,
}
