//! Shards: the pieces in which a job is written.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::source::{CellSource, Matrix, SourceError};
use crate::survey::{MatrixSurvey, Survey};

/// A range of rows of one input, for one table. Any worker may write it, at any time. Rows are cells,
/// except in matrices of genes × genes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The input, by its position in the plan.
    pub input: usize,
    pub table: ShardTable,
    /// The rows, by their position in the input.
    pub rows: Range<u64>,
    /// Stored entries, or what is expected where only reading could tell.
    pub entries: u64,
}

/// A table that is written in shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShardTable {
    /// The non-zeros of the main matrix.
    Expression,
    /// The non-zeros of any layer.
    Layers,
    /// The non-zeros of any matrix of cells × cells.
    CellPairs,
    /// The non-zeros of any matrix of genes × genes.
    GenePairs,
}

impl ShardTable {
    /// All of them.
    pub const ALL: [ShardTable; 4] = [
        ShardTable::Expression,
        ShardTable::Layers,
        ShardTable::CellPairs,
        ShardTable::GenePairs,
    ];
}

/// However small the fragments, a table has not many more shards than this: each costs a record.
const MOST_SHARDS: u64 = 1024;

/// Offsets are read in blocks of this many cells.
const BLOCK: u64 = 1 << 16;

/// Cuts an input into shards of each table.
pub(super) fn cut(
    source: &dyn CellSource,
    survey: &Survey,
    fragment_rows: u64,
) -> Result<Vec<Shard>, SourceError> {
    let description = source.description();
    let main = (
        std::slice::from_ref(&description.main),
        std::slice::from_ref(&survey.main),
    );
    let (cells, genes) = (description.cells, description.genes);
    let tables: [(_, &[Matrix], &[MatrixSurvey], _); 4] = [
        (ShardTable::Expression, main.0, main.1, cells),
        (
            ShardTable::Layers,
            &description.layers,
            &survey.layers,
            cells,
        ),
        (
            ShardTable::CellPairs,
            &description.obsp,
            &survey.obsp,
            cells,
        ),
        (
            ShardTable::GenePairs,
            &description.varp,
            &survey.varp,
            genes,
        ),
    ];
    let mut shards = Vec::new();
    for (table, matrices, surveys, rows) in tables {
        let expected = surveys.iter().map(|survey| survey.expected_entries);
        let cut = Cut {
            table,
            matrices,
            rows,
            entries: expected.fold(0, u64::saturating_add),
            fragment_rows,
        };
        if !matrices.is_empty() {
            shards.extend(cut.shards(source)?);
        }
    }
    Ok(shards)
}

/// How one table is cut.
struct Cut<'a> {
    table: ShardTable,
    matrices: &'a [Matrix],
    /// Rows of the matrices.
    rows: u64,
    /// Entries of all matrices, as expected.
    entries: u64,
    fragment_rows: u64,
}

impl Cut<'_> {
    /// Shards of about equal numbers of entries, at most a fragment's each where cells allow it. The
    /// cut depends on the input and this number alone, never on who will write.
    fn shards(&self, source: &dyn CellSource) -> Result<Vec<Shard>, SourceError> {
        let most = self.fragment_rows.max(self.entries / MOST_SHARDS).max(1);
        let count = self.entries.div_ceil(most).max(1);
        let mut cutter = Cutter {
            table: self.table,
            most,
            even: self.entries.div_ceil(count),
            start: 0,
            entries: 0,
            shards: Vec::new(),
        };
        for start in (0..self.rows).step_by(BLOCK as usize) {
            let block = start..(start + BLOCK).min(self.rows);
            let mut counts = vec![0u64; (block.end - block.start) as usize];
            for matrix in self.matrices {
                let Some(offsets) = source.offsets(&matrix.name, block.clone())? else {
                    return Ok(self.blindly(count));
                };
                for (count, ends) in counts.iter_mut().zip(offsets.windows(2)) {
                    *count = count.saturating_add(ends[1] - ends[0]);
                }
            }
            for (row, entries) in block.zip(counts) {
                cutter.add(row, entries);
            }
        }
        cutter.finish(self.rows);
        Ok(cutter.shards)
    }

    /// Shards of equal numbers of cells, for matrices whose zeros are not known.
    fn blindly(&self, count: u64) -> Vec<Shard> {
        let share = |total: u64, k: u64| {
            let part = u128::from(total) * u128::from(k) / u128::from(count);
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        (0..count)
            .map(|k| Shard {
                input: 0,
                table: self.table,
                rows: share(self.rows, k)..share(self.rows, k + 1),
                entries: share(self.entries, k + 1) - share(self.entries, k),
            })
            .filter(|shard| !shard.rows.is_empty())
            .collect()
    }
}

/// Collects cells into shards.
struct Cutter {
    table: ShardTable,
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
                table: self.table,
                rows: self.start..end,
                entries: self.entries,
            });
        }
        self.start = end;
        self.entries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cells_of(shards: &[Shard]) -> Vec<u64> {
        shards.iter().flat_map(|shard| shard.rows.clone()).collect()
    }

    proptest! {
        #[test]
        fn shards_cover_all_cells_once_and_respect_the_limit(
            cells in prop::collection::vec(0u64..50, 0..200),
            most in 1u64..200,
        ) {
            let total: u64 = cells.iter().sum();
            let even = total.div_ceil(total.div_ceil(most).max(1));
            let mut cutter = Cutter { table: ShardTable::Layers, most, even, start: 0, entries: 0, shards: Vec::new() };
            for (cell, &entries) in (0..).zip(&cells) {
                cutter.add(cell, entries);
            }
            cutter.finish(cells.len() as u64);
            prop_assert_eq!(cells_of(&cutter.shards), (0..cells.len() as u64).collect::<Vec<_>>());
            prop_assert_eq!(cutter.shards.iter().map(|s| s.entries).sum::<u64>(), total);
            for shard in &cutter.shards {
                let filled = shard.rows.clone().filter(|&cell| cells[cell as usize] > 0).count();
                prop_assert!(shard.entries <= most || filled == 1);
            }
        }

        #[test]
        fn blind_shards_cover_all_cells_once(cells in 0u64..1000, entries in 0u64..100_000, count in 1u64..50) {
            let table = ShardTable::Expression;
            let cut = Cut { table, matrices: &[], rows: cells, entries, fragment_rows: 1 };
            let shards = cut.blindly(count);
            prop_assert_eq!(cells_of(&shards), (0..cells).collect::<Vec<_>>());
        }
    }
}
