//! Reasons why a dataset cannot be verified.

use std::path::PathBuf;

use crate::chunk::ChunkError;
use crate::dataset::DatasetError;
use crate::failure::ErrorKind;
use crate::parallel::{WorkError, WorkerFault};
use crate::plan::PlanError;
use crate::remedy::Remedy;
use crate::source::SourceError;
use crate::store::StoreError;
use crate::table::TableError;

/// Error of verifying, as opposed to a problem of the dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The dataset cannot be opened or read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// An input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The genes of an input cannot be compared with the dataset's.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A chunk of an input is invalid.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The storage returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The dataset was not made from this input.
    #[error("{path} is not an input of this dataset, which was made from: {known}")]
    UnknownInput {
        /// The path that was given.
        path: PathBuf,
        /// The inputs of the dataset, in words.
        known: String,
    },
    /// A worker ended without a result, which is a bug in this program.
    #[error("a worker thread failed unexpectedly; please report this with the command and the log")]
    WorkerDied,
    /// The system has no threads or memory left.
    #[error("cannot start the threads of the verification")]
    Threads {
        /// The operating system's error.
        source: std::io::Error,
    },
}

impl WorkError for VerifyError {
    fn of_fault(fault: WorkerFault) -> Self {
        match fault {
            WorkerFault::Start { source } => VerifyError::Threads { source },
            WorkerFault::Died => VerifyError::WorkerDied,
        }
    }
}

impl VerifyError {
    /// What a user can do about this error.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            VerifyError::Source(error) => error.remedies(),
            VerifyError::Plan(error) => error.remedies(),
            VerifyError::Dataset(error) => error.remedies(),
            _ => Vec::new(),
        }
    }

    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            VerifyError::Source(error) => error.kind(),
            VerifyError::Plan(error) => error.kind(),
            VerifyError::Chunk(error) => error.kind(),
            VerifyError::Dataset(error) => error.kind(),
            VerifyError::Table(error) => error.kind(),
            VerifyError::Store(error) => error.kind(),
            VerifyError::UnknownInput { .. } => ErrorKind::Refused,
            VerifyError::Threads { .. } | VerifyError::WorkerDied => ErrorKind::Failed,
        }
    }
}
