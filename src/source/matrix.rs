//! The numbers of an input: what every matrix can do, however it is stored.

use std::ops::Range;

use super::sampled_rows::{self, SampledRows};
use super::{ChunkBudget, Chunks, Numbers, SourceError};

/// A matrix of an input, read as rows; [`super::CellSource::matrix`] hands it out.
///
/// Rows are cells, except in a matrix of genes × genes.
pub trait Matrix: Send + Sync {
    /// How many rows it has.
    fn n_rows(&self) -> u64;

    /// Does what must be done before it can be read in the order of its rows: one that lies in the
    /// order of its columns is transposed. Does nothing for others, or a second time.
    ///
    /// `report` is told how many more entries were transposed, on any thread.
    fn prepare(&self, _report: &(dyn Fn(u64) + Sync)) -> Result<(), SourceError> {
        Ok(())
    }

    /// Finds out whether the entries come in the order of the rows, where only reading them all can
    /// tell. For those who read a part of the rows, in which nothing would be missed, or cannot start
    /// again at [`SourceError::OrderLost`].
    fn check_order(&self) -> Result<(), SourceError> {
        Ok(())
    }

    /// For each row of the range, and once more for its end, how many entries the matrix stores
    /// before it. Only differences count: a reader may begin at another number than 0. `None` where
    /// only reading the matrix could tell.
    fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError>;

    /// The most entries that it can have, where [`super::MatrixDescription::entries`] is not known
    /// but a bound is.
    fn entries_at_most(&self) -> Option<u64> {
        None
    }

    /// Shows values from all over the matrix, for a guess at their type.
    fn sample(&self, visit: &mut dyn FnMut(&Numbers)) -> Result<(), SourceError>;

    /// Shows rows from all over a matrix of cells × genes, whole ones where it lies row by row, for a
    /// verdict on the scale of its values. Of a matrix that would have to be transposed for it, what a
    /// sample of entries has of some rows.
    ///
    /// Unless it is overridden, it reads rows: right wherever chunks of any range come cheap.
    fn sample_rows(&self, visit: &mut dyn FnMut(SampledRows<'_>)) -> Result<(), SourceError> {
        sampled_rows::at_places(self.n_rows(), visit, |rows, budget| {
            self.chunks(rows, budget)
        })
    }

    /// The rows of a range in chunks, in order. Chunks come unread, so that any thread may read any
    /// of them. A matrix that must be prepared is, if it was not yet.
    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError>;
}
