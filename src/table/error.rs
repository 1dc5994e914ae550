//! What can go wrong while a table is written.

use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// A failure to write or commit a table.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Lance refused.
    #[error("cannot {action} {path}")]
    Lance {
        action: &'static str,
        path: PathBuf,
        source: Box<lance::Error>,
    },
    /// A file is not as it was written.
    #[error("{path} is damaged: {problem}")]
    Damaged { path: PathBuf, problem: String },
    /// Columns do not go together.
    #[error("cannot build rows of {path}")]
    Arrow {
        path: PathBuf,
        source: arrow::error::ArrowError,
    },
    /// Somebody else committed something to a table that is being created.
    #[error("{path} already holds version {version}, which another job wrote")]
    Taken { path: PathBuf, version: u64 },
}

impl TableError {
    /// An error of Lance; one of the operating system below it is sorted out.
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
        // Lance passes some errors of the system on as text only.
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
