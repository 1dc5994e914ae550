//! What identifies an input.

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::StringArray;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::gene_lists::{ListDigest, Versions};
use crate::source::blocks::RowBlocks;
use crate::source::{CellSource, SourceError, Stamp};

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
    /// The digest of the identifiers of the genes alone.
    pub gene_ids: String,
    pub gene_versions: Versions,
}

type Ids<'a> = dyn Fn(Range<u64>) -> Result<StringArray, SourceError> + 'a;

impl Fingerprint {
    /// Reads what identifies an input.
    pub(crate) fn of(source: &dyn CellSource) -> Result<Self, SourceError> {
        let stamp = Stamp::of(&source.files())?;
        Ok(take(source, stamp)?.fingerprint)
    }

    /// Checks that the files of an input have not been written to since it was surveyed.
    pub fn check_unchanged(&self, path: &Path, files: &[PathBuf]) -> Result<(), SourceError> {
        let Stamp {
            bytes, modified, ..
        } = Stamp::of(files)?;
        if (bytes, modified) == (self.bytes, self.modified) {
            return Ok(());
        }
        Err(SourceError::Damaged {
            path: path.to_path_buf(),
            object: String::new(),
            problem: "the file was changed while it was read; run again, with --no-resume".into(),
        })
    }
}

/// The hash by which identifiers of cells are compared. It is never stored.
pub(crate) fn id_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// Reads all identifiers once, of a source whose files had this stamp before.
pub(super) fn take(source: &dyn CellSource, stamp: Stamp) -> Result<Taken, SourceError> {
    let description = source.description();
    let (cells, genes) = (description.n_obs, description.n_vars);
    let (mut digest, mut gene_ids) = (ListDigest::default(), ListDigest::default());
    digest.begin(cells);
    let (repeated_cells, cell_hashes) =
        look_through(cells, &|rows| source.obs_names(rows), |id| digest.add(id))?;
    digest.begin(genes);
    let mut gene_versions = Versions::default();
    let (repeated_genes, _) = look_through(genes, &|rows| source.var_names(rows), |id| {
        digest.add(id);
        gene_ids.add(id);
        gene_versions.add(id);
    })?;
    Ok(Taken {
        fingerprint: Fingerprint {
            bytes: stamp.bytes,
            modified: stamp.modified,
            cells,
            genes,
            entries: description.x.entries,
            ids: digest.finish(),
        },
        repeated_cells,
        repeated_genes,
        cell_hashes,
        gene_ids: gene_ids.finish(),
        gene_versions,
    })
}

/// Identifiers for which memory is taken before they are read; more are believed when they come.
const BELIEVED: u64 = 1 << 22;

/// Shows all identifiers, and counts those that repeat, in 16 bytes of memory each. Returns the
/// hash of each, too.
fn look_through(
    count: u64,
    ids: &Ids<'_>,
    mut show: impl FnMut(&str),
) -> Result<(Repeats, Vec<u64>), SourceError> {
    let mut hashes = Vec::with_capacity(count.min(BELIEVED) as usize);
    let mut blocks = RowBlocks::new(0..count, 1);
    while let Some((_, block)) = blocks.read(ids)? {
        blocks.held(block.values().len() as u64);
        for id in block.iter() {
            let id = id.unwrap_or_default();
            show(id);
            hashes.push(id_hash(id));
        }
    }
    let mut repeats = Repeats::default();
    if let Some(row) = first_again(&hashes, &mut repeats.count) {
        repeats.example = Some(ids(row..row + 1)?.value(0).to_string());
    }
    Ok((repeats, hashes))
}

/// The first row whose hash an earlier row has, and how many there are.
fn first_again(hashes: &[u64], count: &mut u64) -> Option<u64> {
    let mut sorted = hashes.to_vec();
    sorted.sort_unstable();
    let again = sorted.windows(2).filter(|pair| pair[0] == pair[1]);
    let again: FxHashSet<u64> = again.map(|pair| pair[0]).collect();
    if again.is_empty() {
        return None;
    }
    sorted.dedup();
    *count = (hashes.len() - sorted.len()) as u64;
    // The second of a hash is the first that an earlier row has.
    let mut seen = FxHashSet::default();
    let first = hashes
        .iter()
        .position(|hash| again.contains(hash) && !seen.insert(*hash));
    first.map(|row| row as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeats(ids: &[&str]) -> (String, Repeats) {
        let mut digest = ListDigest::default();
        let read = |range: Range<u64>| {
            Ok(StringArray::from_iter_values(
                &ids[range.start as usize..range.end as usize],
            ))
        };
        let count = ids.len() as u64;
        let (repeats, hashes) = look_through(count, &read, |id| digest.add(id)).unwrap();
        assert_eq!(hashes.len(), ids.len());
        (digest.finish(), repeats)
    }

    #[test]
    fn counts_what_repeats() {
        let (_, none) = repeats(&["a", "b"]);
        assert_eq!(none, Repeats::default());
        let (_, some) = repeats(&["b", "a", "c", "a", "a", "b"]);
        assert_eq!(
            some,
            Repeats {
                count: 3,
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
