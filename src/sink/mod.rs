//! Outputs: the trait [`Sink`] of what consumes a source, and one room per format that implements it.
//!
//! [`write()`] drives a sink: it tells it what comes, hands it obs and var block by block, the matrices
//! chunk by chunk, and uns. Chunks are read and encoded on all threads; their order is the driver's
//! affair, because every format of files needs it and only the driver knows the sequence. A sink for
//! which the order means nothing does all of its work while it encodes.

mod beside;
mod drive;
mod error;
mod exact;
mod h5ad;
mod hdf5;
mod metadata;
mod rows;
mod tables;
mod tenx;
mod tenx_h5;
mod tenx_mtx;

use std::ops::Range;

use arrow::array::{RecordBatch, StringArray};

pub use beside::WithMetadata;
pub use drive::{Genes, MatrixLayout, Resources, Scope, Written, write};
pub use error::SinkError;
pub use h5ad::H5adSink;
pub use hdf5::Filters;
pub use metadata::MetadataFiles;
pub use rows::Rows;
pub use tables::{TableFormat, TableShape, TableSink};
pub use tenx_h5::TenxH5Sink;
pub use tenx_mtx::TenxMtxSink;

use crate::source::{
    Axis, Description, MatrixDescription, MatrixName, Note, ScalarType, TypedVec, Uns,
};

/// What a sink will be given.
#[derive(Debug, Clone)]
pub struct Outline {
    /// What the source says of itself: dimensions, columns, matrices.
    pub description: Description,
    /// Whether matrices of cells × genes are wanted by row or by column.
    pub layout: MatrixLayout,
}

impl Outline {
    /// The type that the values of a matrix had, or else have.
    pub fn value_type(&self, matrix: &MatrixDescription) -> ScalarType {
        self.description
            .originals
            .value_type(&matrix.name, matrix.number_type)
    }

    /// Number of rows and of columns of a matrix.
    pub fn shape(&self, matrix: &MatrixName) -> [u64; 2] {
        let (n_obs, n_vars) = (self.description.n_obs, self.description.n_vars);
        match matrix {
            MatrixName::X | MatrixName::Layer(_) => [n_obs, n_vars],
            MatrixName::Obsp(_) => [n_obs, n_obs],
            MatrixName::Varp(_) => [n_vars, n_vars],
        }
    }
}

/// A block of rows of obs and obsm, or of var and varm.
#[derive(Debug, Clone)]
pub struct FrameBlock {
    /// The rows.
    pub rows: Range<u64>,
    /// Their identifiers.
    pub names: StringArray,
    /// The columns of the description, in its order.
    pub columns: RecordBatch,
    /// The embeddings of the description, in its order: `rows.len() × width` numbers, row after row;
    /// NaN for rows that have none.
    pub embeddings: Vec<TypedVec>,
}

/// Work on a chunk that any thread can do, whatever others do. It returns what remains to be done
/// when it is the chunk's turn.
pub type Encode<'a> = Box<dyn FnOnce() -> Result<WriteChunk<'a>, SinkError> + Send + 'a>;

/// Writes what was encoded.
pub type WriteChunk<'a> = Box<dyn FnOnce() -> Result<(), SinkError> + Send + 'a>;

/// What consumes a source.
///
/// The methods are called in the order in which they stand here, `rows` for var and then for obs.
pub trait Sink: Sync {
    /// Is told what comes. Returns what of it will not be written, or not as it is.
    ///
    /// # Errors
    /// If the format cannot hold it, and leaving it out would not do.
    fn begin(&mut self, outline: &Outline) -> Result<Vec<Note>, SinkError>;

    /// Takes the next rows of an axis.
    ///
    /// # Errors
    /// If they cannot be represented or written.
    fn rows(&mut self, axis: Axis, block: &FrameBlock) -> Result<(), SinkError>;

    /// Begins a matrix; `None` if the format does not hold it.
    ///
    /// # Errors
    /// If it cannot be written.
    fn matrix<'a>(
        &'a self,
        matrix: &MatrixDescription,
    ) -> Result<Option<Box<dyn MatrixSink + 'a>>, SinkError>;

    /// Takes the unstructured data. Returns what of it was not written, or not as it was.
    ///
    /// # Errors
    /// If it cannot be written.
    fn uns(&mut self, _uns: &Uns) -> Result<Vec<Note>, SinkError> {
        Ok(Vec::new())
    }

    /// Ends the output.
    ///
    /// # Errors
    /// If it cannot be written.
    fn finish(&mut self) -> Result<(), SinkError>;
}

/// What consumes a matrix. Chunks come in the order of their rows, without gaps.
pub trait MatrixSink: Sync {
    /// The type in which values are wanted.
    fn value_type(&self) -> ScalarType;

    /// Learns of the next chunk, before the one after it. Cheap: others wait.
    ///
    /// # Errors
    /// If it cannot be represented.
    fn take<'a>(&'a self, rows: Rows) -> Result<Encode<'a>, SinkError>;

    /// Ends the matrix.
    ///
    /// # Errors
    /// If it cannot be written.
    fn finish(self: Box<Self>) -> Result<(), SinkError>;
}
