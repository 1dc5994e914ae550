//! Reasons why a chunk cannot be written.

use std::path::PathBuf;

use crate::failure::ErrorKind;
use crate::survey::{ValueType, ValueTypes};

/// A chunk that contradicts its input's headers or the plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// An entry refers to a gene that does not exist.
    #[error(
        "{path}: {matrix}: the indices of cell {cell} name gene {gene}, but there are {genes} genes"
    )]
    GeneOutOfRange {
        /// The input.
        path: PathBuf,
        /// Name of the matrix in the input, such as `X` or `layers/counts`.
        matrix: String,
        /// Row of the entry in the input, counted from 0.
        cell: u64,
        /// Column index of the entry, as it is stored.
        gene: String,
        /// Number of columns of the matrix.
        genes: u64,
    },
    /// The planned type does not hold a value exactly.
    #[error(
        "{path}: {matrix}: the value {value} of cell {cell}, gene {gene} does not fit {planned}"
    )]
    Misfit {
        /// The input.
        path: PathBuf,
        /// Name of the matrix in the input.
        matrix: String,
        /// Row of the entry in the input, counted from 0.
        cell: u64,
        /// Column of the entry in the input, counted from 0.
        gene: u64,
        /// The value, in decimal.
        value: String,
        /// Type in which the plan writes the matrix.
        planned: ValueType,
        /// Types that hold every value of the chunk exactly.
        exact: ValueTypes,
    },
    /// The sum of duplicate entries is too large.
    #[error("{path}: {matrix}: the sum of the entries of cell {cell}, gene {gene} is too large")]
    SumTooLarge {
        /// The input.
        path: PathBuf,
        /// Name of the matrix in the input.
        matrix: String,
        /// Row of the entries in the input, counted from 0.
        cell: u64,
        /// Column of the entries in the input, counted from 0.
        gene: i64,
    },
    /// The sum of duplicate entries is not exactly representable.
    #[error(
        "{path}: {matrix}: the entries of cell {cell}, gene {gene} have no exact sum in float64; add up \
         duplicate entries before (X.sum_duplicates() in Python)"
    )]
    SumInexact {
        /// The input.
        path: PathBuf,
        /// Name of the matrix in the input.
        matrix: String,
        /// Row of the entries in the input, counted from 0.
        cell: u64,
        /// Column of the entries in the input, counted from 0.
        gene: i64,
    },
}

impl ChunkError {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        // Whatever it is, it is in the input.
        ErrorKind::Refused
    }
}
