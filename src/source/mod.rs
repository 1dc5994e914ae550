//! Inputs: one trait, [`CellSource`], implemented by a reader for each format. Nothing outside this
//! room knows a format.
//!
//! A reader describes its input from the headers alone and then streams chunks of cells, whose size
//! is bounded in bytes, in the order of the cells.

mod chunk;
mod describe;
mod error;
mod format;
mod h5ad;
mod hdf5;
mod number;
mod number_column;

use std::ops::Range;
use std::path::Path;

use arrow::array::{RecordBatch, StringArray};

pub use chunk::{CellChunk, ChunkBudget, Chunks, PendingChunk, ReadBudget};
pub use describe::{Column, ColumnKind, Description, Layout, LeftOut, Matrix};
pub use error::SourceError;
pub use format::{Format, detect};
pub use hdf5::watch;
pub use number::{NumberType, Numbers};

/// An input of cells. Implementations are cheap to open and hold no more than headers.
pub trait CellSource: Send + Sync {
    /// What the headers say: sizes, matrices, columns, and what will be left out.
    fn description(&self) -> &Description;

    /// The identifiers of a range of cells.
    fn cell_ids(&self, cells: Range<u64>) -> Result<StringArray, SourceError>;

    /// The identifiers of a range of genes.
    fn gene_ids(&self, genes: Range<u64>) -> Result<StringArray, SourceError>;

    /// The columns that describe a range of cells, as stored: categoricals as dictionaries,
    /// missing values as nulls. The columns are those of [`Description::obs`], in that order.
    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError>;

    /// The columns that describe a range of genes; see [`CellSource::obs`].
    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError>;

    /// For each cell of the range, and once more for its end, how many entries the matrix stores
    /// before it; `None` where only reading the matrix could tell.
    fn offsets(&self, matrix: &str, cells: Range<u64>) -> Result<Option<Vec<u64>>, SourceError>;

    /// Shows values from all over the matrix, for a guess at their type.
    fn sample(&self, matrix: &str, visit: &mut dyn FnMut(&Numbers)) -> Result<(), SourceError>;

    /// The cells of a range in chunks, in order. Chunks come unread, so that any thread may read
    /// any of them.
    fn chunks(
        &self,
        matrix: &str,
        cells: Range<u64>,
        budget: ChunkBudget,
    ) -> Result<Chunks<'_>, SourceError>;
}

/// Opens an input, whatever its format.
///
/// `format` forces a format; without it the content decides, never the name of the file.
///
/// ```no_run
/// use slaf::source::{self, ReadBudget};
///
/// let source = source::open("cells.h5ad".as_ref(), None, ReadBudget::default())?;
/// println!("{} cells", source.description().cells);
/// # Ok::<(), slaf::source::SourceError>(())
/// ```
pub fn open(
    path: &Path,
    format: Option<Format>,
    budget: ReadBudget,
) -> Result<Box<dyn CellSource>, SourceError> {
    match format.map_or_else(|| detect(path), Ok)? {
        Format::H5ad => Ok(Box::new(h5ad::H5adSource::open(path, budget)?)),
    }
}
