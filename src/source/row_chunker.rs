//! Cuts rows that are stored one after another into chunks.

use std::collections::VecDeque;
use std::ops::Range;

use super::{ChunkBudget, Chunks, CsrChunk, PendingChunk, SourceError};

/// Rows of a sparse matrix that are stored one after another.
pub(crate) trait StoredRows: Copy + Send {
    /// Bytes that an entry takes while it is read and later expanded.
    fn entry_bytes(self) -> u64;

    /// Number of rows whose offsets are requested at a time.
    fn step(self) -> u64;

    /// Returns the number of stored entries before each of the rows, and before the end of the
    /// last one: always one number more than there are rows.
    fn offsets(self, rows: Range<u64>) -> Result<Vec<u64>, SourceError>;

    /// Reads rows that have these offsets.
    fn read(self, rows: Range<u64>, offsets: &[u64]) -> Result<CsrChunk, SourceError>;
}

/// Returns chunks of `rows` within the budget, each of at least one row.
pub(crate) fn row_chunks<'a>(
    stored: impl StoredRows + 'a,
    rows: Range<u64>,
    budget: ChunkBudget,
) -> Chunks<'a> {
    let mut chunker = RowChunker {
        stored,
        known_to: rows.start,
        rows,
        budget,
        offsets: VecDeque::new(),
    };
    Box::new(std::iter::from_fn(move || {
        if chunker.rows.is_empty() {
            return None;
        }
        let chunk = chunker.cut();
        if chunk.is_err() {
            chunker.rows.start = chunker.rows.end;
        }
        Some(chunk)
    }))
}

struct RowChunker<R> {
    stored: R,
    /// Rows that have not been cut yet.
    rows: Range<u64>,
    budget: ChunkBudget,
    /// Offsets from the first of these rows on.
    offsets: VecDeque<u64>,
    /// The row to which the last known offset belongs.
    known_to: u64,
}

impl<R: StoredRows> RowChunker<R> {
    fn refill(&mut self) -> Result<(), SourceError> {
        let end = self.known_to.saturating_add(self.stored.step().max(1));
        let end = end.min(self.rows.end);
        let offsets = self.stored.offsets(self.known_to..end)?;
        let known = usize::from(!self.offsets.is_empty());
        self.offsets.extend(offsets.into_iter().skip(known));
        self.known_to = end;
        Ok(())
    }

    fn cut<'a>(&mut self) -> Result<PendingChunk<'a>, SourceError>
    where
        R: 'a,
    {
        let limit = (self.budget.bytes / self.stored.entry_bytes().max(1)).max(1);
        let mut taken = 0usize;
        loop {
            // `offsets[taken + 1]` is the end of the next row.
            if self.offsets.len() < taken + 2 {
                if self.known_to == self.rows.end {
                    break;
                }
                self.refill()?;
                continue;
            }
            let entries = self.offsets[taken + 1].saturating_sub(self.offsets[0]);
            if taken > 0 && (entries > limit || taken as u64 >= self.budget.cells) {
                break;
            }
            taken += 1;
        }
        let offsets: Vec<u64> = self.offsets.iter().take(taken + 1).copied().collect();
        self.offsets.drain(..taken);
        let rows = self.rows.start..self.rows.start + taken as u64;
        self.rows.start = rows.end;
        let (stored, range) = (self.stored, rows.clone());
        let entries = offsets[taken].saturating_sub(offsets[0]);
        Ok(PendingChunk::new(rows, entries, move || {
            stored.read(range, &offsets)
        }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::TypedVec;

    /// Rows that have these offsets; entries are their own numbers. The offsets of the row
    /// `broken` cannot be read.
    #[derive(Clone, Copy)]
    struct Numbered<'a> {
        offsets: &'a [u64],
        step: u64,
        broken: u64,
    }

    impl StoredRows for Numbered<'_> {
        fn entry_bytes(self) -> u64 {
            10
        }

        fn step(self) -> u64 {
            self.step
        }

        fn offsets(self, rows: Range<u64>) -> Result<Vec<u64>, SourceError> {
            if rows.contains(&self.broken) {
                let place = crate::source::ErrorContext::whole("x".as_ref());
                return Err(place.damaged("a row is broken"));
            }
            Ok(self.offsets[rows.start as usize..=rows.end as usize].to_vec())
        }

        fn read(self, rows: Range<u64>, offsets: &[u64]) -> Result<CsrChunk, SourceError> {
            let known = &self.offsets[rows.start as usize..=rows.end as usize];
            assert_eq!(known, offsets);
            let (first, last) = (known[0], known[known.len() - 1]);
            let entries: Vec<u64> = (first..last).collect();
            Ok(CsrChunk {
                rows,
                indptr: known.iter().map(|end| (end - first) as usize).collect(),
                indices: TypedVec::UInt64(entries.clone()),
                data: TypedVec::UInt64(entries),
                strays: 0,
            })
        }
    }

    proptest! {
        #[test]
        fn chunks_are_in_order_whole_and_within_the_budget(
            sizes in prop::collection::vec(0u64..9, 1..40),
            step in 1u64..12,
            bytes in 0u64..200,
            cells in 1u64..9,
            ends in any::<[prop::sample::Index; 2]>(),
        ) {
            let mut offsets = vec![0];
            for size in &sizes {
                offsets.push(offsets[offsets.len() - 1] + size);
            }
            let mut ends = ends.map(|end| end.index(sizes.len() + 1) as u64);
            ends.sort_unstable();
            let rows = ends[0]..ends[1];
            let stored = Numbered { offsets: &offsets, step, broken: u64::MAX };
            let mut next = rows.start;
            for chunk in row_chunks(stored, rows.clone(), ChunkBudget { bytes, cells }) {
                let chunk = chunk.unwrap();
                let (range, entries) = (chunk.rows.clone(), chunk.entries);
                prop_assert!(range.start == next && !range.is_empty());
                let count = range.end - range.start;
                prop_assert!(count <= cells);
                prop_assert!(count == 1 || entries <= (bytes / 10).max(1));
                // One more row would be too many.
                if range.end < rows.end && count < cells {
                    let more = offsets[range.end as usize + 1] - offsets[range.start as usize];
                    prop_assert!(more > (bytes / 10).max(1));
                }
                let found = chunk.read().unwrap();
                prop_assert_eq!(found.data.len() as u64, entries);
                next = range.end;
            }
            prop_assert_eq!(next, rows.end);
        }
    }

    #[test]
    fn nothing_comes_after_an_error() {
        let offsets = [0, 1, 2, 3, 4];
        let stored = Numbered {
            offsets: &offsets,
            step: 1,
            broken: 2,
        };
        let budget = ChunkBudget {
            bytes: 10,
            cells: 1,
        };
        let chunks: Vec<bool> = row_chunks(stored, 0..4, budget)
            .map(|chunk| chunk.is_ok())
            .collect();
        assert_eq!(chunks, [true, false]);
    }
}
