//! Why a chunk cannot be written.

use std::path::PathBuf;

use crate::survey::{ValueType, ValueTypes};

/// A chunk that contradicts its input's headers or the plan.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// An entry names a gene that does not exist.
    #[error(
        "{path}: {matrix}: the indices of cell {cell} name gene {gene}, but there are {genes} genes"
    )]
    GeneOutOfRange {
        path: PathBuf,
        matrix: String,
        cell: u64,
        gene: String,
        genes: u64,
    },
    /// A value is not exact in the planned type.
    #[error(
        "{path}: {matrix}: the value {value} of cell {cell}, gene {gene} does not fit {planned}"
    )]
    Misfit {
        path: PathBuf,
        matrix: String,
        cell: u64,
        gene: u64,
        value: String,
        planned: ValueType,
        /// The types that hold every value of the chunk exactly.
        exact: ValueTypes,
    },
    /// Entries of one cell and gene are added up, and the sum is too large.
    #[error("{path}: {matrix}: the sum of the entries of cell {cell}, gene {gene} is too large")]
    SumTooLarge {
        path: PathBuf,
        matrix: String,
        cell: u64,
        gene: i64,
    },
    /// Entries of one cell and gene are added up, and no number is their exact sum.
    #[error(
        "{path}: {matrix}: the entries of cell {cell}, gene {gene} have no exact sum in float64; add up \
         duplicate entries before (X.sum_duplicates() in Python)"
    )]
    SumInexact {
        path: PathBuf,
        matrix: String,
        cell: u64,
        gene: i64,
    },
}
