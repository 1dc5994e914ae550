//! The hashes of the identifiers of all cells, kept in the folder of their table, so that an append
//! finds out whether a dataset has its cells without reading millions of identifiers.
//!
//! A job that adds cells writes one file, which is never changed: the XXH3 hash of each identifier,
//! 64 bits, little-endian. `config.json` tells the files in the order of their cells, each with the
//! XXH3 hash of its bytes. They are a shortcut: where they do not cover all cells, or a file is not
//! what config.json says, identifiers are read.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use arrow::array::{Array, StringArray};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::{Dataset, DatasetConfig};
use crate::plan::JobId;
use crate::store::{Named, StoreError, create_folder, remove_file, sync_folder};
use crate::survey::id_hash;

/// The folder of the files, within the dataset. Lance leaves alone what it does not know.
pub const CELL_HASHES: &str = "cells.lance/_hashes";

/// Bytes that are read at once.
const BLOCK: usize = 1 << 17;

const EACH: usize = size_of::<u64>();

/// The hashes of the cells that a job added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellHashes {
    /// The job, which names the file.
    pub job: JobId,
    pub cells: u64,
    /// The XXH3 hash of the file, in hexadecimal digits.
    pub xxh3: String,
}

/// How a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HashFile {
    Whole,
    Missing,
    /// Of another length, or with other bytes.
    Changed,
}

impl CellHashes {
    /// The file, within the dataset.
    pub fn file(&self) -> PathBuf {
        file_of(&self.job)
    }

    /// Whether the file is there in its length.
    pub(crate) fn is_there(&self, dataset: &Path) -> bool {
        let length = std::fs::metadata(dataset.join(self.file())).map(|file| file.len());
        length.is_ok_and(|length| Some(length) == self.length())
    }

    fn length(&self) -> Option<u64> {
        self.cells.checked_mul(EACH as u64)
    }

    /// Reads the file and shows its hashes, block by block. Only once it was found whole is what
    /// was shown to be believed.
    pub(crate) fn read(
        &self,
        dataset: &Path,
        mut show: impl FnMut(&mut dyn Iterator<Item = u64>),
    ) -> Result<HashFile, StoreError> {
        let path = dataset.join(self.file());
        // Looked at before it is opened: a pipe would wait for somebody to write.
        let found = match std::fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(HashFile::Missing),
            other => other.named("open", &path)?,
        };
        let length = found.len();
        if !found.is_file() || Some(length) != self.length() {
            return Ok(HashFile::Changed);
        }
        let mut file = File::open(&path).named("open", &path)?;
        // Many appends are many small files.
        let mut block = vec![0; usize::try_from(length).map_or(BLOCK, |length| length.min(BLOCK))];
        let (mut left, mut digest) = (length, Xxh3::new());
        while left > 0 {
            let bytes = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
            let bytes = &mut block[..bytes];
            match file.read_exact(bytes) {
                // It became shorter since it was looked at.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(HashFile::Changed);
                }
                other => other.named("read", &path)?,
            }
            digest.update(bytes);
            let (hashes, _) = bytes.as_chunks();
            show(&mut hashes.iter().copied().map(u64::from_le_bytes));
            left -= bytes.len() as u64;
        }
        match hex(&digest) == self.xxh3 {
            true => Ok(HashFile::Whole),
            false => Ok(HashFile::Changed),
        }
    }
}

fn file_of(job: &JobId) -> PathBuf {
    Path::new(CELL_HASHES).join(format!("{}.u64", job.short()))
}

/// The XXH3 hash of the bytes of a small file, in hexadecimal digits; `None` where it is missing.
pub(crate) fn hash_of_file(path: &Path) -> Result<Option<String>, StoreError> {
    let found = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.named("open", path)?,
    };
    // A pipe would wait for somebody to write.
    if !found.is_file() {
        return Ok(Some("no file".into()));
    }
    let mut file = File::open(path).named("open", path)?;
    let (mut digest, mut block) = (Xxh3::new(), vec![0; BLOCK]);
    loop {
        match file.read(&mut block).named("read", path)? {
            0 => return Ok(Some(hex(&digest))),
            bytes => digest.update(&block[..bytes]),
        }
    }
}

fn hex(digest: &Xxh3) -> String {
    format!("{:016x}", digest.digest())
}

impl DatasetConfig {
    /// The files that together have the hash of every cell, if there are such.
    pub(crate) fn hashes_of_all_cells(&self) -> Option<&[CellHashes]> {
        let mut files = self.cell_hashes.iter();
        let covered = files.try_fold(0u64, |sum, file| sum.checked_add(file.cells));
        let whole = self.is_described() && covered == Some(self.array_shape[0]);
        whole.then_some(&self.cell_hashes)
    }
}

impl Dataset {
    /// Shows the hash of every cell, or as many as there are before a file is found that is not
    /// what config.json says. Returns whether these were all.
    pub(super) fn read_hashes(
        &self,
        mut show: impl FnMut(&mut dyn Iterator<Item = u64>),
    ) -> Result<bool, StoreError> {
        let Some(files) = self.config().hashes_of_all_cells() else {
            return Ok(false);
        };
        for file in files {
            if file.read(self.path(), &mut show)? != HashFile::Whole {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Hashes identifiers one after the other, as they are in a file.
#[derive(Default)]
pub(crate) struct IdHasher {
    bytes: Vec<u8>,
    digest: Xxh3,
    cells: u64,
}

impl IdHasher {
    /// The bytes that stand for the next identifiers.
    pub fn add(&mut self, ids: &StringArray) -> &[u8] {
        let hashes = ids.iter().map(|id| id_hash(id.unwrap_or_default()));
        self.bytes.clear();
        self.bytes.extend(hashes.flat_map(u64::to_le_bytes));
        self.digest.update(&self.bytes);
        self.cells += ids.len() as u64;
        &self.bytes
    }

    /// What config.json tells of the file that has all of them.
    pub fn finish(self, job: &JobId) -> CellHashes {
        CellHashes {
            job: job.clone(),
            cells: self.cells,
            xxh3: hex(&self.digest),
        }
    }
}

/// Writes the file of a job.
pub(crate) struct CellHashWriter {
    job: JobId,
    path: PathBuf,
    file: BufWriter<File>,
    hasher: IdHasher,
}

impl CellHashWriter {
    /// Begins the file anew, whatever an earlier run of the job wrote: nothing refers to it.
    pub fn create(dataset: &Path, job: &JobId) -> Result<Self, StoreError> {
        create_folder(&dataset.join(CELL_HASHES))?;
        let path = dataset.join(file_of(job));
        let file = File::create(&path).named("create", &path)?;
        Ok(CellHashWriter {
            job: job.clone(),
            path,
            file: BufWriter::new(file),
            hasher: IdHasher::default(),
        })
    }

    /// Adds the next cells.
    pub fn add(&mut self, ids: &StringArray) -> Result<(), StoreError> {
        let bytes = self.hasher.add(ids);
        self.file.write_all(bytes).named("write", &self.path)
    }

    /// Ends the file, which is durable then.
    pub fn finish(self) -> Result<CellHashes, StoreError> {
        let written = self.file.into_inner().map_err(|error| error.into_error());
        let synced = written.and_then(|file| file.sync_all());
        synced.named("write", &self.path)?;
        sync_folder(self.path.parent().unwrap_or(&self.path))?;
        Ok(self.hasher.finish(&self.job))
    }
}

/// The names of the files in the folder that config.json does not tell of.
pub(crate) fn unnamed_hashes(
    dataset: &Path,
    named: &[CellHashes],
) -> Result<Vec<PathBuf>, StoreError> {
    let folder = dataset.join(CELL_HASHES);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.named("list", &folder)?,
    };
    let named: HashSet<PathBuf> = named.iter().map(CellHashes::file).collect();
    let mut unnamed = Vec::new();
    for entry in entries {
        let file = Path::new(CELL_HASHES).join(entry.named("list", &folder)?.file_name());
        if !named.contains(&file) {
            unnamed.push(file);
        }
    }
    unnamed.sort();
    Ok(unnamed)
}

/// Removes the files that config.json does not tell of: those of jobs that were given up, or whose
/// hashes a later job wrote again.
pub(crate) fn remove_unnamed_hashes(
    dataset: &Path,
    named: &[CellHashes],
) -> Result<(), StoreError> {
    for file in unnamed_hashes(dataset, named)? {
        remove_file(&dataset.join(file))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, job: &str, ids: &[&str]) -> CellHashes {
        let mut writer = CellHashWriter::create(folder, &JobId::beginning(job)).unwrap();
        for ids in ids.chunks(2) {
            writer.add(&StringArray::from_iter_values(ids)).unwrap();
        }
        writer.finish().unwrap()
    }

    fn read(hashes: &CellHashes, folder: &Path) -> (HashFile, Vec<u64>) {
        let mut found = Vec::new();
        let state = hashes.read(folder, |block| found.extend(block)).unwrap();
        (state, found)
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let many: Vec<String> = (0..40_000).map(|number| format!("cell {number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for ids in [&[][..], &["a"], &["a", "b", "c"], &many] {
            let hashes = written(folder.path(), "0123", ids);
            let expected: Vec<u64> = ids.iter().map(|id| id_hash(id)).collect();
            assert_eq!(read(&hashes, folder.path()), (HashFile::Whole, expected));
        }
    }

    #[test]
    fn other_bytes_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let hashes = written(folder.path(), "0123", &["a", "b"]);
        let path = folder.path().join(hashes.file());
        let bytes = std::fs::read(&path).unwrap();
        let mut changed = bytes.clone();
        changed[9] ^= 1;
        for wrong in [&changed[..], &bytes[..8], &[&bytes[..], &[0; 8]].concat()] {
            std::fs::write(&path, wrong).unwrap();
            assert_eq!(read(&hashes, folder.path()).0, HashFile::Changed);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read(&hashes, folder.path()).0, HashFile::Missing);
        let absurd = CellHashes {
            cells: u64::MAX,
            ..hashes
        };
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(read(&absurd, folder.path()).0, HashFile::Changed);
    }

    #[test]
    fn files_that_are_not_told_of_go() {
        let folder = tempfile::tempdir().unwrap();
        let kept = written(folder.path(), "kept", &["a"]);
        written(folder.path(), "other", &["a"]);
        remove_unnamed_hashes(folder.path(), std::slice::from_ref(&kept)).unwrap();
        assert_eq!(read(&kept, folder.path()).0, HashFile::Whole);
        let left = std::fs::read_dir(folder.path().join(CELL_HASHES)).unwrap();
        assert_eq!(left.count(), 1);
        remove_unnamed_hashes(&folder.path().join("nowhere"), &[]).unwrap();
    }
}
