//! Writing shards: chunks are read and narrowed on all threads, and written in order.

use std::sync::Mutex;

use tokio::runtime::Handle;

use super::batch::Batch;
use super::pieces::{Piece, pieces};
use super::queue::{Lane, Queue, Task};
use super::shard_writer::ShardWriter;
use super::target::Target;
use super::{IngestError, RunOptions};
use crate::chunk::{CooBatch, CooSpec, IdHash, LayersBatch};
use crate::dataset::{Checkpoint, ConfigFile, ShardRecord};
use crate::plan::{Plan, ShardTable};
use crate::progress::{Event, Progress};
use crate::source::{CellSource, ChunkBudget};
use crate::survey::blocks;

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
    pub hashes: Hashes,
}

/// The hashes of the identifiers of all columns of the matrices.
pub(super) struct Hashes {
    genes: Vec<IdHash>,
    /// Only where cells are columns, too.
    cells: Vec<IdHash>,
}

impl Hashes {
    /// Hashes the identifiers that a plan needs.
    pub fn of(source: &dyn CellSource, plan: &Plan) -> Result<Self, IngestError> {
        let mut hashes = Hashes {
            genes: Vec::new(),
            cells: Vec::new(),
        };
        for rows in blocks(0..plan.genes, 0) {
            hashes.genes.extend(IdHash::of_all(&source.gene_ids(rows)?));
        }
        if !plan.obsp.is_empty() {
            for rows in blocks(0..plan.cells, 0) {
                hashes.cells.extend(IdHash::of_all(&source.cell_ids(rows)?));
            }
        }
        Ok(hashes)
    }
}

impl ShardRun<'_> {
    /// Turns the matrices of missing shards that lie in the order of their columns.
    pub fn turn_matrices(&self, checkpoint: &Checkpoint) -> Result<(), IngestError> {
        let plan = &checkpoint.plan;
        let missing = checkpoint.missing();
        for table in ShardTable::ALL {
            let mut shards = missing.iter().map(|&shard| &plan.shards[shard]);
            let Some(shard) = shards.find(|shard| shard.table == table) else {
                continue;
            };
            for matrix in plan.inputs[shard.input].matrices(table) {
                let report = |entries| {
                    let matrix = &matrix.object;
                    self.progress.report(Event::Turned { matrix, entries });
                };
                self.source.prepare(&matrix.name, &report)?;
            }
        }
        Ok(())
    }

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
        plan: &'q Plan,
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
        plan: &'q Plan,
        queue: &Queue<'q, Box<ShardWriter>>,
        checkpoint: &Mutex<&mut Checkpoint>,
    ) -> Result<(), IngestError> {
        match task {
            Task::Begin { shard } => queue.begun(self.begin(plan, shard)?),
            Task::Read {
                lane,
                mut pieces,
                number,
            } => match pieces.next() {
                None => queue.exhausted(lane),
                Some(piece) => {
                    let piece = piece?;
                    queue.taken(lane, pieces);
                    queue.ready(lane, number, self.read(plan, lane, piece)?);
                }
            },
            Task::Write {
                lane,
                mut writer,
                batch,
            } => {
                writer.write(&batch, &self.runtime)?;
                let entries = batch.entries();
                self.progress.report(Event::Written { entries });
                queue.written(lane, writer);
            }
            Task::Finish { writer } => {
                let record = writer.finish(&self.runtime)?;
                self.record(checkpoint, record)?;
            }
        }
        Ok(())
    }

    fn begin<'q>(
        &'q self,
        plan: &'q Plan,
        shard: usize,
    ) -> Result<Lane<'q, Box<ShardWriter>>, IngestError> {
        let planned = &plan.shards[shard];
        let matrices = plan.inputs[planned.input].matrices(planned.table);
        let pieces = pieces(
            self.source,
            matrices,
            planned.rows.clone(),
            self.chunk_budget(),
        )?;
        Ok(Lane {
            shard,
            pieces: Some(pieces),
            exhausted: false,
            taken: 0,
            written: 0,
            ready: Default::default(),
            writer: Some(Box::new(ShardWriter::begin(self.target, plan, shard)?)),
        })
    }

    /// Reads and narrows the rows of a piece.
    fn read(&self, plan: &Plan, shard: usize, piece: Piece<'_>) -> Result<Batch, IngestError> {
        let planned = &plan.shards[shard];
        let input = &plan.inputs[planned.input];
        let (table, matrices) = (planned.table, input.matrices(planned.table));
        let ids = match table {
            ShardTable::GenePairs => self.source.gene_ids(piece.rows.clone())?,
            _ => self.source.cell_ids(piece.rows.clone())?,
        };
        let row_hashes = IdHash::of_all(&ids);
        let column_hashes = match table {
            ShardTable::CellPairs => &self.hashes.cells,
            _ => &self.hashes.genes,
        };
        let [cell_type, gene_type] = plan.id_types(table);
        let values = plan.values(table);
        let mut batches = Vec::with_capacity(matrices.len());
        for ((matrix, value), chunks) in matrices.iter().zip(&values).zip(piece.matrices) {
            let spec = CooSpec {
                path: input.path.clone(),
                matrix: matrix.object.clone(),
                first_cell: match table {
                    ShardTable::GenePairs => 0,
                    _ => input.cells.start,
                },
                genes: match table {
                    ShardTable::CellPairs => plan.cells,
                    _ => plan.genes,
                },
                cell_type,
                gene_type,
                value_type: value.value_type,
                gene_hashes: column_hashes,
            };
            let mut parts = Vec::with_capacity(chunks.len());
            for chunk in chunks {
                let chunk = chunk.read()?;
                let first = (chunk.cells.start - piece.rows.start) as usize;
                let hashes = &row_hashes[first..first + chunk.indptr.len() - 1];
                parts.push(CooBatch::new(&chunk, hashes, &spec)?);
            }
            batches.push(parts);
        }
        if let [parts] = &mut batches[..]
            && parts.len() == 1
        {
            return Ok(Batch::One(Box::new(parts.remove(0))));
        }
        let types: Vec<_> = values.iter().map(|value| value.value_type).collect();
        let united = LayersBatch::unite(batches, gene_type, cell_type, &types);
        Ok(Batch::Several(united.map_err(|source| {
            crate::table::TableError::Arrow {
                path: self.target.table(table.into()).path().to_path_buf(),
                source,
            }
        })?))
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
