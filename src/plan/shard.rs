//! Shards, the units in which a job is written.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::source::{CellSource, MatrixDescription, SourceError};

/// Rows of one table, which any worker can write at any time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// The table.
    pub table: ShardTable,
    /// Ranges of rows, in the order of the dataset.
    pub parts: Vec<ShardPart>,
    /// Number of stored entries, or an estimate if it is not known without reading.
    pub entries: u64,
}

/// A range of rows of one input. Rows are cells, except in matrices of genes × genes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardPart {
    /// Position of the input in the plan.
    pub input: usize,
    /// Positions of the rows in the input.
    pub rows: Range<u64>,
}

/// A table that is written in shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ShardTable {
    /// Non-zeros of the main matrix.
    Expression,
    /// Non-zeros of any layer.
    Layers,
    /// Non-zeros of any matrix of cells × cells.
    #[serde(rename = "cellpairs")]
    Obsp,
    /// Non-zeros of any matrix of genes × genes.
    #[serde(rename = "genepairs")]
    Varp,
}

impl ShardTable {
    /// All tables.
    pub const ALL: [ShardTable; 4] = [
        ShardTable::Expression,
        ShardTable::Layers,
        ShardTable::Obsp,
        ShardTable::Varp,
    ];
}

/// Approximate maximum number of shards of a table, however small the fragments; each shard has a
/// record.
const MOST_SHARDS: u64 = 1024;

/// Number of cells whose offsets are read at a time.
const BLOCK: u64 = 1 << 16;

/// Matrices of one table in one input.
pub(super) struct Cut<'a> {
    /// The opened input.
    pub source: &'a dyn CellSource,
    /// Position of the input in the plan.
    pub input: usize,
    /// The matrices.
    pub matrices: Vec<&'a MatrixDescription>,
    /// Number of rows of the matrices.
    pub rows: u64,
    /// Expected number of entries of all matrices.
    pub entries: u64,
}

/// Divides the rows of one table into shards of about equal numbers of entries, at most one
/// fragment each where rows allow it. The result depends only on the inputs and `fragment_rows`,
/// never on the workers.
pub(super) struct ShardPartitioner {
    table: ShardTable,
    most: u64,
    even: u64,
    parts: Vec<ShardPart>,
    entries: u64,
    shards: Vec<Shard>,
}

impl ShardPartitioner {
    /// Creates a partitioner for a table with `entries` entries in total.
    pub fn new(table: ShardTable, entries: u64, fragment_rows: u64) -> Self {
        let most = fragment_rows.max(entries / MOST_SHARDS).max(1);
        ShardPartitioner {
            table,
            most,
            even: entries.div_ceil(entries.div_ceil(most).max(1)),
            parts: Vec::new(),
            entries: 0,
            shards: Vec::new(),
        }
    }

    /// Adds the rows of the next input.
    pub fn add_input(&mut self, cut: &Cut<'_>) -> Result<(), SourceError> {
        for start in (0..cut.rows).step_by(BLOCK as usize) {
            let block = start..(start + BLOCK).min(cut.rows);
            let mut counts = vec![0u64; (block.end - block.start) as usize];
            let mut known = true;
            for matrix in &cut.matrices {
                let Some(offsets) = cut.source.matrix(&matrix.name)?.offsets(block.clone())? else {
                    known = false;
                    break;
                };
                for (count, ends) in counts.iter_mut().zip(offsets.windows(2)) {
                    *count = count.saturating_add(ends[1] - ends[0]);
                }
            }
            if !known {
                counts = block.clone().map(|row| cut.share(row)).collect();
            }
            for (row, entries) in block.zip(counts) {
                self.add(cut.input, row, entries);
            }
        }
        Ok(())
    }

    fn add(&mut self, input: usize, row: u64, entries: u64) {
        let full = self.entries >= self.even || self.entries + entries > self.most;
        if self.entries > 0 && full {
            self.end_shard();
        }
        self.entries += entries;
        match self.parts.last_mut() {
            Some(part) if part.input == input => part.rows.end = row + 1,
            _ => self.parts.push(ShardPart {
                input,
                rows: row..row + 1,
            }),
        }
    }

    fn end_shard(&mut self) {
        if !self.parts.is_empty() {
            self.shards.push(Shard {
                table: self.table,
                parts: std::mem::take(&mut self.parts),
                entries: self.entries,
            });
        }
        self.entries = 0;
    }

    /// Returns the shards of all rows.
    pub fn finish(mut self) -> Vec<Shard> {
        self.end_shard();
        self.shards
    }
}

impl Cut<'_> {
    /// Expected number of entries of a row, if the exact number is not known without reading.
    fn share(&self, row: u64) -> u64 {
        let until = |row: u64| {
            let part = u128::from(self.entries) * u128::from(row) / u128::from(self.rows.max(1));
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        until(row + 1) - until(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shards_cover_all_rows_once_and_respect_the_limit(
            inputs in prop::collection::vec(prop::collection::vec(0u64..50, 0..100), 1..4),
            most in 1u64..200,
        ) {
            let total: u64 = inputs.iter().flatten().sum();
            let mut partitioner = ShardPartitioner::new(ShardTable::Layers, total, most);
            for (input, rows) in inputs.iter().enumerate() {
                for (row, &entries) in (0..).zip(rows) {
                    partitioner.add(input, row, entries);
                }
            }
            let shards = partitioner.finish();
            let covered: Vec<(usize, u64)> = shards
                .iter()
                .flat_map(|shard| &shard.parts)
                .flat_map(|part| part.rows.clone().map(|row| (part.input, row)))
                .collect();
            let all = inputs.iter().enumerate();
            let all = all.flat_map(|(input, rows)| (0..rows.len() as u64).map(move |row| (input, row)));
            prop_assert_eq!(covered, all.collect::<Vec<_>>());
            prop_assert_eq!(shards.iter().map(|s| s.entries).sum::<u64>(), total);
            for shard in &shards {
                let rows = shard.parts.iter().flat_map(|p| p.rows.clone().map(|r| inputs[p.input][r as usize]));
                let filled = rows.filter(|&entries| entries > 0).count();
                prop_assert!(shard.entries <= most.max(total / MOST_SHARDS) || filled == 1);
            }
        }
    }
}
