//! Hashes of the identifiers and of the contents of all cells, stored in the folder of the cells
//! table, so that an append can find duplicate cells without reading the whole dataset.
//!
//! A job that adds cells writes two files, which are never changed: the XXH3 hash of each
//! identifier, and the content hash of each cell, as 64-bit little-endian numbers. `config.json`
//! lists the files in the order of their cells, each with the XXH3 hash of its bytes. They are a
//! shortcut: if they do not cover all cells, or a file does not match config.json, identifiers and
//! rows are read instead.

use std::collections::HashSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use arrow::array::{Array, StringArray};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::hash_file::{self, HashFile, HashFileWriter, hex, read_hashes};
use super::{Dataset, DatasetConfig};
use crate::chunk::Digest;
use crate::plan::JobId;
use crate::store::{Named, StoreError, create_folder, remove_file};
use crate::survey::id_hash;

/// Folder of the files in the dataset. Lance does not touch files that it does not know.
pub const CELL_HASHES: &str = "cells.lance/_hashes";

/// Hashes of the cells that a job added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellHashes {
    /// The job, after which the file is named.
    pub job: JobId,
    /// Number of cells.
    pub cells: u64,
    /// XXH3 hash of the file in hexadecimal digits.
    pub xxh3: String,
    /// File with the content hashes of the cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<ContentHashes>,
}

/// Content hashes of cells. Each is the sum over the cell's genes and values, independent of its
/// name, or 0 if its values add up to less than ten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentHashes {
    /// XXH3 hash of the file in hexadecimal digits.
    pub xxh3: String,
    /// Digest of the cells' rows; the hashes are void if the rows have another one.
    pub digest: Digest,
}

impl CellHashes {
    /// Path of the file within the dataset.
    pub fn file(&self) -> PathBuf {
        file_of(&self.job)
    }

    /// Path of the file with the content hashes within the dataset, if there is one.
    pub fn contents_file(&self) -> Option<PathBuf> {
        self.contents.as_ref().map(|_| contents_file(&self.job))
    }

    /// Whether the file exists with the expected length.
    pub(crate) fn is_there(&self, dataset: &Path) -> bool {
        let length = std::fs::metadata(dataset.join(self.file())).map(|file| file.len());
        length.is_ok_and(|length| Some(length) == hash_file::length(self.cells))
    }

    /// Passes the hashes in the file to the callback, block by block. They may only be used if the
    /// file is then found to be valid.
    pub(crate) fn read(
        &self,
        dataset: &Path,
        show: impl FnMut(&mut dyn Iterator<Item = u64>),
    ) -> Result<HashFile, StoreError> {
        read_hashes(&dataset.join(self.file()), self.cells, &self.xxh3, show)
    }

    /// Like [`CellHashes::read`], for the content hashes.
    pub(crate) fn read_contents(
        &self,
        dataset: &Path,
        show: impl FnMut(&mut dyn Iterator<Item = u64>),
    ) -> Result<HashFile, StoreError> {
        match &self.contents {
            None => Ok(HashFile::Missing),
            Some(contents) => {
                let path = dataset.join(contents_file(&self.job));
                read_hashes(&path, self.cells, &contents.xxh3, show)
            }
        }
    }
}

fn file_of(job: &JobId) -> PathBuf {
    Path::new(CELL_HASHES).join(format!("{}.u64", job.short()))
}

/// Returns the XXH3 hash of the bytes of a small file in hexadecimal digits; `None` if it does not
/// exist.
pub(crate) fn hash_of_file(path: &Path) -> Result<Option<String>, StoreError> {
    let found = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.named("open", path)?,
    };
    // Opening a pipe would block until somebody writes.
    if !found.is_file() {
        return Ok(Some("no file".into()));
    }
    let mut file = File::open(path).named("open", path)?;
    let (mut digest, mut block) = (Xxh3::new(), vec![0; hash_file::BLOCK]);
    loop {
        match file.read(&mut block).named("read", path)? {
            0 => return Ok(Some(hex(&digest))),
            bytes => digest.update(&block[..bytes]),
        }
    }
}

/// Path of the file with the content hashes of a job's cells within the dataset.
pub(crate) fn contents_file(job: &JobId) -> PathBuf {
    Path::new(CELL_HASHES).join(format!("{}.contents.u64", job.short()))
}

impl DatasetConfig {
    /// Returns the files that together contain the hash of every cell, if there are any.
    pub(crate) fn hashes_of_all_cells(&self) -> Option<&[CellHashes]> {
        let mut files = self.cell_hashes.iter();
        let covered = files.try_fold(0u64, |sum, file| sum.checked_add(file.cells));
        let whole = self.is_described() && covered == Some(self.array_shape[0]);
        whole.then_some(&self.cell_hashes)
    }

    /// Returns the digest of the rows of the cells from `first` to `end` (exclusive).
    pub(crate) fn digest_of_cells(&self, first: u64, end: u64) -> Digest {
        let sources = self.sources.iter();
        let sources = sources.filter(|source| (first..end).contains(&source.first_cell));
        let mut sum = Digest::default();
        for digest in sources.filter_map(|source| source.digests.get("expression")) {
            sum.add(*digest);
        }
        sum
    }

    /// Records the digest of the rows to which the content hashes in the last file refer.
    pub(crate) fn digest_last_contents(&mut self) {
        let Some(last) = self.cell_hashes.last() else {
            return;
        };
        let first = self.array_shape[0].saturating_sub(last.cells);
        let digest = self.digest_of_cells(first, u64::MAX);
        let last = self.cell_hashes.last_mut();
        if let Some(contents) = last.and_then(|last| last.contents.as_mut()) {
            contents.digest = digest;
        }
    }

    /// Whether the content hashes in these files refer to the current rows.
    fn contents_are_told(&self, files: &[CellHashes]) -> bool {
        let mut first = 0;
        files.iter().all(|file| {
            let end = first + file.cells;
            // Inputs without cells come at the end of other inputs.
            let digest = self.digest_of_cells(first, end);
            first = end;
            file.contents
                .as_ref()
                .is_some_and(|contents| contents.digest == digest)
        })
    }
}

impl Dataset {
    /// Passes the hash of every cell to the callback, or of those before the first file that does
    /// not match config.json. Returns whether these were all.
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

impl Dataset {
    /// Whether these files contain the content hashes of all cells.
    pub(crate) fn has_contents(&self, files: &[CellHashes]) -> Result<bool, StoreError> {
        if !self.config().contents_are_told(files) {
            return Ok(false);
        }
        for file in files {
            if file.read_contents(self.path(), |_| ())? != HashFile::Whole {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Passes the content hashes of all cells to the callback, from files that are known to be
    /// valid.
    pub(crate) fn read_contents(
        &self,
        files: &[CellHashes],
        show: &mut dyn FnMut(&mut dyn Iterator<Item = u64>),
    ) -> Result<(), StoreError> {
        for file in files {
            file.read_contents(self.path(), &mut *show)?;
        }
        Ok(())
    }
}

/// Hashes identifiers one after the other, as in a file.
#[derive(Default)]
pub(crate) struct IdHasher {
    digest: Xxh3,
    cells: u64,
}

impl IdHasher {
    /// Adds the next identifiers.
    pub fn add(&mut self, ids: &StringArray) {
        for hash in id_hashes(ids) {
            self.digest.update(&hash.to_le_bytes());
        }
        self.cells += ids.len() as u64;
    }

    /// Whether these are the cells of a file.
    pub fn is_of(&self, file: &CellHashes) -> bool {
        self.cells == file.cells && hex(&self.digest) == file.xxh3
    }
}

/// The hashes of identifiers, as they are in a file.
pub(crate) fn id_hashes(ids: &StringArray) -> impl Iterator<Item = u64> {
    ids.iter().map(|id| id_hash(id.unwrap_or_default()))
}

/// Writes the file of a job.
pub(crate) struct CellHashWriter {
    job: JobId,
    file: HashFileWriter,
}

impl CellHashWriter {
    /// Creates the file, replacing what an earlier run of the job wrote: nothing refers to it.
    pub fn create(dataset: &Path, job: &JobId) -> Result<Self, StoreError> {
        create_folder(&dataset.join(CELL_HASHES))?;
        Ok(CellHashWriter {
            job: job.clone(),
            file: HashFileWriter::create(dataset.join(file_of(job)))?,
        })
    }

    /// Adds the next cells.
    pub fn add(&mut self, ids: &StringArray) -> Result<(), StoreError> {
        self.file.add(id_hashes(ids))
    }

    /// Adds cells by the hashes of their identifiers.
    pub fn add_hashes(&mut self, hashes: impl IntoIterator<Item = u64>) -> Result<(), StoreError> {
        self.file.add(hashes)
    }

    /// Finishes the file, which is then durable.
    pub fn finish(self) -> Result<CellHashes, StoreError> {
        let (cells, xxh3) = self.file.finish()?;
        Ok(CellHashes {
            job: self.job,
            cells,
            xxh3,
            contents: None,
        })
    }
}

/// Lists the files in the folder that config.json does not mention.
pub(crate) fn unnamed_hashes(
    dataset: &Path,
    named: &[CellHashes],
) -> Result<Vec<PathBuf>, StoreError> {
    let folder = dataset.join(CELL_HASHES);
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.named("list", &folder)?,
    };
    let files = |hashes: &CellHashes| [Some(hashes.file()), hashes.contents_file()];
    let named: HashSet<PathBuf> = named.iter().flat_map(files).flatten().collect();
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

/// Removes the files that config.json does not mention: those of abandoned jobs, and those replaced
/// by a later job.
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
