//! Which shard of cells, genes or notes is written next: those of cells tell where their rows of the
//! expression table begin, and wait for the shards that count them unless the input says so.

use std::sync::PoisonError;

use super::IngestError;
use super::cell_counts::{CellCounts, ExpectedCounts, WrittenCounts};
use super::frames::FrameRun;
use super::shard_scheduler::ShardScheduler;
use crate::plan::{FrameShard, FrameTable};

/// A shard of cells, genes or notes.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub shard: usize,
    /// Of cells, whether it may be begun before their rows are counted.
    pub begin: Begin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    AtOnce,
    WhenCounted,
}

/// What a thread does about frames that are not ready.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    Wait,
    GoOn,
}

impl ShardScheduler<'_> {
    /// Writes shards of cells, genes and notes, until there are no more, or none that are ready.
    pub(super) fn write_frames(&self, patience: Patience) {
        while let Some((frame, counted)) = self.next_frame(patience) {
            if let Err(error) = self.write_frame(frame, counted) {
                self.fail(error);
            }
        }
    }

    /// The next of them, with the counts that it needs and that are there.
    fn next_frame(&self, patience: Patience) -> Option<(Frame, Counts)> {
        let mut work = self.lock();
        loop {
            if work.failure.is_some() {
                return None;
            }
            let found = work.frames.iter().enumerate();
            let mut found = found.filter_map(|(place, frame)| Some((place, self.counts(*frame)?)));
            if let Some((place, counts)) = found.next() {
                return Some((work.frames.remove(place), counts));
            }
            if work.frames.is_empty() || patience == Patience::GoOn {
                return None;
            }
            work = self
                .changed
                .wait(work)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The counts with which a shard can be begun; `None` where it has to wait.
    fn counts(&self, frame: Frame) -> Option<Counts> {
        let shard = self.plan.frame(frame.shard)?;
        if shard.table != FrameTable::Cells {
            return Some(Counts::None);
        }
        let end = self.plan.cells_of(&shard.parts).end;
        let checkpoint = self.checkpoint();
        let mut needed = self.plan.counted_before(end);
        if needed.all(|shard| checkpoint.record(shard).is_some()) {
            return Some(Counts::Written);
        }
        let of_first = shard.parts.iter().all(|part| part.input == 0);
        (of_first && frame.begin == Begin::AtOnce).then_some(Counts::Expected)
    }

    fn write_frame(&self, frame: Frame, counts: Counts) -> Result<(), IngestError> {
        let ShardScheduler {
            run, plan, tables, ..
        } = *self;
        let frames = FrameRun { run, plan, tables };
        let shard = plan.frame(frame.shard).ok_or(IngestError::WorkerDied)?;
        let record = match counts {
            Counts::None => frames.write(frame.shard, None)?,
            Counts::Written => {
                let counts = self.written(shard)?;
                frames.write(frame.shard, Some(CellCounts::Written(counts)))?
            }
            Counts::Expected => {
                let source = run.inputs.get(0)?;
                let rows = shard.parts.iter().map(|part| part.rows.clone()).next();
                let mut known = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
                let expected = rows
                    .filter(|rows| rows.start >= known.cell)
                    .and_then(|rows| ExpectedCounts::of(&*source, plan, rows, &mut known));
                drop(known);
                match expected {
                    Some(counts) => {
                        frames.write(frame.shard, Some(CellCounts::Expected(counts)))?
                    }
                    // It has to wait after all.
                    None => {
                        let begin = Begin::WhenCounted;
                        self.lock().frames.push(Frame { begin, ..frame });
                        self.changed.notify_all();
                        return Ok(());
                    }
                }
            }
        };
        self.record_frame(record)
    }

    /// What shards have counted of the cells of a shard.
    fn written(&self, shard: &FrameShard) -> Result<WrittenCounts, IngestError> {
        let cells = self.plan.cells_of(&shard.parts);
        let folder = self.run.target.job_folder();
        let counts = WrittenCounts::until(folder.path(), &self.checkpoint(), cells.end);
        let mut counts = counts.ok_or(IngestError::WorkerDied)?;
        let first = self.plan.base.as_ref().map_or(0, |base| base.cells);
        counts.skip(first, cells.start)?;
        Ok(counts)
    }
}

/// Whence the counts of cells come.
#[derive(Clone, Copy)]
enum Counts {
    None,
    Written,
    Expected,
}
