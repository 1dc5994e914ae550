//! The threads that write shards: one crew a shard of matrices, as many at once as are worth their memory,
//! and beside them one thread for cells, genes and notes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ScopedJoinHandle;

use super::IngestError;
use super::cell_counts::Expected;
use super::frame_queue::{Begin, Frame, Patience};
use super::shard_writer::ShardWriter;
use super::shards::{CREW_MEMORY, ShardRun, Share};
use super::tables::{Tables, TargetTable};
use crate::dataset::{Checkpoint, FrameRecord, ShardRecord};
use crate::parallel::{WorkError, on_threads};
use crate::plan::{Compression, Plan};
use crate::source::Reindex;

/// Memory with which cells are written beside matrices; with less they are written after them.
const ENOUGH_FOR_BOTH: u64 = 4 * CREW_MEMORY;

/// State shared by all worker groups.
pub(super) struct ShardScheduler<'a> {
    pub run: &'a ShardRun<'a>,
    pub plan: &'a Plan,
    pub tables: &'a Tables,
    checkpoint: Mutex<&'a mut Checkpoint>,
    work: Mutex<Work>,
    /// There is other work, or less.
    pub changed: Condvar,
    share: Share,
    /// Up to where it was looked up how many entries the first input stores.
    pub expected: Mutex<Expected>,
}

/// What is still to be begun.
pub(super) struct Work {
    matrices: VecDeque<usize>,
    pub frames: Vec<Frame>,
    /// First failure, after which no shard is started.
    pub failure: Option<IngestError>,
}

impl ShardRun<'_> {
    /// Writes every shard that has no record yet, and records it.
    pub fn write_missing(&self, checkpoint: &mut Checkpoint) -> Result<(), IngestError> {
        let plan = checkpoint.plan.clone();
        let tables = TargetTable::of_all(self.target, checkpoint);
        let tables = self.runtime.block_on(tables)?;
        let matrices = VecDeque::from(checkpoint.missing());
        let begin = if self.stores_what_it_writes(&plan)? {
            Begin::AtOnce
        } else {
            Begin::WhenCounted
        };
        let frames = checkpoint.missing_frames().into_iter();
        let frames: Vec<Frame> = frames.map(|shard| Frame { shard, begin }).collect();
        let beside =
            !frames.is_empty() && self.options.threads > 1 && self.memory_left() >= ENOUGH_FOR_BOTH;
        let memory = if beside {
            self.memory_left() - CREW_MEMORY
        } else {
            self.memory_left()
        };
        let crews = self.crews(&plan, matrices.len(), memory);
        let base_rows = plan.base.as_ref().map_or(0, |base| base.rows);
        let crews = ShardScheduler {
            run: self,
            plan: &plan,
            tables: &tables,
            checkpoint: Mutex::new(checkpoint),
            work: Mutex::new(Work {
                matrices,
                frames,
                failure: None,
            }),
            changed: Condvar::new(),
            share: Share {
                threads: self.options.threads.max(1).div_ceil(crews),
                crews,
                memory,
            },
            expected: Mutex::new(Expected {
                cell: 0,
                row: base_rows,
            }),
        };
        let next = AtomicUsize::new(0);
        let serve = || {
            // The first thread, which may be the only one, is a crew in any case.
            if next.fetch_add(1, Ordering::Relaxed) == 1 && beside {
                crews.write_frames(Patience::Wait);
            } else {
                crews.work();
            }
        };
        let threads = crews.share.crews + usize::from(beside);
        on_threads(threads, "slaf-crew", serve, |fault| {
            crews.fail(IngestError::of_fault(fault));
        });
        let work = crews.work.into_inner();
        match work.unwrap_or_else(PoisonError::into_inner).failure {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Returns the number of shards to write concurrently. A writer needs buffers and keeps about
    /// two readers busy, or less than one if it compresses.
    fn crews(&self, plan: &Plan, shards: usize, memory: u64) -> usize {
        let each = match plan.compression {
            Compression::None => 3,
            Compression::Lz4 => 2,
            Compression::Zstd => 1,
        };
        let wanted = self.options.threads.max(1).div_ceil(each);
        let affordable = memory / (2 * CREW_MEMORY);
        let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
        wanted.min(affordable).min(shards).max(1)
    }

    /// Whether all entries of the first input become rows, unless they are zero or there twice.
    fn stores_what_it_writes(&self, plan: &Plan) -> Result<bool, IngestError> {
        if plan.inputs.is_empty() {
            return Ok(false);
        }
        Ok(match self.genes.map(plan, 0)? {
            Reindex::Identity | Reindex::Shifted { .. } => true,
            Reindex::Moved(places) => !places.contains(&Reindex::DROPPED),
        })
    }
}

impl<'a> ShardScheduler<'a> {
    /// What one crew does: shard after shard. While the end of one is encoded and synced, the next
    /// one is read. At last it helps with what describes cells and genes.
    fn work(&self) {
        std::thread::scope(|scope| {
            let mut ending: Option<ScopedJoinHandle<'_, ()>> = None;
            while let Some(shard) = self.next() {
                let ShardScheduler { run, plan, .. } = self;
                let written = run.write(plan, self.tables, shard, self.share);
                self.ended(ending.take());
                let end = |writer| {
                    std::thread::Builder::new()
                        .name("slaf-end".into())
                        .spawn_scoped(scope, move || self.finish(writer))
                        .map_err(|source| IngestError::Threads { source })
                };
                match written.and_then(end) {
                    Ok(thread) => ending = Some(thread),
                    Err(error) => self.fail(error),
                }
            }
            self.write_frames(Patience::GoOn);
            self.ended(ending);
        });
        // What had to wait for the last shard of a matrix.
        self.write_frames(Patience::Wait);
    }

    fn ended(&self, ending: Option<ScopedJoinHandle<'_, ()>>) {
        if ending.is_some_and(|ending| ending.join().is_err()) {
            self.fail(IngestError::WorkerDied);
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next shard of a matrix, unless something failed.
    fn next(&self) -> Option<usize> {
        let mut work = self.lock();
        match work.failure {
            None => work.matrices.pop_front(),
            Some(_) => None,
        }
    }

    pub(super) fn fail(&self, error: IngestError) {
        self.lock().failure.get_or_insert(error);
        self.changed.notify_all();
    }

    /// Finishes a shard's files and records it.
    fn finish(&self, writer: Box<ShardWriter>) {
        let record = writer.finish(&self.run.runtime);
        if let Err(error) = record.and_then(|record| self.record(record)) {
            self.fail(error);
        }
    }

    pub(super) fn checkpoint(&self) -> MutexGuard<'_, &'a mut Checkpoint> {
        // A list is whole at any time.
        let checkpoint = self.checkpoint.lock();
        checkpoint.unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, record: ShardRecord) -> Result<(), IngestError> {
        crate::failpoint::reach("before-record");
        self.run.target.job_folder().put(&record)?;
        crate::failpoint::reach("record-written");
        let mut checkpoint = self.checkpoint();
        checkpoint.shards.push(record);
        self.run.target.refresh(&checkpoint)?;
        drop(checkpoint);
        crate::failpoint::reach("after-record");
        // Whoever waits is either waiting already or looks again.
        drop(self.lock());
        self.changed.notify_all();
        Ok(())
    }

    pub(super) fn record_frame(&self, record: FrameRecord) -> Result<(), IngestError> {
        crate::failpoint::reach("before-frame-record");
        self.run.target.job_folder().put_frame(&record)?;
        crate::failpoint::reach("frame-record-written");
        let mut checkpoint = self.checkpoint();
        checkpoint.frames.push(record);
        self.run.target.refresh(&checkpoint)?;
        drop(checkpoint);
        crate::failpoint::reach("after-frame-record");
        Ok(())
    }
}
