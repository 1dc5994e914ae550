//! Reading files from local or remote storage.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::open_regular;

/// Read access to a store. Paths are absolute, with `/` as the separator.
pub trait Files: Send + Sync {
    /// Returns the names in a folder, sorted; none if the folder does not exist.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Returns the size of a file in bytes.
    fn size(&self, file: &str) -> io::Result<u64>;
    /// Fills the buffer with bytes of a file, starting at position `at`.
    fn read(&self, file: &str, at: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// Files that are kept open for the next range, at most.
const MOST_OPEN: usize = 16;

/// The file system of this machine.
#[derive(Debug, Default)]
pub struct LocalFiles {
    /// Files that were read last, the latest at the end.
    open: Mutex<Vec<(String, Arc<File>)>>,
}

impl LocalFiles {
    fn open(&self, file: &str) -> io::Result<Arc<File>> {
        let lock = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = lock();
        if let Some(place) = open.iter().position(|(name, _)| name == file) {
            open[place..].rotate_left(1);
            return Ok(open[open.len() - 1].1.clone());
        }
        drop(open);
        let opened = Arc::new(open_regular(Path::new(file))?);
        let mut open = lock();
        if open.len() >= MOST_OPEN {
            open.remove(0);
        }
        open.push((file.to_string(), opened.clone()));
        Ok(opened)
    }
}

impl Files for LocalFiles {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries {
            // TileDB never creates names that are not UTF-8.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn size(&self, file: &str) -> io::Result<u64> {
        let metadata = std::fs::metadata(file)?;
        if metadata.is_file() {
            Ok(metadata.len())
        } else {
            Err(io::Error::other("it is not a file"))
        }
    }

    fn read(&self, file: &str, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.open(file)?.read_exact_at(buffer, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_a_file_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| format!("{}/{name}", folder.path().display());
        std::fs::write(path("b"), b"0123456789").unwrap();
        std::fs::write(path("a"), b"").unwrap();
        let files: &dyn Files = &LocalFiles::default();
        assert_eq!(files.list(&path("")).unwrap(), ["a", "b"]);
        assert_eq!(files.list(&path("none")).unwrap(), [""; 0]);
        assert_eq!(files.size(&path("b")).unwrap(), 10);
        let mut bytes = [0; 4];
        files.read(&path("b"), 3, &mut bytes).unwrap();
        assert_eq!(&bytes, b"3456");
        for number in 0..2 * MOST_OPEN {
            std::fs::write(path(&number.to_string()), number.to_string()).unwrap();
        }
        for number in (0..2 * MOST_OPEN).chain([3, 3, 0]) {
            let name = number.to_string();
            let mut bytes = vec![0; name.len()];
            files.read(&path(&name), 0, &mut bytes).unwrap();
            assert_eq!(bytes, name.as_bytes());
        }
        // Beyond its end, and a folder.
        assert!(files.read(&path("b"), 7, &mut bytes).is_err());
        assert!(files.size(&path("")).is_err());
    }
}
