//! Writing shards: chunks are read and narrowed on all threads, and written in order.

use std::sync::Mutex;

use tokio::runtime::Handle;

use super::counts::CountsWriter;
use super::queue::{Lane, Queue, Task};
use super::target::Target;
use super::{IngestError, RunOptions};
use crate::chunk::{CooBatch, CooSpec, Tidied, ValueStats};
use crate::dataset::{Checkpoint, ConfigFile, ShardRecord};
use crate::plan::Plan;
use crate::progress::{Event, Progress};
use crate::source::{CellSource, ChunkBudget, Chunks};
use crate::table::{ExpressionWriter, TableName};

/// Measured with chunks of a few kilobytes: the program, Lance and what the allocator keeps.
const BASE_MEMORY: u64 = 160 << 20;

/// Buffers of one Lance writer: 8 MiB for each of three columns, and a page on its way out.
const LANE_MEMORY: u64 = 32 << 20;

/// Larger chunks are not faster, smaller ones cost more bookkeeping than work.
const LARGEST_CHUNK: u64 = 8 << 20;
const SMALLEST_CHUNK: u64 = 64 << 10;

/// What all workers of a job share.
pub(super) struct ShardRun<'a> {
    pub source: &'a dyn CellSource,
    pub target: &'a Target,
    pub options: &'a RunOptions,
    pub progress: &'a dyn Progress,
    pub runtime: Handle,
}

/// Writes one shard.
struct ShardWriter {
    expression: ExpressionWriter,
    counts: CountsWriter,
    counts_name: String,
    stats: ValueStats,
    tidied: Tidied,
    entries: u64,
}

impl ShardRun<'_> {
    /// Writes every shard that has no record yet, and records it in the checkpoint and on disk.
    pub fn write_missing(&self, checkpoint: &mut Checkpoint) -> Result<(), IngestError> {
        let missing = checkpoint.missing();
        let plan = checkpoint.plan.clone();
        let threads = self.options.threads.max(1);
        let queue = Queue::new(missing, self.lanes() as usize, self.window());
        let checkpoint = Mutex::new(checkpoint);
        let worker = || self.work(&plan, &queue, &checkpoint);
        let died = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..threads)
                .map(|number| {
                    std::thread::Builder::new()
                        .name(format!("slaf-worker-{number}"))
                        .spawn_scoped(scope, worker)
                })
                .collect();
            let mut died = false;
            for thread in threads {
                match thread {
                    Ok(thread) => died |= thread.join().is_err(),
                    Err(source) => queue.fail(IngestError::Threads { source }),
                }
            }
            died
        });
        queue.into_result()?;
        if died {
            Err(IngestError::WorkerDied)
        } else {
            Ok(())
        }
    }

    /// Chunks in memory at once: one a thread is read, and one more a thread waits to be written.
    fn window(&self) -> usize {
        2 * self.options.threads.max(1)
    }

    /// Shards written at once. A writer keeps about two readers busy, and holds buffers.
    fn lanes(&self) -> u64 {
        let wanted = self.options.threads.max(1).div_ceil(3) as u64;
        wanted.min(self.memory_left() / (2 * LANE_MEMORY)).max(1)
    }

    fn memory_left(&self) -> u64 {
        self.options.memory.saturating_sub(BASE_MEMORY)
    }

    fn chunk_budget(&self) -> ChunkBudget {
        // Half of what is left: between two chunks the allocator holds on to memory.
        let left = self
            .memory_left()
            .saturating_sub(self.lanes() * LANE_MEMORY);
        let share = left / 2 / self.window() as u64;
        ChunkBudget {
            bytes: share.clamp(SMALLEST_CHUNK, LARGEST_CHUNK),
            cells: self.options.chunk_cells.max(1),
        }
    }

    fn work<'q>(
        &'q self,
        plan: &Plan,
        queue: &Queue<'q, Box<ShardWriter>>,
        checkpoint: &Mutex<&mut Checkpoint>,
    ) {
        // A panic in one worker must not leave the others waiting for its chunk.
        struct Alarm<'b, 'q>(&'b Queue<'q, Box<ShardWriter>>);
        impl Drop for Alarm<'_, '_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.fail(IngestError::WorkerDied);
                }
            }
        }
        let _alarm = Alarm(queue);
        while let Some(task) = queue.next() {
            if let Err(failure) = self.perform(task, plan, queue, checkpoint) {
                queue.fail(failure);
            }
        }
    }

    fn perform<'q>(
        &'q self,
        task: Task<'q, Box<ShardWriter>>,
        plan: &Plan,
        queue: &Queue<'q, Box<ShardWriter>>,
        checkpoint: &Mutex<&mut Checkpoint>,
    ) -> Result<(), IngestError> {
        match task {
            Task::Begin { shard } => queue.begun(self.begin(plan, shard)?),
            Task::Read {
                lane,
                mut chunks,
                number,
            } => match chunks.next() {
                None => queue.exhausted(lane),
                Some(chunk) => {
                    let chunk = chunk?;
                    queue.taken(lane, chunks);
                    let chunk = chunk.read()?;
                    let batch = CooBatch::new(&chunk, &self.spec(plan, lane))?;
                    queue.ready(lane, number, batch);
                }
            },
            Task::Write {
                lane,
                mut writer,
                batch,
            } => {
                self.runtime.block_on(writer.expression.write(&batch))?;
                writer.add(&batch)?;
                self.progress.report(Event::Written {
                    entries: batch.entries,
                });
                queue.written(lane, writer);
            }
            Task::Finish { shard, writer } => {
                let record = self.finish(plan, shard, *writer)?;
                self.record(checkpoint, record)?;
            }
        }
        Ok(())
    }

    fn spec(&self, plan: &Plan, shard: usize) -> CooSpec {
        let input = &plan.inputs[plan.shards[shard].input];
        CooSpec {
            path: input.path.clone(),
            matrix: input.matrix.object.clone(),
            first_cell: input.cells.start,
            genes: plan.genes,
            cell_type: plan.cell_type,
            gene_type: plan.gene_type,
            value_type: plan.value.value_type,
        }
    }

    fn begin<'q>(
        &'q self,
        plan: &Plan,
        shard: usize,
    ) -> Result<Lane<'q, Box<ShardWriter>>, IngestError> {
        let planned = &plan.shards[shard];
        let matrix = &plan.inputs[planned.input].matrix.name;
        let chunks: Chunks<'q> =
            self.source
                .chunks(matrix, planned.cells.clone(), self.chunk_budget())?;
        let table = self.target.table(TableName::Expression);
        let counts_name = format!("counts-{shard}.arrow");
        let writer = ShardWriter {
            expression: ExpressionWriter::new(table, plan.job_id(), plan),
            counts: CountsWriter::create(self.target.job_folder().join(&counts_name))?,
            counts_name,
            stats: ValueStats::default(),
            tidied: Tidied::default(),
            entries: 0,
        };
        Ok(Lane {
            shard,
            chunks: Some(chunks),
            exhausted: false,
            taken: 0,
            written: 0,
            ready: Default::default(),
            writer: Some(Box::new(writer)),
        })
    }

    fn finish(
        &self,
        plan: &Plan,
        shard: usize,
        writer: ShardWriter,
    ) -> Result<ShardRecord, IngestError> {
        let expression = self.runtime.block_on(writer.expression.finish())?;
        writer.counts.finish()?;
        crate::failpoint::reach("counts-written");
        Ok(ShardRecord {
            shard,
            value_type: plan.value.value_type,
            entries: writer.entries,
            stats: writer.stats,
            tidied: writer.tidied,
            expression,
            counts: writer.counts_name,
        })
    }

    fn record(
        &self,
        checkpoint: &Mutex<&mut Checkpoint>,
        record: ShardRecord,
    ) -> Result<(), IngestError> {
        let mut checkpoint = checkpoint.lock().map_err(|_| IngestError::WorkerDied)?;
        crate::failpoint::reach("before-record");
        checkpoint.shards.push(record);
        let file = ConfigFile {
            dataset: None,
            checkpoint: Some((*checkpoint).clone()),
        };
        file.write(self.target.folder())?;
        crate::failpoint::reach("after-record");
        Ok(())
    }
}

impl ShardWriter {
    fn add(&mut self, batch: &CooBatch) -> Result<(), IngestError> {
        self.counts.write(&batch.counts)?;
        for stats in &batch.stats {
            self.stats.add(stats);
        }
        self.tidied.add(&batch.tidied);
        self.entries += batch.entries;
        Ok(())
    }
}
