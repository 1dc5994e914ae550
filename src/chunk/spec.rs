//! How chunks become rows.

use std::path::PathBuf;

use super::{ColumnMap, IdHash};
use crate::plan::IdType;
use crate::survey::ValueType;

/// How chunks of one input become rows.
#[derive(Debug, Clone)]
pub struct CooSpec<'a> {
    /// The input, for messages.
    pub path: PathBuf,
    /// The matrix, for messages.
    pub matrix: String,
    /// The dataset's identifier of the input's first cell.
    pub first_cell: u64,
    /// Genes of the input.
    pub genes: u64,
    /// Where they are in the dataset, and how many that has.
    pub columns: ColumnMap<'a>,
    pub dataset_genes: u64,
    pub cell_type: IdType,
    pub gene_type: IdType,
    pub value_type: ValueType,
    /// The hash of each gene's identifier, by its number in the dataset.
    pub gene_hashes: &'a [IdHash],
}
