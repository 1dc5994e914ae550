//! What identifies an input.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use arrow::array::StringArray;
use serde::{Deserialize, Serialize};

use crate::source::blocks::RowBlocks;
use crate::source::{CellSource, SourceError};

/// What an input must still be when a job goes on, and by which the same input is known again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Size of its files in bytes.
    pub bytes: u64,
    /// Nanoseconds since 1970 of the last modification.
    pub modified: u64,
    pub cells: u64,
    pub genes: u64,
    /// Stored entries of the matrix, where the headers tell.
    pub entries: Option<u64>,
    /// Digest of the identifiers of all cells and genes, in order.
    pub ids: String,
}

/// Identifiers that occur more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// Rows whose identifier an earlier row has.
    pub count: u64,
    /// One such identifier.
    pub example: Option<String>,
}

/// What a first reading of all identifiers tells.
pub(super) struct Taken {
    pub fingerprint: Fingerprint,
    pub repeated_cells: Repeats,
    pub repeated_genes: Repeats,
    /// The hash of each cell's identifier.
    pub cell_hashes: Vec<u64>,
}

type Ids<'a> = dyn Fn(Range<u64>) -> Result<StringArray, SourceError> + 'a;

impl Fingerprint {
    /// Checks that the input has not been written to since it was surveyed.
    pub fn check_unchanged(&self, source: &dyn CellSource) -> Result<(), SourceError> {
        if size_and_time_of_all(&source.files())? == (self.bytes, self.modified) {
            return Ok(());
        }
        Err(SourceError::Damaged {
            path: source.description().path.clone(),
            object: "/".into(),
            problem: "the file was changed while it was read; run again, with --no-resume".into(),
        })
    }
}

/// Bytes of all files together, and nanoseconds since 1970 of the last modification of any.
fn size_and_time_of_all(files: &[PathBuf]) -> Result<(u64, u64), SourceError> {
    files
        .iter()
        .try_fold((0u64, 0u64), |(bytes, modified), file| {
            let (size, time) = size_and_time(file)?;
            Ok((bytes.saturating_add(size), modified.max(time)))
        })
}

/// Bytes, and nanoseconds since 1970 of the last modification; of a folder, of all files in it.
fn size_and_time(path: &Path) -> Result<(u64, u64), SourceError> {
    let io = |source| SourceError::Io {
        action: "open",
        path: path.to_path_buf(),
        source,
    };
    let metadata = std::fs::metadata(path).map_err(io)?;
    let modified = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| u64::try_from(since.as_nanos()).ok())
        .unwrap_or(0);
    if !metadata.is_dir() {
        return Ok((metadata.len(), modified));
    }
    let (mut bytes, mut latest) = (0u64, modified);
    for entry in std::fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?;
        // A link may lead back to this folder.
        if entry.file_type().map_err(io)?.is_symlink() {
            continue;
        }
        let (size, modified) = size_and_time(&entry.path())?;
        bytes = bytes.saturating_add(size);
        latest = latest.max(modified);
    }
    Ok((bytes, latest))
}

/// The hash by which identifiers of cells are compared. It is never stored.
pub(crate) fn id_hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Reads all identifiers once.
pub(super) fn take(source: &dyn CellSource) -> Result<Taken, SourceError> {
    let description = source.description();
    let (bytes, modified) = size_and_time_of_all(&source.files())?;
    let mut digest = blake3::Hasher::new();
    let (repeated_cells, cell_hashes) = digest_ids(&mut digest, description.cells, &|range| {
        source.cell_ids(range)
    })?;
    let (repeated_genes, _) = digest_ids(&mut digest, description.genes, &|range| {
        source.gene_ids(range)
    })?;
    let fingerprint = Fingerprint {
        bytes,
        modified,
        cells: description.cells,
        genes: description.genes,
        entries: description.main.entries,
        ids: digest.finalize().to_hex()[..32].to_string(),
    };
    Ok(Taken {
        fingerprint,
        repeated_cells,
        repeated_genes,
        cell_hashes,
    })
}

/// Adds identifiers to the digest and counts those that repeat, in 24 bytes of memory each.
fn digest_ids(
    digest: &mut blake3::Hasher,
    count: u64,
    ids: &Ids<'_>,
) -> Result<(Repeats, Vec<u64>), SourceError> {
    let mut seen: Vec<(u64, u64)> = Vec::new();
    let mut blocks = RowBlocks::new(0..count, 1);
    digest.update(&count.to_le_bytes());
    while let Some(rows) = blocks.next() {
        let block = ids(rows.clone())?;
        blocks.held(block.values().len() as u64);
        for (row, id) in rows.zip(block.iter()) {
            let id = id.unwrap_or_default();
            digest.update(&(id.len() as u64).to_le_bytes());
            digest.update(id.as_bytes());
            seen.push((id_hash(id), row));
        }
    }
    let hashes = seen.iter().map(|(hash, _)| *hash).collect();
    seen.sort_unstable();
    let mut repeats = Repeats::default();
    let mut example = None;
    for pair in seen.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        repeats.count += 1;
        example = example.min(Some(pair[1].1)).or(Some(pair[1].1));
    }
    if let Some(row) = example {
        repeats.example = Some(ids(row..row + 1)?.value(0).to_string());
    }
    Ok((repeats, hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats(ids: &[&str]) -> (String, Repeats) {
        let mut digest = blake3::Hasher::new();
        let read = |range: Range<u64>| {
            Ok(StringArray::from_iter_values(
                &ids[range.start as usize..range.end as usize],
            ))
        };
        let (repeats, _) = digest_ids(&mut digest, ids.len() as u64, &read).unwrap();
        (digest.finalize().to_hex().to_string(), repeats)
    }

    #[test]
    fn counts_what_repeats() {
        let (_, none) = repeats(&["a", "b"]);
        assert_eq!(none, Repeats::default());
        let (_, some) = repeats(&["a", "b", "a", "a"]);
        assert_eq!(
            some,
            Repeats {
                count: 2,
                example: Some("a".into())
            }
        );
    }

    #[test]
    fn order_and_boundaries_matter() {
        assert_ne!(repeats(&["a", "b"]).0, repeats(&["b", "a"]).0);
        assert_ne!(repeats(&["ab", ""]).0, repeats(&["a", "b"]).0);
    }
}
