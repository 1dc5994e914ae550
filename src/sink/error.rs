//! Errors of outputs.

use std::path::{Path, PathBuf};

use crate::chunk::ChunkError;
use crate::failure::ErrorKind;
use crate::parallel::{WorkError, WorkerFault};
use crate::source::SourceError;
use crate::store::StoreError;

/// Why something cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A chunk of the source is damaged.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// The storage returned an error.
    #[error(transparent)]
    Store(StoreError),
    /// The storage is full.
    #[error("no space left while writing {path}: free some and run the same command again")]
    Full {
        /// The output.
        path: PathBuf,
    },
    /// A library failed to write a file.
    #[error("{}: it cannot be written: {problem}", place(.path, .object))]
    Library {
        /// The file.
        path: PathBuf,
        /// Path of the object inside the file; empty for the file as a whole.
        object: String,
        /// What the library says.
        problem: String,
    },
    /// The format cannot hold something.
    #[error("{path}: {what}; {help}")]
    Unsupported {
        /// The source or the output.
        path: PathBuf,
        /// What cannot be held.
        what: String,
        /// What the user can do.
        help: String,
    },
    /// What was asked for does not exist, or does not go together.
    #[error("{0}")]
    Usage(String),
    /// Something is in the way.
    #[error("{path} {what}; {help}")]
    InTheWay {
        /// The output.
        path: PathBuf,
        /// What it is.
        what: String,
        /// What the user can do.
        help: &'static str,
    },
    /// The threads failed, not what they worked on.
    #[error(transparent)]
    Workers(WorkerFault),
}

fn place(path: &Path, object: &str) -> String {
    match object {
        "" => path.display().to_string(),
        object => format!("{}: {object}", path.display()),
    }
}

impl WorkError for SinkError {
    fn of_fault(fault: WorkerFault) -> Self {
        SinkError::Workers(fault)
    }
}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> Self {
        match error {
            // There is no record from which an export goes on.
            StoreError::Full { path, .. } => SinkError::Full { path },
            other => SinkError::Store(other),
        }
    }
}

impl SinkError {
    /// An error of a library that tells of the system's errors by text.
    pub(super) fn by_text(path: &Path, object: &str, problem: String) -> Self {
        let full = ["No space left", "errno = 28,", "Disk quota exceeded"];
        if full.iter().any(|text| problem.contains(text)) {
            SinkError::Full {
                path: path.to_path_buf(),
            }
        } else {
            SinkError::Library {
                path: path.to_path_buf(),
                object: object.to_string(),
                problem,
            }
        }
    }

    /// Something that a format cannot hold.
    pub(crate) fn unsupported(
        path: &Path,
        what: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        SinkError::Unsupported {
            path: path.to_path_buf(),
            what: what.into(),
            help: help.into(),
        }
    }

    /// An error of the operating system.
    pub(super) fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        StoreError::from_io(action, path, source).into()
    }

    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            SinkError::Source(error) => error.kind(),
            SinkError::Chunk(error) => error.kind(),
            SinkError::Store(error) => error.kind(),
            SinkError::Usage(_) => ErrorKind::Usage,
            SinkError::Unsupported { .. } | SinkError::InTheWay { .. } => ErrorKind::Refused,
            SinkError::Full { .. } | SinkError::Library { .. } | SinkError::Workers(_) => {
                ErrorKind::Failed
            }
        }
    }
}
