//! Threads that write shards: one worker group per shard, and as many concurrent groups as the
//! memory budget allows.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use super::IngestError;
use super::shard_writer::ShardWriter;
use super::shards::{CREW_MEMORY, ShardRun};
use super::tables::{Tables, TargetTable};
use crate::dataset::{Checkpoint, ShardRecord};
use crate::plan::{Compression, Plan};

/// State shared by all worker groups.
struct ShardScheduler<'a> {
    run: &'a ShardRun<'a>,
    plan: &'a Plan,
    tables: &'a Tables,
    missing: Mutex<VecDeque<usize>>,
    checkpoint: Mutex<&'a mut Checkpoint>,
    /// First failure, after which no shard is started.
    failure: Mutex<Option<IngestError>>,
    /// Number of worker groups, and of threads in each.
    crews: usize,
    threads: usize,
}

impl ShardRun<'_> {
    /// Writes every shard that has no record yet, and records it in the checkpoint and on disk.
    pub fn write_missing(&self, checkpoint: &mut Checkpoint) -> Result<(), IngestError> {
        let plan = checkpoint.plan.clone();
        let tables = TargetTable::of_all(self.target, checkpoint);
        let tables = self.runtime.block_on(tables)?;
        let missing = VecDeque::from(checkpoint.missing());
        let crews = self.crews(&plan, missing.len());
        let crews = ShardScheduler {
            run: self,
            plan: &plan,
            tables: &tables,
            missing: Mutex::new(missing),
            checkpoint: Mutex::new(checkpoint),
            failure: Mutex::default(),
            crews,
            threads: self.options.threads.max(1).div_ceil(crews),
        };
        let died = std::thread::scope(|scope| {
            let crews = &crews;
            let others: Vec<_> = (1..crews.crews)
                .map(|_| scope.spawn(|| crews.work(scope)))
                .collect();
            let died = crews.work(scope);
            others
                .into_iter()
                .fold(died, |died, other| died | other.join().unwrap_or(true))
        });
        let failure = crews.failure.into_inner();
        match failure.unwrap_or_else(PoisonError::into_inner) {
            Some(failure) => Err(failure),
            None if died => Err(IngestError::WorkerDied),
            None => Ok(()),
        }
    }

    /// Returns the number of shards to write concurrently. A writer needs buffers and keeps about
    /// two readers busy, or less than one if it compresses.
    fn crews(&self, plan: &Plan, shards: usize) -> usize {
        let each = match plan.compression {
            Compression::None => 3,
            Compression::Lz4 => 2,
            Compression::Zstd => 1,
        };
        let wanted = self.options.threads.max(1).div_ceil(each);
        let affordable = self.memory_left() / (2 * CREW_MEMORY);
        let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
        wanted.min(affordable).min(shards).max(1)
    }
}

impl ShardScheduler<'_> {
    /// Runs one worker group, which writes shard after shard. While the end of one is encoded and
    /// synced, the next is already read. Returns whether a thread panicked.
    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) -> bool {
        let mut ending: Option<ScopedJoinHandle<'_, ()>> = None;
        let mut died = false;
        while let Some(shard) = self.next() {
            let ShardScheduler { run, plan, .. } = self;
            let written = run.write(plan, self.tables, shard, self.threads, self.crews);
            died |= ending.take().is_some_and(|ending| ending.join().is_err());
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
        died | ending.is_some_and(|ending| ending.join().is_err())
    }

    /// Returns the next shard, unless there was a failure.
    fn next(&self) -> Option<usize> {
        let failed = self
            .failure
            .lock()
            .map_or(true, |failure| failure.is_some());
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.pop_front().filter(|_| !failed)
    }

    fn fail(&self, error: IngestError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }

    /// Finishes a shard's files and records it.
    fn finish(&self, writer: Box<ShardWriter>) {
        let record = writer.finish(&self.run.runtime);
        if let Err(error) = record.and_then(|record| self.record(record)) {
            self.fail(error);
        }
    }

    fn record(&self, record: ShardRecord) -> Result<(), IngestError> {
        crate::failpoint::reach("before-record");
        self.run.target.job_folder().put(&record)?;
        crate::failpoint::reach("record-written");
        let mut checkpoint = self
            .checkpoint
            .lock()
            .map_err(|_| IngestError::WorkerDied)?;
        checkpoint.shards.push(record);
        self.run.target.refresh(&checkpoint)?;
        crate::failpoint::reach("after-record");
        Ok(())
    }
}
