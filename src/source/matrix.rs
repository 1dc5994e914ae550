//! The trait for matrices of an input, however they are stored.

use std::ops::Range;

use super::sampled_rows::{self, SampledRows};
use super::{ChunkBudget, Chunks, SourceError, TypedVec};

/// A matrix of an input, read row by row; returned by [`super::CellSource::matrix`].
///
/// Rows are cells, except in a matrix of genes × genes.
///
/// # Errors
/// All methods that read return a [`SourceError`] if the input is damaged, cannot be read or needs
/// more memory than allowed.
pub trait Matrix: Send + Sync {
    /// Number of rows.
    fn n_rows(&self) -> u64;

    /// Prepares the matrix for reading row by row: transposes it if it is stored in column order.
    /// Does nothing for other matrices, or when called again.
    ///
    /// Calls `report`, on any thread, with the number of further entries transposed.
    fn prepare(&self, _report: &(dyn Fn(u64) + Sync)) -> Result<(), SourceError> {
        Ok(())
    }

    /// Checks whether the entries are in row order, if that takes reading all of them. For callers
    /// that read only some of the rows, where missing entries would go unnoticed, or that cannot
    /// start over on [`SourceError::OrderLost`].
    fn check_order(&self) -> Result<(), SourceError> {
        Ok(())
    }

    /// Returns, for each row of the range and for its end, how many entries the matrix stores
    /// before that row (`rows.len() + 1` offsets). Only differences are meaningful: a reader need
    /// not start counting at 0. `None` if this takes reading the matrix.
    fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError>;

    /// Returns an upper bound for the number of entries, if [`super::MatrixDescription::entries`]
    /// is unknown but a bound exists.
    fn entries_at_most(&self) -> Option<u64> {
        None
    }

    /// Passes values from all over the matrix to `visit`, to guess their type.
    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError>;

    /// Passes rows from all over a matrix of cells × genes to `visit`, to judge the scale of its
    /// values. The rows are complete if the matrix is stored row by row. If it would have to be
    /// transposed first, the rows contain only the entries that a sample of the matrix happens to
    /// include.
    ///
    /// The default implementation reads rows, which is appropriate if chunks of any range are cheap
    /// to read.
    fn sample_rows(&self, visit: &mut dyn FnMut(SampledRows<'_>)) -> Result<(), SourceError> {
        sampled_rows::at_places(self.n_rows(), visit, |rows, budget| {
            self.chunks(rows, budget)
        })
    }

    /// Returns a range of rows in chunks, in order. The chunks have not been read yet, so that any
    /// thread can read any of them. A matrix that needs preparation is prepared first.
    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError>;
}
