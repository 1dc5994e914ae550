//! Inputs that occur more than once: via a link, or both inside and outside an archive.

use std::collections::hash_map::Entry;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::xxh3_64;

use super::{Candidate, Finds, PassedOver};
use crate::source::SourceError;
use crate::source::text::TextFile;

/// Number of bytes to compare before reading files completely.
const START: u64 = 64 << 10;

/// Keeps one of each set of identical inputs.
pub(super) fn keep_one_of_each(root: &Path, finds: &mut Finds) {
    let mut candidates = std::mem::take(&mut finds.candidates);
    // Prefer a file itself over a link to it, and both over an archive.
    candidates.sort_by_cached_key(|candidate| {
        let archived = candidate.archive.is_some();
        let is_link = !archived && !is_reached_directly(root, &candidate.path);
        (archived, is_link, candidate.path.clone())
    });
    // Only if there is an archive and something outside it.
    let mut archives = candidates.iter().map(|candidate| &candidate.archive);
    let first = archives.next();
    let compares = archives.any(|other| Some(other) != first);
    let mut kept: Vec<(Candidate, Option<Contents>)> = Vec::new();
    let mut by_inode: FxHashMap<(u64, u64), usize> = FxHashMap::default();
    let mut by_start: FxHashMap<u64, Vec<usize>> = FxHashMap::default();
    for candidate in candidates {
        let inode = match candidate.archive {
            Some(_) => None,
            None => inode(&candidate.path),
        };
        // If it cannot be read, opening it will report the problem.
        let contents = if compares {
            Contents::of(&candidate).ok().flatten()
        } else {
            None
        };
        let linked = inode.and_then(|inode| match by_inode.entry(inode) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(new) => {
                new.insert(kept.len());
                None
            }
        });
        let alike = contents.as_ref().map(|contents| contents.start);
        let alike = alike.and_then(|start| by_start.get(&start));
        let is_same = |place: &&usize| {
            let (other, others) = &kept[**place];
            // Duplicates within one archive are intended by its author; they may be refused but are
            // not skipped.
            candidate.archive.is_some()
                && candidate.archive != other.archive
                && candidate.format.name() == other.format.name()
                && contents
                    .as_ref()
                    .zip(others.as_ref())
                    .is_some_and(|(one, other)| one.are(other))
        };
        let same = linked.or_else(|| alike.into_iter().flatten().find(is_same).copied());
        match same {
            Some(place) => {
                let taken = kept[place].0.path.display();
                let reason = format!("the same as {taken}, which is taken");
                finds
                    .passed_over
                    .push(PassedOver::new(candidate.path, reason));
            }
            None => {
                if let Some(contents) = &contents {
                    by_start.entry(contents.start).or_default().push(kept.len());
                }
                kept.push((candidate, contents));
            }
        }
    }
    finds.candidates = kept.into_iter().map(|(candidate, _)| candidate).collect();
}

/// Whether there is no link on the way from one path to another one below it.
fn is_reached_directly(root: &Path, path: &Path) -> bool {
    let mut way = path.ancestors().take_while(|above| *above != root);
    way.all(|above| !above.is_symlink())
}

/// Identifies a file or folder regardless of the path that leads to it.
fn inode(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The files that make up an input.
struct Contents {
    files: Vec<TextFile>,
    start: u64,
}

impl Contents {
    fn of(candidate: &Candidate) -> Result<Option<Self>, SourceError> {
        let files = candidate.format.identity(&candidate.path)?;
        let files: Vec<TextFile> = files.into_iter().map(|file| file.0).collect();
        let Some(first) = files.first() else {
            return Ok(None);
        };
        let start = xxh3_64(&first.start(START)?);
        Ok(Some(Contents { files, start }))
    }

    fn are(&self, other: &Contents) -> bool {
        let same = |(one, other): (&TextFile, &TextFile)| one.has_text_of(other).unwrap_or(false);
        self.start == other.start
            && self.files.len() == other.files.len()
            && self.files.iter().zip(&other.files).all(same)
    }
}
