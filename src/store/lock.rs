//! One writer at a time.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::{Named, StoreError};

/// An advisory lock on a folder, held until it is dropped or the process ends.
///
/// The folder itself is locked, so that no lock file is left behind, and the operating system
/// lets go of it when the owner dies: there are no stale locks.
#[derive(Debug)]
pub struct FolderLock {
    _folder: File,
}

impl FolderLock {
    /// Locks `folder`, which must exist.
    ///
    /// # Errors
    /// [`StoreError::Locked`] at once when another process (or another part of this one) holds it.
    pub fn acquire(folder: &Path) -> Result<Self, StoreError> {
        let file = File::open(folder).named("open", folder)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _folder: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
                path: folder.to_path_buf(),
            }),
            // Some network file systems have no locks: a single writer is then the user's care.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                tracing::warn!(
                    "{} lies on a file system without locks: make sure that nothing else writes it",
                    folder.display()
                );
                Ok(FolderLock { _folder: file })
            }
            Err(TryLockError::Error(error)) => Err(StoreError::from_io("lock", folder, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_refused_until_the_first_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::acquire(folder.path()).unwrap();
        assert!(matches!(
            FolderLock::acquire(folder.path()),
            Err(StoreError::Locked { .. })
        ));
        drop(first);
        FolderLock::acquire(folder.path()).unwrap();
    }
}
