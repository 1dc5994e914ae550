//! The write phase of the transpose.

use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::block::{Block, Parts, Written};
use super::{Entries, TransposeOptions, Transposed};
use crate::parallel::OrderedWork;
use crate::source::error::ErrorContext;
use crate::source::{ScalarType, SourceError};

/// Maximum number of entries in a part, if the rows allow it: about the size of a chunk, but with
/// few enough parts that the pieces in each block are large enough to read efficiently.
const PART_ENTRIES: u64 = 300_000;
const MOST_PARTS: u64 = 4096;

/// A matrix that is being transposed.
pub(crate) struct ExternalTranspose {
    place: ErrorContext,
    file: File,
    scratch: PathBuf,
    shape: [u64; 2],
    number_type: ScalarType,
    parts: Parts,
    block_entries: u64,
    threads: usize,
    end: AtomicU64,
    blocks: Mutex<Vec<Written>>,
}

impl ExternalTranspose {
    /// Prepares to transpose a matrix of `shape` (rows × columns) with about `entries` entries;
    /// `place` is for error messages.
    pub fn new(
        place: ErrorContext,
        shape: [u64; 2],
        entries: u64,
        number_type: ScalarType,
        options: &TransposeOptions,
    ) -> Result<Self, SourceError> {
        let most = u64::from(u32::MAX);
        if shape[0] > most || shape[1] > most {
            return Err(place.unsupported(
                format!("a matrix of {} × {}", shape[0], shape[1]),
                "split it: no side may be longer than 4,294,967,295",
            ));
        }
        let file =
            tempfile::tempfile_in(&options.scratch).map_err(|source| SourceError::Scratch {
                path: options.scratch.clone(),
                source,
            })?;
        // A thread holds a block as it is read, its sort order, and the sorted block.
        let entry = 2 * (8 + number_type.size() as u64) + 12;
        let share = options.memory / 8 / options.threads as u64;
        let wanted = PART_ENTRIES.max(entries / MOST_PARTS);
        Ok(ExternalTranspose {
            place,
            file,
            scratch: options.scratch.clone(),
            shape,
            number_type,
            parts: Parts::new(shape[0], entries, wanted),
            block_entries: (share / entry).clamp(1 << 12, 1 << 24),
            threads: options.threads,
            end: AtomicU64::new(0),
            blocks: Mutex::default(),
        })
    }

    /// Maximum number of entries that should be passed at once.
    pub fn block_entries(&self) -> u64 {
        self.block_entries
    }

    /// Writes all entries. `pieces` yields closures that read them, which run on all threads.
    pub fn fill<R>(
        &self,
        pieces: impl Iterator<Item = Result<R, SourceError>> + Send,
    ) -> Result<(), SourceError>
    where
        R: FnOnce() -> Result<Entries, SourceError> + Send,
    {
        let numbered = pieces.zip(1..).map(|(piece, number)| Ok((number, piece?)));
        OrderedWork::new("slaf-transpose", self.threads)
            // Nothing is left of a piece that was written.
            .window(usize::MAX)
            .run(
                numbered,
                |(number, piece): (u64, R)| self.lay(number, &piece()?),
                |()| Ok::<(), SourceError>(()),
            )
    }

    /// Writes entries, from any thread. Blocks are later read in the order of their numbers.
    pub fn lay(&self, number: u64, entries: &Entries) -> Result<(), SourceError> {
        let mut block = Block::sort(entries, self.parts).map_err(|position| {
            let column = entries.columns.get(position).copied().unwrap_or_default();
            self.place.damaged(format!(
                "an index of column {column} lies outside the {} rows",
                self.shape[0]
            ))
        })?;
        let at = self.end.fetch_add(block.size(), Ordering::Relaxed);
        block
            .write(&self.file, at)
            .map_err(|source| SourceError::Scratch {
                path: self.scratch.clone(),
                source,
            })?;
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.push(Written {
            number,
            at,
            entries: entries.columns.len() as u64,
        });
        Ok(())
    }

    /// Ends the write phase after all entries have been written.
    pub fn finish(self) -> Transposed {
        let mut blocks = self
            .blocks
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        blocks.sort_unstable_by_key(|block| block.number);
        Transposed {
            file: self.file,
            scratch: self.scratch,
            number_type: self.number_type,
            parts: self.parts,
            blocks,
        }
    }
}
