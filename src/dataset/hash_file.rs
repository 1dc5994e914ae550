//! Files with one 64-bit little-endian hash per cell, identified by the XXH3 hash of their bytes.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::store::{Named, StoreError, sync_folder};

/// Number of bytes read at a time.
pub(super) const BLOCK: usize = 1 << 17;

const EACH: usize = size_of::<u64>();

/// State of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashFile {
    /// The file is complete and unchanged.
    Whole,
    /// The file does not exist.
    Missing,
    /// The file has another length or other bytes.
    Changed,
}

/// Returns the length in bytes of the file of `cells` cells.
pub(super) fn length(cells: u64) -> Option<u64> {
    cells.checked_mul(EACH as u64)
}

/// Reads the file of `cells` cells whose bytes should have this hash, and passes its hashes to the
/// callback, block by block. They may only be used if the result is [`HashFile::Whole`].
pub(crate) fn read_hashes(
    path: &Path,
    cells: u64,
    xxh3: &str,
    mut show: impl FnMut(&mut dyn Iterator<Item = u64>),
) -> Result<HashFile, StoreError> {
    // Check before opening: a pipe would block until somebody writes.
    let found = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(HashFile::Missing),
        other => other.named("open", path)?,
    };
    if !found.is_file() || Some(found.len()) != length(cells) {
        return Ok(HashFile::Changed);
    }
    let mut file = File::open(path).named("open", path)?;
    // Many appends leave many small files.
    let whole = usize::try_from(found.len()).map_or(BLOCK, |length| length.min(BLOCK));
    let mut block = vec![0; whole];
    let (mut left, mut digest) = (found.len(), Xxh3::new());
    while left > 0 {
        let bytes = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        let bytes = &mut block[..bytes];
        match file.read_exact(bytes) {
            // It has been truncated since it was checked.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Ok(HashFile::Changed);
            }
            other => other.named("read", path)?,
        }
        digest.update(bytes);
        let (hashes, _) = bytes.as_chunks();
        show(&mut hashes.iter().copied().map(u64::from_le_bytes));
        left -= bytes.len() as u64;
    }
    if hex(&digest) == xxh3 {
        Ok(HashFile::Whole)
    } else {
        Ok(HashFile::Changed)
    }
}

/// Formats a digest as 16 hexadecimal digits.
pub(super) fn hex(digest: &Xxh3) -> String {
    format!("{:016x}", digest.digest())
}

/// Writes a file of hashes.
pub(crate) struct HashFileWriter {
    path: PathBuf,
    file: BufWriter<File>,
    digest: Xxh3,
    cells: u64,
}

impl HashFileWriter {
    /// Creates the file, replacing what an earlier run wrote.
    pub fn create(path: PathBuf) -> Result<Self, StoreError> {
        let file = File::create(&path).named("create", &path)?;
        Ok(HashFileWriter {
            path,
            file: BufWriter::new(file),
            digest: Xxh3::new(),
            cells: 0,
        })
    }

    /// Adds the hashes of the next cells.
    pub fn add(&mut self, hashes: impl IntoIterator<Item = u64>) -> Result<(), StoreError> {
        for hash in hashes {
            let bytes = hash.to_le_bytes();
            self.digest.update(&bytes);
            self.file.write_all(&bytes).named("write", &self.path)?;
            self.cells += 1;
        }
        Ok(())
    }

    /// Finishes the file, which is then durable. Returns the number of its cells and its hash.
    pub fn finish(self) -> Result<(u64, String), StoreError> {
        let written = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        let synced = written.and_then(|file| file.sync_all());
        synced.named("write", &self.path)?;
        sync_folder(self.path.parent().unwrap_or(&self.path))?;
        Ok((self.cells, hex(&self.digest)))
    }
}
