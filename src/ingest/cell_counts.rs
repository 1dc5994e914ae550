//! How many rows of the expression table each cell of a job has, from the files of its shards or, before
//! these are there, from what the input says.

use std::ops::Range;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::IngestError;
use super::counts::CountsReader;
use crate::dataset::{Checkpoint, CountsFile, FrameRecord};
use crate::plan::{FrameTable, Plan};
use crate::source::CellSource;

/// Cells that are passed over at once.
const BLOCK: u64 = 1 << 16;

/// A shard of the expression table whose rows are counted.
#[derive(Debug, Clone)]
struct Counted {
    cells: u64,
    counts: CountsFile,
}

/// What is known of how many rows cells have.
pub(super) enum CellCounts<'a> {
    /// Shards have counted them.
    Written(WrittenCounts),
    /// The input says how many entries it stores of each. Entries that are zero or there twice make
    /// fewer rows of them: what is written with these is held against the shards' counts later.
    Expected(ExpectedCounts<'a>),
}

impl CellCounts<'_> {
    /// The row at which the next cell begins.
    pub fn next_row(&self) -> u64 {
        match self {
            CellCounts::Written(counts) => counts.next_row,
            CellCounts::Expected(counts) => counts.next_row,
        }
    }

    /// The counts of the next cells.
    pub fn next(&mut self, cells: u64) -> Result<Vec<u64>, IngestError> {
        match self {
            CellCounts::Written(counts) => counts.next(cells),
            CellCounts::Expected(counts) => counts.next(cells),
        }
    }
}

/// Counts of shards, one after the other.
pub(super) struct WrittenCounts {
    folder: PathBuf,
    shards: std::vec::IntoIter<Counted>,
    open: Option<(CountsReader, u64)>,
    next_row: u64,
}

impl WrittenCounts {
    /// The counts from the first cell of the job on, for cells up to `end`; `None` where a shard is not
    /// done that they need.
    pub fn until(folder: &Path, checkpoint: &Checkpoint, end: u64) -> Option<Self> {
        let plan = &checkpoint.plan;
        let counted = |number: usize| {
            let counts = checkpoint.record(number)?.counts.clone()?;
            let cells = plan.cells_of(&plan.shards[number].parts);
            let cells = cells.end - cells.start;
            Some(Counted { cells, counts })
        };
        let shards: Option<Vec<Counted>> = plan.counted_before(end).map(counted).collect();
        Some(WrittenCounts {
            folder: folder.to_path_buf(),
            shards: shards?.into_iter(),
            open: None,
            next_row: plan.base.as_ref().map_or(0, |base| base.rows),
        })
    }

    /// Passes over the cells before `cell`, of which `from` is the first.
    pub fn skip(&mut self, from: u64, cell: u64) -> Result<(), IngestError> {
        let mut left = cell.saturating_sub(from);
        while left > 0 {
            let taken = left.min(BLOCK);
            self.next(taken)?;
            left -= taken;
        }
        Ok(())
    }

    fn next(&mut self, cells: u64) -> Result<Vec<u64>, IngestError> {
        let mut all = Vec::new();
        while (all.len() as u64) < cells {
            let (reader, left) = match &mut self.open {
                Some((reader, left)) if *left > 0 => (reader, left),
                open => {
                    // The plan's cells are those of its shards.
                    let next = self.shards.next().ok_or(IngestError::WorkerDied)?;
                    let reader = CountsReader::open(&self.folder, &next.counts)?;
                    let (reader, left) = open.insert((reader, next.cells));
                    (reader, left)
                }
            };
            let taken = (cells - all.len() as u64).min(*left);
            all.extend(reader.next(taken)?.into_iter().map(u64::from));
            *left -= taken;
        }
        self.next_row += all.iter().sum::<u64>();
        Ok(all)
    }
}

/// Entries that an input stores of its cells.
pub(super) struct ExpectedCounts<'a> {
    source: &'a dyn CellSource,
    plan: &'a Plan,
    cells: Range<u64>,
    next_row: u64,
}

/// Where a cell's rows are expected to begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub cell: u64,
    pub row: u64,
}

impl<'a> ExpectedCounts<'a> {
    /// What the plan's first input stores of these cells; `None` where it does not say. `known` is a
    /// place before them, and becomes the one after.
    pub fn of(
        source: &'a dyn CellSource,
        plan: &'a Plan,
        cells: Range<u64>,
        known: &mut Expected,
    ) -> Option<Self> {
        let mut counts = ExpectedCounts {
            source,
            plan,
            cells: known.cell..cells.start,
            next_row: known.row,
        };
        // What stands in the way is said by the shards of the matrix.
        counts.pass()?;
        let mut after = ExpectedCounts {
            cells: cells.clone(),
            ..counts
        };
        after.pass()?;
        let next_row = counts.next_row;
        *known = Expected {
            cell: cells.end,
            row: after.next_row,
        };
        Some(ExpectedCounts {
            source,
            plan,
            cells,
            next_row,
        })
    }

    fn pass(&mut self) -> Option<()> {
        while !self.cells.is_empty() {
            let counts = self.block(BLOCK)?.ok()?;
            self.cells.start += counts.len() as u64;
            self.next_row += counts.iter().sum::<u64>();
        }
        Some(())
    }

    /// The counts of some cells; `None` where the input does not say.
    fn block(&self, cells: u64) -> Option<Result<Vec<u64>, IngestError>> {
        let end = self.cells.end.min(self.cells.start.saturating_add(cells));
        let main = &self.plan.inputs.first()?.main.name;
        let cells = self.cells.start..end;
        let offsets = self
            .source
            .matrix(main)
            .and_then(|main| main.offsets(cells));
        let offsets = match offsets {
            Ok(offsets) => offsets?,
            Err(error) => return Some(Err(error.into())),
        };
        let counts: Vec<u64> = offsets
            .windows(2)
            .map(|ends| ends[1].saturating_sub(ends[0]))
            .collect();
        (counts.len() as u64 == end - self.cells.start).then_some(Ok(counts))
    }

    fn next(&mut self, cells: u64) -> Result<Vec<u64>, IngestError> {
        // It has said so before.
        let counts = self.block(cells).ok_or(IngestError::WorkerDied)??;
        self.cells.start += counts.len() as u64;
        self.next_row += counts.iter().sum::<u64>();
        Ok(counts)
    }
}

/// The digest of what cells were taken to have.
pub(super) struct CountsDigest(Xxh3);

impl CountsDigest {
    /// Of cells whose rows begin here.
    pub fn from_row(row: u64) -> Self {
        let mut digest = Xxh3::new();
        digest.update(&row.to_le_bytes());
        CountsDigest(digest)
    }

    pub fn add(&mut self, counts: &[u64]) {
        for count in counts {
            self.0.update(&count.to_le_bytes());
        }
    }

    pub fn finish(self) -> String {
        format!("{:016x}", self.0.digest())
    }
}

/// Shards of cells that took them for having other rows than the shards of the expression table have
/// counted, which are all done.
pub(super) fn mistaken(folder: &Path, checkpoint: &Checkpoint) -> Result<Vec<usize>, IngestError> {
    let plan = &checkpoint.plan;
    let counts = WrittenCounts::until(folder, checkpoint, u64::MAX);
    let mut counts = counts.ok_or(IngestError::WorkerDied)?;
    let mut wrong = Vec::new();
    let records: Vec<&FrameRecord> = checkpoint.frames(FrameTable::Cells);
    for record in records {
        let Some(frame) = plan.frame(record.shard) else {
            continue;
        };
        let cells = plan.cells_of(&frame.parts);
        let mut digest = CountsDigest::from_row(counts.next_row);
        let mut left = cells.end - cells.start;
        while left > 0 {
            let taken = left.min(BLOCK);
            digest.add(&counts.next(taken)?);
            left -= taken;
        }
        if record.counted != Some(digest.finish()) {
            wrong.push(record.shard);
        }
    }
    Ok(wrong)
}
