//! Detects modified files by their size and times.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::SourceError;
use super::error::ErrorContext;

/// Size and times of a set of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Total size in bytes.
    pub bytes: u64,
    /// Latest modification time (mtime), in nanoseconds since 1970.
    pub modified: u64,
    /// Latest status change time (ctime), in nanoseconds since 1970. It is set by the file system's
    /// clock and cannot be set by programs.
    changed: u64,
}

impl Stamp {
    /// How far the clock of a file system may lag behind the system clock.
    pub const SLOW_CLOCK: Duration = Duration::from_millis(20);

    /// Returns the stamp of files, including everything inside folders.
    pub fn of(files: &[PathBuf]) -> Result<Self, SourceError> {
        let mut stamp = Stamp {
            bytes: 0,
            modified: 0,
            changed: 0,
        };
        files.iter().try_for_each(|file| stamp.add(file))?;
        Ok(stamp)
    }

    fn add(&mut self, path: &Path) -> Result<(), SourceError> {
        let io = |error| ErrorContext::whole(path).io("open", error);
        let metadata = std::fs::metadata(path).map_err(io)?;
        let modified = metadata.modified().ok().map_or(0, nanoseconds);
        let changed = u64::try_from(metadata.ctime()).unwrap_or(0);
        let changed = changed.saturating_mul(1_000_000_000);
        let part = u64::try_from(metadata.ctime_nsec()).unwrap_or(0);
        self.modified = self.modified.max(modified);
        self.changed = self.changed.max(changed.saturating_add(part));
        if !metadata.is_dir() {
            self.bytes = self.bytes.saturating_add(metadata.len());
            return Ok(());
        }
        for entry in std::fs::read_dir(path).map_err(io)? {
            let entry = entry.map_err(io)?;
            // A link may lead back to this folder.
            if !entry.file_type().map_err(io)?.is_symlink() {
                self.add(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Whether the files may have been written to after a moment given by the clock of this
    /// machine.
    pub fn may_be_later_than(&self, moment: SystemTime) -> bool {
        let moment = moment.checked_sub(Self::SLOW_CLOCK).unwrap_or(UNIX_EPOCH);
        self.changed >= nanoseconds(moment)
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).ok();
    since
        .and_then(|since| u64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_of_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        std::fs::write(&file, "12").unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        std::fs::write(folder.path().join("b/c"), "345").unwrap();
        let stamp = || Stamp::of(&[folder.path().to_path_buf()]).unwrap();
        let before = stamp();
        assert_eq!(before.bytes, 5);
        assert_eq!(before, stamp());
        let hour = Duration::from_secs(3600);
        assert!(before.may_be_later_than(SystemTime::now() - hour));
        assert!(!before.may_be_later_than(SystemTime::now() + hour));
        // Programs can set the modification time to anything.
        let opened = std::fs::File::options().write(true).open(&file).unwrap();
        let modified = SystemTime::now() - 2 * hour;
        opened.set_modified(modified).unwrap();
        assert!(stamp().may_be_later_than(SystemTime::now() - hour));
        assert!(Stamp::of(&["missing".into()]).is_err());
    }
}
