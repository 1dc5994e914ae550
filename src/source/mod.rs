//! Inputs: the trait [`CellSource`] and one reader per format that implements it. A format registers
//! itself as an [`InputFormat`] in [`FORMATS`]; no other code depends on any format.
//!
//! A reader describes its input from the headers alone and then streams chunks of cells, in order
//! and bounded in bytes.

pub(crate) mod blocks;
pub(crate) mod chunk;
mod dataset_folder;
mod describe;
mod error;
mod features;
mod format;
mod format_options;
mod formats;
mod h5ad;
mod hdf5;
mod inputs;
mod json;
mod json_room;
mod known_cells;
mod lists;
mod matrix;
pub mod memory;
mod names;
mod number;
mod number_column;
mod options;
mod originals;
mod other_hdf5;
mod probed_path;
mod raw;
mod reindex;
pub(crate) mod row_chunker;
mod row_ranges;
mod sampled_rows;
mod scalar;
mod search;
mod selection;
mod soma;
pub(crate) mod stable_id;
mod stamp;
mod tenx_h5;
mod tenx_mtx;
mod text;
pub(crate) mod transpose;
mod view;

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::{RecordBatch, StringArray};
use arrow::buffer::NullBuffer;

pub use chunk::{ChunkBudget, Chunks, CsrChunk, PendingChunk};
pub use describe::{
    Axis, Column, ColumnKind, Description, Embedding, Layout, MatrixDescription, MatrixName, Note,
    RepeatedName, Uns,
};
pub(crate) use error::ErrorContext;
pub use error::SourceError;
pub use format::{Among, Form, Format, Formats, InputFormat, PassedOver, Probe, Siblings};
pub use format_options::{FormatOptions, OptionKind, OptionScope, OptionSpec, OptionValue};
pub use formats::FORMATS;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use hdf5::undo_alone as hdf5_filter;
pub use hdf5::watch;
pub use inputs::Inputs;
pub use known_cells::{KnownCells, KnownFrom, Positions};
pub use lists::NameMap;
pub use matrix::Matrix;
pub use memory::Memory;
pub(crate) use names::{NamedInput, prefixes, tell_apart};
pub use number::TypedVec;
pub(crate) use number_column::arrow_numbers;
pub use options::{MainMatrix, Names, OpenOptions, RawUse};
pub(crate) use originals::holds;
pub use originals::{OriginalColumn, OriginalFrame, Originals};
pub use probed_path::{InputFile, ProbedPath};
pub(crate) use raw::tells_of_raw_counts;
pub use reindex::{NoSuchColumn, Reindex};
pub(crate) use row_ranges::{RowRangeChunks, row_ranges};
pub use sampled_rows::SampledRows;
pub use scalar::ScalarType;
pub(crate) use scalar::scalar_subset;
pub use search::{Discovered, detect, discover, inputs_of};
pub use selection::{Part, Pattern, PatternError, Seen, Selection, Unmatched};
pub(crate) use stamp::Stamp;

/// Name of the column that keeps the original gene names when their versions are stripped.
pub const GENE_ID_VERSION: &str = "gene_id_version";
/// Name of the column that keeps the original `gene_ids` when their versions are stripped.
pub const GENE_IDS_VERSION: &str = "gene_ids_version";

/// Function that opens inputs of a format.
pub(crate) type OpenInput = fn(&Path, &OpenOptions) -> Result<Box<dyn CellSource>, SourceError>;

/// An input: its obs, var and other annotations, and access to its matrices. Implementations are
/// cheap to open and hold only headers in memory.
///
/// # Errors
/// All methods that read return a [`SourceError`] if the input is damaged, cannot be read or needs
/// more memory than allowed.
pub trait CellSource: Send + Sync {
    /// Returns what the headers say: dimensions, matrices, columns, and what will be left out.
    fn description(&self) -> &Description;

    /// Returns the files that make up the input, in a fixed order. The input is considered
    /// unchanged as long as these files' sizes and modification times are.
    fn files(&self) -> Vec<PathBuf> {
        vec![text::holder_of(&self.description().path)]
    }

    /// Returns a digest of everything that an input holds that has no files. A job goes on only with
    /// an input of the same digest.
    fn content_digest(&self) -> Option<String> {
        None
    }

    /// Returns the identifiers of a range of cells.
    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError>;

    /// Returns the identifiers of a range of genes.
    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError>;

    /// Returns the genes whose name in the file is not unique (or was not, before some genes were
    /// left out) and to which [`CellSource::var_names`] gives a unique one. The suffix that
    /// distinguishes them depends on their order in this file and means nothing in another file.
    fn repeated_names(&self) -> Result<Vec<RepeatedName>, SourceError> {
        Ok(Vec::new())
    }

    /// Returns the obs columns of a range of cells as stored: categoricals as dictionaries, missing
    /// values as nulls. The columns are those of [`Description::obs`], in that order; a source whose
    /// description lists none need not implement this.
    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        features::no_columns(
            cells,
            &error::ErrorContext::new(&self.description().path, "obs"),
        )
    }

    /// Returns the var columns of a range of genes; see [`CellSource::obs`].
    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        features::no_columns(
            genes,
            &error::ErrorContext::new(&self.description().path, "var"),
        )
    }

    /// Returns an embedding for a range of cells or genes: `rows.len() × width` numbers in
    /// row-major order, with zeros where a sparse array has no entry. A source whose description
    /// lists no embeddings need not implement this.
    fn embedding(&self, _: Axis, name: &str, _: Range<u64>) -> Result<TypedVec, SourceError> {
        Err(SourceError::not_described(&self.description().path, name))
    }

    /// Returns which rows of a range have an embedding at all; `None` if all of them have. The numbers
    /// of the others are NaN.
    fn embedding_nulls(
        &self,
        _axis: Axis,
        _name: &str,
        _rows: Range<u64>,
    ) -> Result<Option<NullBuffer>, SourceError> {
        Ok(None)
    }

    /// Returns everything that is neither a table nor a matrix; by default there is nothing.
    fn uns(&self) -> Result<Uns, SourceError> {
        Ok(Uns::default())
    }

    /// Returns a matrix listed in the description.
    ///
    /// # Errors
    /// [`SourceError::Damaged`] if the description does not list a matrix of this name.
    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError>;

    /// Stops relying on the order of the entries from now on, as after [`SourceError::OrderLost`],
    /// which another process encountered.
    fn assume_unsorted(&self) {}

    /// Memory in bytes that the source holds while it is open, and that reopening it would have to
    /// read again.
    fn held_bytes(&self) -> u64 {
        0
    }
}

/// Opens an input of any format.
///
/// ```no_run
/// use slaf::source::{self, OpenOptions};
///
/// let source = source::open("cells.h5ad".as_ref(), &OpenOptions::default())?;
/// println!("{} cells", source.description().n_obs);
/// # Ok::<(), slaf::source::SourceError>(())
/// ```
///
/// A folder or archive must contain exactly one input; see [`inputs_of`].
///
/// # Errors
/// If the format is not given and cannot be detected (see [`detect`]), the options cannot be
/// applied to the input, or its headers cannot be read.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn CellSource>, SourceError> {
    let (path, format) = match &options.format {
        Some(format) => (path.to_path_buf(), options.format_named(path, format)?),
        None => search::only(path, options)?,
    };
    let path = path.as_path();
    options.check(path, format)?;
    let source = format.open(path, options)?;
    let source = match options.names {
        Names::AsTheyAre => source,
        Names::MadeUnique => Box::new(view::UniqueNames::over(source)?),
    };
    let labelled = options.cell_id_prefix.is_some() || !options.add_columns.is_empty();
    let source = if !labelled {
        source
    } else {
        Box::new(view::Labelled::over(source, options)?)
    };
    let chosen = options.cells_where.is_some() || options.genes.is_some();
    let source = if chosen || options.limit.is_some() || options.known_cells.is_some() {
        Box::new(view::Subset::over(source, options)?)
    } else {
        source
    };
    if options.gene_map.is_some() || !options.strip_versions.is_empty() {
        return Ok(Box::new(view::Identified::over(source, options)?));
    }
    Ok(source)
}
