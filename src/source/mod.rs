//! Inputs: one trait, [`CellSource`], implemented by a reader for each format. Nothing outside this
//! room knows a format.
//!
//! A reader describes its input from the headers alone and then streams chunks of cells, whose size
//! is bounded in bytes, in the order of the cells.

pub(crate) mod blocks;
pub(crate) mod chunk;
mod describe;
mod error;
mod features;
mod foreign;
mod format;
mod h5ad;
mod hdf5;
mod inputs;
mod json;
mod json_room;
mod lists;
mod matrix;
mod names;
mod number;
mod number_column;
mod options;
mod raw;
mod sampled_rows;
mod search;
mod selection;
mod soma;
pub(crate) mod stable_id;
mod stamp;
mod tenx_h5;
mod tenx_mtx;
mod text;
mod transpose;
mod view;

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::{RecordBatch, StringArray};

pub use chunk::{ChunkBudget, Chunks, CsrChunk, PendingChunk};
pub use describe::{
    Axis, Column, ColumnKind, Description, Embedding, Layout, MatrixDescription, MatrixName, Note,
    RepeatedName, Uns,
};
pub use error::SourceError;
pub use format::{Format, detect};
pub use hdf5::watch;
pub use inputs::Inputs;
pub use lists::NameMap;
pub use matrix::Matrix;
pub(crate) use names::{NamedInput, prefixes, tell_apart};
pub use number::{NumberType, Numbers};
pub use options::{GeneId, MainMatrix, Names, OpenOptions, Orientation, RawUse};
pub(crate) use raw::tells_of_raw_counts;
pub use sampled_rows::SampledRows;
pub use search::{Discovered, PassedOver, discover, inputs_of};
pub use selection::{Part, Pattern, PatternError, Seen, Selection, Unmatched};
pub(crate) use stamp::Stamp;

/// The columns that keep names of genes, and the column `gene_ids`, with the versions that were taken
/// from them.
pub const GENE_ID_VERSION: &str = "gene_id_version";
pub const GENE_IDS_VERSION: &str = "gene_ids_version";

/// An input of cells: what it says of its cells and genes, and its matrices. Implementations are cheap
/// to open and hold no more than headers.
pub trait CellSource: Send + Sync {
    /// What the headers say: sizes, matrices, columns, and what will be left out.
    fn description(&self) -> &Description;

    /// The files that hold the input, in a fixed order: it is what it was while they are.
    fn files(&self) -> Vec<PathBuf> {
        vec![text::holder_of(&self.description().path)]
    }

    /// The identifiers of a range of cells.
    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError>;

    /// The identifiers of a range of genes.
    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError>;

    /// The genes whose name in the file several have (or had, before some were left out), where
    /// [`CellSource::var_names`] gives each a name of its own: the suffix that tells them apart is
    /// given by their places in this file, and means nothing in another.
    fn repeated_names(&self) -> Result<Vec<RepeatedName>, SourceError> {
        Ok(Vec::new())
    }

    /// The columns that describe a range of cells, as stored: categoricals as dictionaries,
    /// missing values as nulls. The columns are those of [`Description::obs`], in that order.
    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError>;

    /// The columns that describe a range of genes; see [`CellSource::obs`].
    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError>;

    /// The numbers of an embedding for a range of cells or genes: `rows.len() × width`, row after
    /// row; zero where a sparse one has no entry.
    fn embedding(&self, axis: Axis, name: &str, rows: Range<u64>) -> Result<Numbers, SourceError>;

    /// What is neither a table nor a matrix.
    fn uns(&self) -> Result<Uns, SourceError>;

    /// A matrix of the description.
    ///
    /// # Errors
    /// [`SourceError::Damaged`] for a name that the description does not list.
    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError>;

    /// Takes no order of entries for granted from now on, as after [`SourceError::OrderLost`]: another
    /// process met with it.
    fn assume_unsorted(&self) {}

    /// Bytes of memory that it holds as long as it is open, which another opening would read again.
    fn held_bytes(&self) -> u64 {
        0
    }
}

/// Opens an input, whatever its format.
///
/// ```no_run
/// use slaf::source::{self, OpenOptions};
///
/// let source = source::open("cells.h5ad".as_ref(), &OpenOptions::default())?;
/// println!("{} cells", source.description().cells);
/// # Ok::<(), slaf::source::SourceError>(())
/// ```
///
/// A folder or an archive must hold one input; see [`inputs_of`].
pub fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn CellSource>, SourceError> {
    let (path, format) = match options.format {
        Some(format) => (path.to_path_buf(), format),
        None => search::only(path, options)?,
    };
    let path = path.as_path();
    options.check(path, format)?;
    let source: Box<dyn CellSource> = match format {
        Format::H5ad => Box::new(h5ad::H5adSource::open(path, options)?),
        Format::TenxH5 => Box::new(tenx_h5::TenxH5Source::open(path, options)?),
        Format::TenxMtx => Box::new(tenx_mtx::TenxMtxSource::open(path, options)?),
        Format::Soma => Box::new(soma::SomaSource::open(path, options)?),
    };
    let source = match options.names {
        Names::AsTheyAre => source,
        Names::MadeUnique => Box::new(view::UniqueNames::over(source)?),
    };
    let labelled = options.cell_id_prefix.is_some() || !options.add_columns.is_empty();
    let source = match labelled {
        false => source,
        true => Box::new(view::Labelled::over(source, options)?),
    };
    let chosen = options.cells_where.is_some() || options.genes.is_some();
    let source = match chosen || options.limit.is_some() {
        false => source,
        true => Box::new(view::Subset::over(source, options)?),
    };
    if options.gene_map.is_some() || !options.strip_versions.is_empty() {
        return Ok(Box::new(view::Identified::over(source, options)?));
    }
    Ok(source)
}
