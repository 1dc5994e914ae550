//! Locks that allow one writer at a time.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::SystemTime;

use super::{Named, StoreError};

/// What to do if another process holds the lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LockPolicy {
    /// Fail immediately.
    #[default]
    No,
    /// Wait until it is released, however long that takes.
    Yes,
}

/// An advisory lock on a folder, held until it is dropped or the process ends.
///
/// The folder itself is locked, so that no lock file is left behind. The operating system releases
/// the lock when the process dies, so there are no stale locks.
#[derive(Debug)]
#[must_use = "the lock is released when it is dropped"]
pub struct FolderLock {
    _folder: File,
    since: SystemTime,
}

impl FolderLock {
    /// Locks `folder`, which must exist.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process (or another part of this one) holds the lock and
    /// `wait` is [`LockPolicy::No`].
    pub fn acquire(folder: &Path, wait: LockPolicy) -> Result<Self, StoreError> {
        let file = File::open(folder).named("open", folder)?;
        let locked = match (file.try_lock(), wait) {
            (Err(TryLockError::WouldBlock), LockPolicy::Yes) => {
                tracing::warn!(
                    "{} is being written by another process: waiting for it to finish",
                    folder.display()
                );
                file.lock().map_err(TryLockError::Error)
            }
            (locked, _) => locked,
        };
        match locked {
            Ok(()) => Ok(Self::held(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
                path: folder.to_path_buf(),
            }),
            // Some network file systems do not support locks; users must then ensure that there is
            // a single writer.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {
                tracing::warn!(
                    "{} lies on a file system without locks: make sure that nothing else writes it",
                    folder.display()
                );
                Ok(Self::held(file))
            }
            Err(TryLockError::Error(error)) => Err(StoreError::from_io("lock", folder, error)),
        }
    }

    fn held(folder: File) -> Self {
        FolderLock {
            _folder: folder,
            since: SystemTime::now(),
        }
    }

    /// Time at which the lock was acquired; the previous holder cannot have written anything since.
    pub fn since(&self) -> SystemTime {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_writer_is_refused_until_the_first_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::acquire(folder.path(), LockPolicy::No).unwrap();
        assert!(matches!(
            FolderLock::acquire(folder.path(), LockPolicy::No),
            Err(StoreError::Locked { .. })
        ));
        drop(first);
        drop(FolderLock::acquire(folder.path(), LockPolicy::No).unwrap());
    }
}
