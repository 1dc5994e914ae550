//! How chunks become rows.

use std::path::PathBuf;

use crate::plan::IdType;
use crate::survey::ValueType;

/// How chunks of one input become rows.
#[derive(Debug, Clone)]
pub struct CooSpec {
    /// The input, for messages.
    pub path: PathBuf,
    /// The matrix, for messages.
    pub matrix: String,
    /// The dataset's identifier of the input's first cell.
    pub first_cell: u64,
    /// Genes of the input.
    pub genes: u64,
    pub cell_type: IdType,
    pub gene_type: IdType,
    pub value_type: ValueType,
}
