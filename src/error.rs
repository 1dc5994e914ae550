//! Errors of the program, and the exit codes that tell scripts their kind. The errors of each room
//! know their own kind.

use std::path::PathBuf;

use crate::dataset::DatasetError;
pub use crate::failure::{ErrorKind, in_one_line};
use crate::ingest::IngestError;
use crate::plan::PlanError;
use crate::query::QueryError;
use crate::remedy::Remedy;
use crate::sink::SinkError;
use crate::source::SourceError;
use crate::store::StoreError;
use crate::verify::VerifyError;

/// Error of a command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The command line or the configuration is invalid.
    #[error("{0}")]
    Usage(String),
    /// A conversion or an append failed.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// A dataset cannot be opened or read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The storage returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A dataset cannot be verified.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// A query cannot be answered.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Inputs are incompatible with each other or with a dataset.
    #[error("{refusal}")]
    NotJoinable {
        /// Why, in one line.
        refusal: String,
    },
    /// An export failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Verification found problems in a dataset.
    #[error("{path} is not as it should be: {problems} problems were found")]
    Verification {
        /// The dataset.
        path: PathBuf,
        /// Number of problems, also of those that were not listed.
        problems: u64,
    },
    /// The result cannot be printed.
    #[error("cannot write to standard output")]
    Output(#[from] std::io::Error),
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        Error::Ingest(error.into())
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Error::Ingest(error.into())
    }
}

impl Error {
    /// The line of a query in which something is wrong, with a mark below the place.
    pub fn line_of_query(&self) -> Option<&str> {
        match self {
            Error::Query(error) => error.shown(),
            _ => None,
        }
    }

    /// What a user can do about this error, as data; the message says it in words (see
    /// [`crate::remedy::speak`]).
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            Error::Ingest(error) => error.remedies(),
            Error::Dataset(error) => error.remedies(),
            Error::Verify(error) => error.remedies(),
            Error::Sink(SinkError::Source(error)) => error.remedies(),
            Error::Usage(_)
            | Error::Store(_)
            | Error::Query(_)
            | Error::Sink(_)
            | Error::NotJoinable { .. }
            | Error::Verification { .. }
            | Error::Output(_) => Vec::new(),
        }
    }

    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::Usage(_) => ErrorKind::Usage,
            Error::Ingest(error) => error.kind(),
            Error::Dataset(error) => error.kind(),
            Error::Store(error) => error.kind(),
            Error::Verify(error) => error.kind(),
            Error::Query(error) => error.kind(),
            Error::Sink(error) => error.kind(),
            Error::NotJoinable { .. } => ErrorKind::Refused,
            Error::Verification { .. } => ErrorKind::NotVerified,
            Error::Output(_) => ErrorKind::Failed,
        }
    }
}

impl ErrorKind {
    /// The code with which a command ends that failed so; 0 is kept for what is done.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorKind::Failed => 1,
            ErrorKind::Usage => 2,
            ErrorKind::Refused => 3,
            ErrorKind::NotVerified => 4,
            ErrorKind::TryAgain => 75,
        }
    }
}
