//! Shards: the pieces in which a job is written.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::source::{CellSource, SourceError};

/// A range of cells of one input. Any worker may write it, at any time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The input, by its position in the plan.
    pub input: usize,
    /// The cells, by their position in the input.
    pub cells: Range<u64>,
    /// Stored entries, or what is expected where only reading could tell.
    pub entries: u64,
}

/// However small the fragments, a job has not many more shards than this: each costs a record.
const MOST_SHARDS: u64 = 1024;

/// Offsets are read in blocks of this many cells.
const BLOCK: u64 = 1 << 16;

/// Cuts an input into shards of about equal numbers of entries, at most `fragment_rows` each where
/// cells allow it. The cut depends on the input and this number alone, never on who will write.
pub(super) fn cut(
    source: &dyn CellSource,
    entries: u64,
    fragment_rows: u64,
) -> Result<Vec<Shard>, SourceError> {
    let description = source.description();
    let matrix = &description.main.name;
    let most = fragment_rows.max(entries / MOST_SHARDS).max(1);
    let count = entries.div_ceil(most).max(1);
    let mut cutter = Cutter {
        most,
        even: entries.div_ceil(count),
        start: 0,
        entries: 0,
        shards: Vec::new(),
    };
    for start in (0..description.cells).step_by(BLOCK as usize) {
        let block = start..(start + BLOCK).min(description.cells);
        let Some(offsets) = source.offsets(matrix, block.clone())? else {
            return Ok(cut_blindly(description.cells, entries, count));
        };
        for (cell, ends) in block.zip(offsets.windows(2)) {
            cutter.add(cell, ends[1] - ends[0]);
        }
    }
    cutter.finish(description.cells);
    Ok(cutter.shards)
}

/// Collects cells into shards.
struct Cutter {
    most: u64,
    even: u64,
    start: u64,
    entries: u64,
    shards: Vec<Shard>,
}

impl Cutter {
    fn add(&mut self, cell: u64, entries: u64) {
        let full = self.entries >= self.even || self.entries + entries > self.most;
        if self.entries > 0 && full {
            self.finish(cell);
        }
        self.entries += entries;
    }

    fn finish(&mut self, end: u64) {
        if end > self.start {
            self.shards.push(Shard {
                input: 0,
                cells: self.start..end,
                entries: self.entries,
            });
        }
        self.start = end;
        self.entries = 0;
    }
}

/// Shards of equal numbers of cells, for a matrix whose zeros are not known.
fn cut_blindly(cells: u64, entries: u64, count: u64) -> Vec<Shard> {
    let share = |total: u64, k: u64| {
        let part = u128::from(total) * u128::from(k) / u128::from(count);
        u64::try_from(part).unwrap_or(u64::MAX)
    };
    (0..count)
        .map(|k| Shard {
            input: 0,
            cells: share(cells, k)..share(cells, k + 1),
            entries: share(entries, k + 1) - share(entries, k),
        })
        .filter(|shard| !shard.cells.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells_of(shards: &[Shard]) -> Vec<u64> {
        shards
            .iter()
            .flat_map(|shard| shard.cells.clone())
            .collect()
    }

    proptest! {
        #[test]
        fn shards_cover_all_cells_once_and_respect_the_limit(
            cells in prop::collection::vec(0u64..50, 0..200),
            most in 1u64..200,
        ) {
            let total: u64 = cells.iter().sum();
            let even = total.div_ceil(total.div_ceil(most).max(1));
            let mut cutter = Cutter { most, even, start: 0, entries: 0, shards: Vec::new() };
            for (cell, &entries) in (0..).zip(&cells) {
                cutter.add(cell, entries);
            }
            cutter.finish(cells.len() as u64);
            prop_assert_eq!(cells_of(&cutter.shards), (0..cells.len() as u64).collect::<Vec<_>>());
            prop_assert_eq!(cutter.shards.iter().map(|s| s.entries).sum::<u64>(), total);
            for shard in &cutter.shards {
                let filled = shard.cells.clone().filter(|&cell| cells[cell as usize] > 0).count();
                prop_assert!(shard.entries <= most || filled == 1);
            }
        }

        #[test]
        fn blind_shards_cover_all_cells_once(cells in 0u64..1000, entries in 0u64..100_000, count in 1u64..50) {
            let shards = cut_blindly(cells, entries, count);
            prop_assert_eq!(cells_of(&shards), (0..cells).collect::<Vec<_>>());
        }
    }
}
