//! Reasons why a dataset cannot be verified.

use std::path::PathBuf;

use crate::chunk::ChunkError;
use crate::dataset::DatasetError;
use crate::plan::PlanError;
use crate::source::SourceError;
use crate::store::StoreError;
use crate::table::TableError;

/// Error of verifying, as opposed to a problem of the dataset.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dataset was not made from this input.
    #[error("{path} is no input of this dataset, which was made from: {known}")]
    UnknownInput { path: PathBuf, known: String },
    /// A worker ended without a result, which is a bug in this program.
    #[error("a worker thread failed unexpectedly; please report this with the command and the log")]
    WorkerDied,
    /// The system has no threads or memory left.
    #[error("cannot start the threads of the verification")]
    Threads { source: std::io::Error },
}
