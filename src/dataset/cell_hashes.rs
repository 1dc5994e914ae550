//! The hashes of the identifiers of all cells, and of what they hold, kept in the folder of their
//! table, so that an append finds out whether a dataset has its cells without reading all of them.
//!
//! A job that adds cells writes two files, which are never changed: the XXH3 hash of each identifier,
//! and the hash of what each cell holds, 64 bits each, little-endian. `config.json` tells the files in
//! the order of their cells, each with the XXH3 hash of its bytes. They are a shortcut: where they do
//! not cover all cells, or a file is not what config.json says, identifiers and rows are read.

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

/// The folder of the files, within the dataset. Lance leaves alone what it does not know.
pub const CELL_HASHES: &str = "cells.lance/_hashes";

/// The hashes of the cells that a job added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellHashes {
    /// The job, which names the file.
    pub job: JobId,
    pub cells: u64,
    /// The XXH3 hash of the file, in hexadecimal digits.
    pub xxh3: String,
    /// The file of what the cells hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contents: Option<ContentHashes>,
}

/// The hashes of what cells hold: of each, the sum over its genes and values, whatever its name; 0 of
/// one whose values add up to less than ten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentHashes {
    /// The XXH3 hash of the file, in hexadecimal digits.
    pub xxh3: String,
    /// The digest of the cells' rows: should it no longer be that, the hashes are void.
    pub digest: Digest,
}

impl CellHashes {
    /// The file, within the dataset.
    pub fn file(&self) -> PathBuf {
        file_of(&self.job)
    }

    /// The file of what the cells hold, if there is one.
    pub fn contents_file(&self) -> Option<PathBuf> {
        self.contents.as_ref().map(|_| contents_file(&self.job))
    }

    /// Whether the file is there in its length.
    pub(crate) fn is_there(&self, dataset: &Path) -> bool {
        let length = std::fs::metadata(dataset.join(self.file())).map(|file| file.len());
        length.is_ok_and(|length| Some(length) == hash_file::length(self.cells))
    }

    /// Reads the file and shows its hashes, block by block. Only once it was found whole is what
    /// was shown to be believed.
    pub(crate) fn read(
        &self,
        dataset: &Path,
        show: impl FnMut(&mut dyn Iterator<Item = u64>),
    ) -> Result<HashFile, StoreError> {
        read_hashes(&dataset.join(self.file()), self.cells, &self.xxh3, show)
    }

    /// Likewise of what the cells hold.
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
    let (mut digest, mut block) = (Xxh3::new(), vec![0; hash_file::BLOCK]);
    loop {
        match file.read(&mut block).named("read", path)? {
            0 => return Ok(Some(hex(&digest))),
            bytes => digest.update(&block[..bytes]),
        }
    }
}

/// The file of what the cells of a job hold, within the dataset.
pub(crate) fn contents_file(job: &JobId) -> PathBuf {
    Path::new(CELL_HASHES).join(format!("{}.contents.u64", job.short()))
}

impl DatasetConfig {
    /// The files that together have the hash of every cell, if there are such.
    pub(crate) fn hashes_of_all_cells(&self) -> Option<&[CellHashes]> {
        let mut files = self.cell_hashes.iter();
        let covered = files.try_fold(0u64, |sum, file| sum.checked_add(file.cells));
        let whole = self.is_described() && covered == Some(self.array_shape[0]);
        whole.then_some(&self.cell_hashes)
    }

    /// The digest of the rows of cells from `first` on, before `end`.
    pub(crate) fn digest_of_cells(&self, first: u64, end: u64) -> Digest {
        let sources = self.sources.iter();
        let sources = sources.filter(|source| (first..end).contains(&source.first_cell));
        let mut sum = Digest::default();
        for digest in sources.filter_map(|source| source.digests.get("expression")) {
            sum.add(*digest);
        }
        sum
    }

    /// Binds the hashes of what the cells of the last file hold to their rows.
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

    /// Whether these files tell of the rows that are there what each cell holds.
    fn contents_are_told(&self, files: &[CellHashes]) -> bool {
        let mut first = 0;
        files.iter().all(|file| {
            let end = first + file.cells;
            // Inputs without cells stand at the end of others.
            let digest = self.digest_of_cells(first, end);
            first = end;
            file.contents
                .as_ref()
                .is_some_and(|contents| contents.digest == digest)
        })
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

impl Dataset {
    /// Whether files tell what all cells hold.
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

    /// Shows the hashes of what all cells hold, of files that were found to be whole.
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

/// Hashes identifiers one after the other, as they are in a file.
#[derive(Default)]
pub(crate) struct IdHasher {
    digest: Xxh3,
    cells: u64,
}

impl IdHasher {
    /// Adds the next identifiers.
    pub fn add(&mut self, ids: &StringArray) {
        for hash in hashes(ids) {
            self.digest.update(&hash.to_le_bytes());
        }
        self.cells += ids.len() as u64;
    }

    /// Whether these are the cells of a file.
    pub fn is_of(&self, file: &CellHashes) -> bool {
        self.cells == file.cells && hex(&self.digest) == file.xxh3
    }
}

fn hashes(ids: &StringArray) -> impl Iterator<Item = u64> {
    ids.iter().map(|id| id_hash(id.unwrap_or_default()))
}

/// Writes the file of a job.
pub(crate) struct CellHashWriter {
    job: JobId,
    file: HashFileWriter,
}

impl CellHashWriter {
    /// Begins the file anew, whatever an earlier run of the job wrote: nothing refers to it.
    pub fn create(dataset: &Path, job: &JobId) -> Result<Self, StoreError> {
        create_folder(&dataset.join(CELL_HASHES))?;
        Ok(CellHashWriter {
            job: job.clone(),
            file: HashFileWriter::create(dataset.join(file_of(job)))?,
        })
    }

    /// Adds the next cells.
    pub fn add(&mut self, ids: &StringArray) -> Result<(), StoreError> {
        self.file.add(hashes(ids))
    }

    /// Ends the file, which is durable then.
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
