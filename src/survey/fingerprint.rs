//! Fingerprints, which identify inputs.

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::StringArray;
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::gene_lists::{ListDigest, Versions};
use crate::remedy::Setting;
use crate::source::blocks::RowBlocks;
use crate::source::{CellSource, SourceError, Stamp};

/// What must not have changed in an input when a job is resumed. Also identifies an input that was
/// converted before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Total size of the files in bytes.
    pub bytes: u64,
    /// Time of the last modification, in nanoseconds since 1970.
    pub modified: u64,
    /// Number of cells.
    pub cells: u64,
    /// Number of genes.
    pub genes: u64,
    /// Number of stored entries of the main matrix, if the headers give it.
    pub entries: Option<u64>,
    /// Digest of the identifiers of all cells and genes, in order.
    pub ids: String,
    /// Digest of all that it holds, where it has no files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
}

/// Identifiers that occur more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// Number of rows whose identifier an earlier row has.
    pub count: u64,
    /// An example of such an identifier.
    pub example: Option<String>,
}

/// Results of the first pass over all identifiers.
pub(super) struct IdentifierSurvey {
    /// Fingerprint of the input.
    pub fingerprint: Fingerprint,
    /// Cell identifiers that occur more than once.
    pub repeated_cells: Repeats,
    /// Gene identifiers that occur more than once.
    pub repeated_genes: Repeats,
    /// Hash of each cell's identifier.
    pub cell_hashes: Vec<u64>,
    /// Digest of the gene identifiers alone.
    pub gene_ids: String,
    /// Counts of Ensembl identifiers among the genes' identifiers.
    pub gene_versions: Versions,
}

type Ids<'a> = dyn Fn(Range<u64>) -> Result<StringArray, SourceError> + 'a;

impl Fingerprint {
    /// Reads what identifies an input.
    pub(crate) fn of(source: &dyn CellSource) -> Result<Self, SourceError> {
        let stamp = Stamp::of(&source.files())?;
        Ok(take(source, stamp)?.fingerprint)
    }

    /// Checks that the files of an input have not been modified since the fingerprint was taken.
    ///
    /// # Errors
    /// If the files' sizes or modification times differ, or cannot be read.
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
            problem: format!(
                "the file was changed while it was read; run again, with {}",
                Setting::any("no-resume")
            ),
        })
    }
}

/// Hash used to compare cell identifiers; never stored.
pub(crate) fn id_hash(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// Reads all identifiers once. `stamp` is the stamp that the source's files had before.
pub(super) fn take(source: &dyn CellSource, stamp: Stamp) -> Result<IdentifierSurvey, SourceError> {
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
    Ok(IdentifierSurvey {
        fingerprint: Fingerprint {
            bytes: stamp.bytes,
            modified: stamp.modified,
            cells,
            genes,
            entries: description.x.entries,
            ids: digest.finish(),
            content: source.content_digest(),
        },
        repeated_cells,
        repeated_genes,
        cell_hashes,
        gene_ids: gene_ids.finish(),
        gene_versions,
    })
}

/// Number of identifiers for which memory is reserved in advance; the headers are not trusted
/// beyond that.
const BELIEVED: u64 = 1 << 22;

/// Passes all identifiers to the callback and counts repeats, using 16 bytes of memory per
/// identifier. Also returns the hash of each.
fn look_through(
    count: u64,
    ids: &Ids<'_>,
    mut show: impl FnMut(&str),
) -> Result<(Repeats, Vec<u64>), SourceError> {
    let mut hashes = Vec::with_capacity(count.min(BELIEVED) as usize);
    let mut blocks = RowBlocks::new(0..count, 1);
    while let Some((_, block)) = blocks.read(ids)? {
        blocks.held(block.values().len() as u64);
        for id in &block {
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

/// Returns the first row whose hash an earlier row has, and sets `count` to the number of such
/// rows.
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
    // The second occurrence of a hash is the first repeated row.
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
