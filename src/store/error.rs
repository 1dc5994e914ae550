//! Errors of the output storage.

use std::io;
use std::path::{Path, PathBuf};

use crate::failure::ErrorKind;

/// Error of the storage that holds a dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The storage is full. What was recorded is kept, so the job can be resumed.
    #[error(
        "no space left while writing {path}: free some and run the same command again, it goes on from its last record"
    )]
    Full {
        /// The file that was written.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The user has no permission to write to the path.
    #[error("cannot write {path}: permission denied or read-only")]
    NotWritable {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// Another process is writing the dataset.
    #[error("{path} is being written by another process; try again when it has finished")]
    Locked {
        /// The dataset.
        path: PathBuf,
    },
    /// Any other error, with what was attempted.
    #[error("cannot {action} {path}")]
    Io {
        /// What failed, as in "cannot {action} {path}".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

impl StoreError {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            StoreError::Locked { .. } => ErrorKind::TryAgain,
            StoreError::Full { .. } | StoreError::NotWritable { .. } | StoreError::Io { .. } => {
                ErrorKind::Failed
            }
        }
    }
}

impl StoreError {
    /// Classifies an error of the operating system by what a user can do about it.
    pub fn from_io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::Full { path, source }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::NotWritable { path, source }
            }
            _ => StoreError::Io {
                action,
                path,
                source,
            },
        }
    }
}

/// Adds the action and the path to an error of the operating system.
pub(crate) trait Named<T> {
    /// `action` completes the sentence "cannot … PATH".
    fn named(self, action: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, action: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::from_io(action, path, source))
    }
}
