//! Errors of writing and reading tables.

use std::path::{Path, PathBuf};

use crate::failure::ErrorKind;
use crate::store::StoreError;

/// Error of writing, reading or committing a table.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The storage returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Lance returned an error.
    #[error("cannot {action} {path}")]
    Lance {
        /// What failed, as in "cannot {action} {path}".
        action: &'static str,
        /// The table or one of its files.
        path: PathBuf,
        /// Lance's error.
        source: Box<lance::Error>,
    },
    /// A file is not what was written.
    #[error("{path} is damaged: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Columns do not match.
    #[error("cannot build rows of {path}")]
    Arrow {
        /// The table.
        path: PathBuf,
        /// Arrow's error.
        source: arrow::error::ArrowError,
    },
    /// Another process committed to the table in the meantime.
    #[error("{path} already holds version {version}, which another job wrote")]
    Taken {
        /// The table.
        path: PathBuf,
        /// The version that this job was about to write.
        version: u64,
    },
}

impl TableError {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            TableError::Store(error) => error.kind(),
            TableError::Lance { .. } | TableError::Arrow { .. } => ErrorKind::Failed,
            TableError::Taken { .. } | TableError::Damaged { .. } => ErrorKind::Refused,
        }
    }
}

impl TableError {
    /// Wraps an error of Lance. If it is caused by an error of the operating system, that is
    /// classified.
    pub(crate) fn lance(action: &'static str, path: &Path, error: lance::Error) -> Self {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = source {
            if let Some(io) = inner.downcast_ref::<std::io::Error>()
                && io.kind() != std::io::ErrorKind::Other
            {
                return StoreError::from_io(
                    action,
                    path,
                    std::io::Error::new(io.kind(), error.to_string()),
                )
                .into();
            }
            source = inner.source();
        }
        // Lance passes on some system errors only as text.
        if error.to_string().contains("No space left on device") {
            let full = std::io::Error::new(std::io::ErrorKind::StorageFull, error.to_string());
            return StoreError::from_io(action, path, full).into();
        }
        TableError::Lance {
            action,
            path: path.to_path_buf(),
            source: Box::new(error),
        }
    }
}
