//! Makes files available to libhdf5. It can only open files of the operating system, so a file in
//! an archive is copied.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::source::SourceError;
use crate::source::error::ErrorContext;
use crate::source::text::TextFile;
use crate::store::open_regular;

/// Maximum number of copies to keep. A job opens an input several times.
const MOST_KEPT: usize = 64;

/// Number of bytes copied at once.
const BLOCK: usize = 1 << 20;

/// The open HDF5 file, and the path by which libhdf5 can open it as long as this exists.
pub(super) struct LocalCopy {
    /// The file, for reading raw bytes.
    pub bytes: Arc<File>,
    /// The path for libhdf5.
    pub path: PathBuf,
}

/// What a copy was made from: the state of the archive, and the position in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Original {
    archive: PathBuf,
    bytes: u64,
    modified: Option<SystemTime>,
    positions: Vec<u64>,
}

/// A copy, made by the first caller that needs it.
type Slot = Arc<Mutex<Option<Arc<File>>>>;

/// The copies, most recently used last. They have no names, so nothing remains of them however the
/// process ends.
static COPIES: Mutex<Vec<(Original, Slot)>> = Mutex::new(Vec::new());

impl LocalCopy {
    /// Opens the file at a path. A file in an archive is copied to the folder `scratch`.
    pub fn open(path: &Path, scratch: &Path) -> Result<Self, SourceError> {
        let io = |e| ErrorContext::whole(path).io("open", e);
        let Err(missing) = std::fs::metadata(path) else {
            return Ok(LocalCopy {
                bytes: Arc::new(open_regular(path).map_err(io)?),
                path: path.to_path_buf(),
            });
        };
        let Some(found) = TextFile::find_in_archive(path)? else {
            return Err(io(missing));
        };
        let bytes = copy_of(&found.file, scratch)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", bytes.as_raw_fd()));
        Ok(LocalCopy { bytes, path })
    }
}

fn copy_of(file: &TextFile, scratch: &Path) -> Result<Arc<File>, SourceError> {
    let archive = std::fs::metadata(file.path()).map_err(|e| file.place().io("open", e))?;
    let original = Original {
        archive: file.path().to_path_buf(),
        bytes: archive.len(),
        modified: archive.modified().ok(),
        positions: file.positions(),
    };
    let slot = {
        let mut copies = COPIES.lock().unwrap_or_else(PoisonError::into_inner);
        let known = copies.iter().position(|(known, _)| *known == original);
        let entry = match known {
            Some(place) => copies.remove(place),
            None => (original, Slot::default()),
        };
        let slot = entry.1.clone();
        copies.push(entry);
        if copies.len() > MOST_KEPT {
            copies.remove(0);
        }
        slot
    };
    // This blocks only callers that need the same file.
    let mut copy = slot.lock().unwrap_or_else(PoisonError::into_inner);
    match &*copy {
        Some(copy) => Ok(copy.clone()),
        None => Ok(copy.insert(Arc::new(copied(file, scratch)?)).clone()),
    }
}

fn copied(file: &TextFile, scratch: &Path) -> Result<File, SourceError> {
    let failed = |source| SourceError::Scratch {
        path: scratch.to_path_buf(),
        source,
    };
    tracing::info!("copying {} out of its archive", file.place().object());
    let mut copy = tempfile::tempfile_in(scratch).map_err(failed)?;
    let mut bytes = file.open()?;
    let mut block = vec![0; BLOCK];
    loop {
        let read = bytes
            .read(&mut block)
            .map_err(|e| file.place().io("read", e))?;
        if read == 0 {
            return Ok(copy);
        }
        copy.write_all(&block[..read]).map_err(failed)?;
    }
}
