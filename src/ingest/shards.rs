//! Writes a shard: pieces are read and narrowed on all threads, and written in order.

use tokio::runtime::Handle;

use super::entry_batch::EntryBatch;
use super::genes::DatasetGenes;
use super::ordered_pipeline::{OrderedPipeline, Task};
use super::output_dir::OutputDir;
use super::row_ranges::{RowRangeChunks, pieces};
use super::shard_writer::ShardWriter;
use super::tables::Tables;
use super::{IngestError, RunOptions};
use crate::chunk::{ColumnHashes, CooBatch, CooSpec, IdHash, LayersBatch};
use crate::plan::{Plan, ShardPart, ShardTable};
use crate::progress::{Event, Progress};
use crate::source::blocks::RowBlocks;
use crate::source::{CellSource, ChunkBudget, Inputs, Reindex, SourceError};

/// Bytes used by the program, Lance and the allocator, measured with chunks of a few kilobytes.
const BASE_MEMORY: u64 = 160 << 20;

/// Bytes of buffers of one Lance writer: 8 MiB for each of three columns, and pages being written
/// by it or its predecessor.
pub(super) const CREW_MEMORY: u64 = 40 << 20;

/// Bytes per thread: decompression buffers, what the allocator retains, and its share of the
/// writers and chunks, whose number grows with that of the threads. Measured with 2 to 128 threads.
const THREAD_MEMORY: u64 = 24 << 20;

/// Returns the number of threads, of those requested, that the memory suffices for.
pub fn affordable_threads(threads: usize, memory: u64) -> usize {
    let affordable = memory.saturating_sub(BASE_MEMORY) / THREAD_MEMORY;
    let affordable = usize::try_from(affordable).unwrap_or(usize::MAX);
    threads.min(affordable.max(2)).max(1)
}

/// Larger chunks are not faster; smaller ones cost more bookkeeping than work.
const LARGEST_CHUNK: u64 = 8 << 20;
const SMALLEST_CHUNK: u64 = 64 << 10;

/// State shared by all workers of a job.
pub(super) struct ShardRun<'a> {
    /// The inputs of the job.
    pub inputs: &'a Inputs,
    /// The output.
    pub target: &'a OutputDir,
    /// Options of the run.
    pub options: &'a RunOptions,
    /// Listener for progress events.
    pub progress: &'a dyn Progress,
    /// Runtime for writing tables.
    pub runtime: Handle,
    /// The genes of the dataset.
    pub genes: &'a DatasetGenes<'a>,
}

/// A part of a shard that is being written.
struct OpenPart<'a> {
    plan: &'a Plan,
    part: &'a ShardPart,
    table: ShardTable,
    source: &'a dyn CellSource,
    genes: &'a Reindex,
    /// Hashes of this input's cells, if they are the columns of the matrices.
    cells: Vec<IdHash>,
}

impl ShardRun<'_> {
    /// Transposes matrices of missing shards that are stored by column, for inputs that stay open.
    pub fn transpose_matrices(
        &self,
        plan: &Plan,
        part: &ShardPart,
        table: ShardTable,
        source: &dyn CellSource,
    ) -> Result<(), IngestError> {
        for matrix in plan.inputs[part.input].matrices(table) {
            let report = |entries| {
                let matrix = &matrix.object;
                self.progress.report(Event::Transposed { matrix, entries });
            };
            if matrix.is_readable() {
                source.matrix(&matrix.name)?.prepare(&report)?;
            }
        }
        Ok(())
    }

    /// Number of bytes available for worker groups and their chunks.
    pub(super) fn memory_left(&self) -> u64 {
        self.options.memory.saturating_sub(BASE_MEMORY)
    }

    /// Returns the budget of a chunk. Per thread, one piece in memory is being read and another is
    /// waiting to be written.
    fn chunk_budget(&self, threads: usize, crews: usize) -> ChunkBudget {
        let crews = crews as u64;
        // Half of the rest, since the allocator retains memory between chunks.
        let left = self.memory_left().saturating_sub(crews * CREW_MEMORY);
        let share = left / 2 / (2 * threads as u64 * crews);
        ChunkBudget {
            bytes: share.clamp(SMALLEST_CHUNK, LARGEST_CHUNK),
            cells: self.options.chunk_cells.max(1),
        }
    }

    /// Writes one shard with this many threads, except for finishing it.
    pub(super) fn write(
        &self,
        plan: &Plan,
        tables: &Tables,
        number: usize,
        threads: usize,
        crews: usize,
    ) -> Result<Box<ShardWriter>, IngestError> {
        let shard = &plan.shards[number];
        let mut writer = Box::new(ShardWriter::begin(self.target, tables, plan, number)?);
        for part in &shard.parts {
            let source = self.inputs.get(part.input)?;
            self.transpose_matrices(plan, part, shard.table, &*source)?;
            let cells = match shard.table {
                ShardTable::Obsp => {
                    let mut cells = Vec::new();
                    let mut blocks = RowBlocks::new(0..source.description().n_obs, 1);
                    while let Some(rows) = blocks.next() {
                        let ids = source.obs_names(rows)?;
                        blocks.held(ids.values().len() as u64);
                        cells.extend(IdHash::of_all(&ids));
                    }
                    cells
                }
                _ => Vec::new(),
            };
            let genes = self.genes.map(plan, part.input)?;
            let open = OpenPart {
                plan,
                part,
                table: shard.table,
                source: &*source,
                genes: &genes,
                cells,
            };
            writer.begin_part(plan, part, shard.table);
            writer =
                self.write_part(&open, writer, threads, crews)
                    .map_err(|error| match error {
                        IngestError::Source(source @ SourceError::OrderLost { .. }) => {
                            let input = part.input;
                            IngestError::OrderLost { input, source }
                        }
                        other => other,
                    })?;
        }
        Ok(writer)
    }

    fn write_part(
        &self,
        open: &OpenPart<'_>,
        writer: Box<ShardWriter>,
        threads: usize,
        crews: usize,
    ) -> Result<Box<ShardWriter>, IngestError> {
        let matrices = open.plan.inputs[open.part.input].matrices(open.table);
        let budget = self.chunk_budget(threads, crews);
        let pieces = pieces(open.source, matrices, open.part.rows.clone(), budget)?;
        let queue = OrderedPipeline::new(pieces, writer, 2 * threads);
        let worker = || self.work(open, &queue);
        let died = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .map(|number| {
                    std::thread::Builder::new()
                        .name(format!("slaf-worker-{number}"))
                        .spawn_scoped(scope, worker)
                })
                .collect();
            worker();
            let mut died = false;
            for other in others {
                match other {
                    Ok(other) => died |= other.join().is_err(),
                    Err(source) => queue.fail(IngestError::Threads { source }),
                }
            }
            died
        });
        match queue.into_writer() {
            Ok(_) if died => Err(IngestError::WorkerDied),
            result => result,
        }
    }

    fn work<'q>(&self, open: &OpenPart<'_>, queue: &OrderedPipeline<'q, Box<ShardWriter>>) {
        // A panic in one worker must not leave the others waiting for its piece.
        struct Alarm<'b, 'q>(&'b OrderedPipeline<'q, Box<ShardWriter>>);
        impl Drop for Alarm<'_, '_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.0.fail(IngestError::WorkerDied);
                }
            }
        }
        let _alarm = Alarm(queue);
        while let Some(task) = queue.next() {
            if let Err(failure) = self.perform(task, open, queue) {
                queue.fail(failure);
            }
        }
    }

    fn perform<'q>(
        &self,
        task: Task<'q, Box<ShardWriter>>,
        open: &OpenPart<'_>,
        queue: &OrderedPipeline<'q, Box<ShardWriter>>,
    ) -> Result<(), IngestError> {
        match task {
            Task::Read { mut pieces, number } => match pieces.next() {
                None => queue.exhausted(),
                Some(piece) => {
                    let piece = piece?;
                    queue.taken(pieces);
                    queue.ready(number, self.read(open, piece)?);
                }
            },
            Task::Write { mut writer, batch } => {
                writer.write(&batch, &self.runtime)?;
                let entries = batch.entries();
                self.progress.report(Event::Written { entries });
                queue.written(writer);
            }
        }
        Ok(())
    }

    /// Reads and narrows the rows of a piece.
    fn read(
        &self,
        open: &OpenPart<'_>,
        piece: RowRangeChunks<'_>,
    ) -> Result<EntryBatch, IngestError> {
        let OpenPart { plan, table, .. } = *open;
        let input = &plan.inputs[open.part.input];
        let matrices = input.matrices(table);
        let ids = match table {
            ShardTable::Varp => open.source.var_names(piece.rows.clone())?,
            _ => open.source.obs_names(piece.rows.clone())?,
        };
        let row_hashes = IdHash::of_all(&ids);
        let description = open.source.description();
        // The plan has checked that cell numbers fit 32 bits.
        let first_cell = input.cells.start as u32;
        // Hashes by the cells' numbers in the dataset, of which only this input's are needed.
        let own_cells = ColumnHashes {
            first: first_cell,
            own: &open.cells,
        };
        let shifted = Reindex::Shifted {
            by: first_cell,
            columns: description.n_obs,
        };
        let (columns, genes, dataset_genes, column_hashes, first_row) = match table {
            ShardTable::Expression | ShardTable::Layers => (
                open.genes,
                description.n_vars,
                plan.genes,
                ColumnHashes::from(&self.genes.hashes),
                input.cells.start,
            ),
            ShardTable::Obsp if first_cell == 0 => (
                &Reindex::Identity,
                description.n_obs,
                plan.cells,
                own_cells,
                0,
            ),
            ShardTable::Obsp => (
                &shifted,
                description.n_obs,
                plan.cells,
                own_cells,
                input.cells.start,
            ),
            ShardTable::Varp => (
                &Reindex::Identity,
                plan.genes,
                plan.genes,
                ColumnHashes::from(&self.genes.hashes),
                0,
            ),
        };
        let [cell_type, gene_type] = plan.id_types(table);
        let values = plan.values(table);
        let mut batches = Vec::with_capacity(matrices.len());
        for ((matrix, value), chunks) in matrices.iter().zip(&values).zip(piece.matrices) {
            let spec = CooSpec {
                path: input.path.clone(),
                matrix: matrix.object.clone(),
                first_cell: first_row,
                genes,
                columns,
                dataset_genes,
                cell_type,
                gene_type,
                value_type: value.value_type,
                gene_hashes: column_hashes,
                identities: match table {
                    ShardTable::Expression => Some(&self.genes.identities),
                    _ => None,
                },
            };
            let mut parts = Vec::with_capacity(chunks.len());
            for chunk in chunks {
                let chunk = chunk.read()?;
                let first = (chunk.rows.start - piece.rows.start) as usize;
                let hashes = &row_hashes[first..first + chunk.indptr.len() - 1];
                parts.push(CooBatch::new(&chunk, hashes, &spec)?);
            }
            batches.push(parts);
        }
        if let [parts] = &mut batches[..]
            && parts.len() == 1
        {
            return Ok(EntryBatch::One(Box::new(parts.remove(0))));
        }
        let types: Vec<_> = values.iter().map(|value| value.value_type).collect();
        let united = LayersBatch::unite(batches, gene_type, cell_type, &types);
        Ok(EntryBatch::Several(united.map_err(|source| {
            crate::table::TableError::Arrow {
                path: self.target.table(table.into()).path().to_path_buf(),
                source,
            }
        })?))
    }
}
