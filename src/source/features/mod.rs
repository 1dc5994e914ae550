//! The features of a 10x matrix: which of them become genes, and under which names.
//!
//! Cell Ranger describes a feature by its identifier (`id`, the Ensembl ID for genes), its symbol
//! (`name`), its type (`feature_type`: Gene Expression, Antibody Capture, Peaks, …) and further
//! tags. Columns get the same names as in scanpy's readers.

mod feature_filter;
mod genes;
pub(super) mod options;

use arrow::array::{ArrayRef, StringArray};

use super::ColumnKind;

pub(super) use genes::{Genes, batch, no_columns};

/// Type of all features in files without feature types.
pub(super) const GENE_EXPRESSION: &str = "Gene Expression";

/// Features as listed in a file. Every column has one row per feature.
#[derive(Debug, Default)]
pub(super) struct FeatureList {
    /// Number of features.
    pub count: usize,
    /// Unique identifiers; Ensembl IDs for genes.
    pub ids: Option<StringArray>,
    /// Symbols, which may repeat.
    pub symbols: Option<StringArray>,
    /// The genes that probes belong to; `ids` are then the identifiers of the probes.
    pub genes_of_probes: Option<StringArray>,
    /// Feature types.
    pub types: Option<StringArray>,
    /// Genomes.
    pub genomes: Option<StringArray>,
    /// Other columns, in order, including that of the genomes.
    pub others: Vec<OtherColumn>,
    /// How the list was split into columns, if not at tabs.
    pub split: Option<String>,
    /// Whether the first line of the list is a header.
    pub heading: bool,
}

/// An additional column of features.
#[derive(Debug)]
pub(super) struct OtherColumn {
    /// Name of the column.
    pub name: String,
    /// Type of its values.
    pub kind: ColumnKind,
    /// The values, one per feature.
    pub values: ArrayRef,
}
