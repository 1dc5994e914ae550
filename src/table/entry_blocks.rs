//! Reads blocks of rows of a table of numbers, several blocks at a time and in bounded memory.
//!
//! Rows are numbered over the whole table, without deleted ones. A block is read at once, so that
//! nothing but its rows has to be in memory; a caller may read several blocks on several threads.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{Schema, SchemaRef};
use futures::{StreamExt, TryStreamExt};
use lance::Dataset;
use lance::dataset::fragment::{FileFragment, FragReadConfig};
use lance_core::datatypes::Schema as LanceSchema;
use lance_io::scheduler::{ScanScheduler, SchedulerConfig};
use lance_table::format::Fragment;

use super::TableError;
use super::blocks::checked;
use super::guard::Guard;

/// Number of bytes read ahead of decoding, of all blocks together.
pub(crate) const AHEAD: u64 = 16 << 20;

/// A version of a table, whose rows are read by number.
pub(crate) struct EntryBlocks {
    table: Arc<Dataset>,
    path: PathBuf,
    schema: SchemaRef,
    fragments: Vec<FragmentRows>,
    io: Arc<ScanScheduler>,
}

/// A fragment, and the numbers of its rows.
struct FragmentRows {
    fragment: Fragment,
    rows: Range<u64>,
}

/// Rows of one fragment that are read together: ascending ranges that do not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    fragment: usize,
    /// Ranges of row numbers.
    pub ranges: Vec<Range<u64>>,
}

impl Block {
    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.ranges
            .iter()
            .map(|range| range.end - range.start)
            .sum()
    }

    /// Some rows of the block, by ascending position in it. Ranges that lie close to each other become
    /// one; the rows between them are read, too.
    ///
    /// Returns the rows that are read, and the positions of the wanted ones among them.
    pub fn part(&self, positions: &[u32], near: u64) -> (Block, Vec<u32>) {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        let mut among = Vec::with_capacity(positions.len());
        let mut inside = self.ranges.iter();
        let (mut current, mut before) = (inside.next(), 0u64);
        let mut read = 0u64;
        for &position in positions {
            let position = u64::from(position);
            while let Some(range) = current
                && position - before >= range.end - range.start
            {
                before += range.end - range.start;
                current = inside.next();
            }
            let Some(range) = current else { break };
            let row = range.start + position - before;
            match ranges.last_mut() {
                // Never beyond the block's own ranges.
                Some(last) if row < last.end + near && last.end > range.start => {
                    read += row + 1 - last.end;
                    last.end = row + 1;
                }
                _ => {
                    ranges.push(row..row + 1);
                    read += 1;
                }
            }
            among.push(u32::try_from(read - 1).unwrap_or(u32::MAX));
        }
        let fragment = self.fragment;
        (Block { fragment, ranges }, among)
    }
}

impl EntryBlocks {
    /// Opens a table.
    ///
    /// # Errors
    /// If its rows cannot be counted.
    pub async fn of(table: &Dataset, path: &Path) -> Result<Self, TableError> {
        let guard = Guard::new();
        let table = Arc::new(table.clone());
        let store = guard.run("open", path, table.object_store(None)).await?;
        let mut fragments = Vec::with_capacity(table.fragments().len());
        let mut before = 0u64;
        for fragment in table.fragments().iter() {
            let rows = super::reader::rows_of(&guard, &table, path, fragment).await?;
            fragments.push(FragmentRows {
                fragment: fragment.clone(),
                rows: before..before + rows,
            });
            before += rows;
        }
        Ok(EntryBlocks {
            schema: Arc::new(Schema::from(table.schema())),
            table,
            path: path.to_path_buf(),
            fragments,
            io: ScanScheduler::new(store, SchedulerConfig::new(AHEAD)),
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.fragments.last().map_or(0, |last| last.rows.end)
    }

    /// Number of bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.io.stats().bytes_read
    }

    /// Divides ascending ranges of rows into blocks. The first one is small, and each may be twice as
    /// large as the one before, up to `most` rows: who wants only some rows does not wait for many.
    pub fn blocks(&self, spans: &[Range<u64>], first: u64, most: u64) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut room = first.clamp(1, most.max(1));
        let mut next = room;
        let mut fragment = 0;
        for span in spans {
            let mut start = span.start;
            while start < span.end {
                while self
                    .fragments
                    .get(fragment)
                    .is_some_and(|f| f.rows.end <= start)
                {
                    fragment += 1;
                }
                let Some(within) = self.fragments.get(fragment) else {
                    break;
                };
                let continues = blocks
                    .last()
                    .is_some_and(|block| block.fragment == fragment);
                if room == 0 || !continues {
                    next = if room == 0 {
                        (next * 2).min(most.max(1))
                    } else {
                        next
                    };
                    room = next;
                    blocks.push(Block {
                        fragment,
                        ranges: Vec::new(),
                    });
                }
                let end = span.end.min(within.rows.end).min(start + room);
                if let Some(block) = blocks.last_mut() {
                    block.ranges.push(start..end);
                }
                room -= end - start;
                start = end;
            }
        }
        blocks
    }

    /// Reads some columns of the rows of a block, in the order of `columns`.
    ///
    /// # Errors
    /// If a column does not exist, the rows cannot be read, or a file is damaged.
    pub async fn read(&self, block: &Block, columns: &[&str]) -> Result<RecordBatch, TableError> {
        let arrow = |source| TableError::Arrow {
            path: self.path.clone(),
            source,
        };
        let places = columns.iter().map(|name| self.schema.index_of(name));
        let places = places.collect::<Result<Vec<_>, _>>().map_err(arrow)?;
        let mut sorted = places.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let fields = &self.table.schema().fields;
        let wanted = LanceSchema {
            fields: sorted.iter().map(|&place| fields[place].clone()).collect(),
            metadata: self.table.schema().metadata.clone(),
        };
        let Some(FragmentRows { fragment, rows }) = self.fragments.get(block.fragment) else {
            return Err(self.damaged("a block is of no fragment"));
        };
        for file in &fragment.files {
            checked(&self.path, file)?;
        }
        let batches = self.ranges(fragment, rows, block, &wanted).await?;
        let batch = match &batches[..] {
            [] => return Err(self.damaged("rows were read, and none came")),
            [batch] => batch.clone(),
            [first, ..] => concat_batches(&first.schema(), &batches).map_err(arrow)?,
        };
        if batch.num_rows() as u64 != block.rows() {
            return Err(self.damaged("fewer rows came than its fragments say"));
        }
        let order = places
            .iter()
            .map(|place| sorted.partition_point(|other| other < place));
        let order: Vec<usize> = order.collect();
        batch.project(&order).map_err(arrow)
    }

    async fn ranges(
        &self,
        fragment: &Fragment,
        rows: &Range<u64>,
        block: &Block,
        wanted: &LanceSchema,
    ) -> Result<Vec<RecordBatch>, TableError> {
        let too_many = || self.damaged("a fragment has more rows than can be counted");
        let guard = Guard::new();
        let config = FragReadConfig::default().with_scan_scheduler(self.io.clone());
        let file = FileFragment::new(self.table.clone(), fragment.clone());
        let reader = guard
            .run("read", &self.path, file.open(wanted, config))
            .await?;
        let at_once = u32::try_from(block.rows()).map_err(|_| too_many())?.max(1);
        let mut batches = Vec::new();
        if fragment.deletion_file.is_none() && block.ranges.len() > 1 {
            let within = block.ranges.iter();
            let within = within.map(|range| range.start - rows.start..range.end - rows.start);
            let read = reader.read_ranges(within.collect(), at_once);
            let stream = guard.run("read", &self.path, read).await?;
            let read = stream.buffered(1).try_collect::<Vec<_>>();
            return guard.run("read", &self.path, read).await;
        }
        for range in &block.ranges {
            let number = |row: u64| u32::try_from(row - rows.start).map_err(|_| too_many());
            let within = number(range.start)?..number(range.end)?;
            let read = reader.read_range(within, at_once);
            let stream = guard.run("read", &self.path, read).await?;
            let read = stream.buffered(1).try_collect::<Vec<_>>();
            batches.extend(guard.run("read", &self.path, read).await?);
        }
        Ok(batches)
    }

    fn damaged(&self, problem: &str) -> TableError {
        TableError::Damaged {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_block_are_found_again() {
        let block = Block {
            fragment: 0,
            ranges: vec![10..20, 30..34, 100..200],
        };
        let (part, among) = block.part(&[0, 2, 9, 10, 13, 14, 113], 4);
        assert_eq!(part.ranges, [10..13, 19..20, 30..34, 100..101, 199..200]);
        assert_eq!(among, [0, 2, 3, 4, 7, 8, 9]);
        let (none, among) = block.part(&[], 4);
        assert!(none.ranges.is_empty() && among.is_empty());
    }
}
