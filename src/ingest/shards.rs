//! Writes a shard: its rows are read and narrowed on all threads, and written in order.

use tokio::runtime::Handle;

use super::genes::DatasetGenes;
use super::output_dir::OutputDir;
use super::part_reader::PartReader;
use super::shard_writer::ShardWriter;
use super::tables::Tables;
use super::{IngestError, RunOptions};
use crate::chunk::EntryBatch;
use crate::parallel::OrderedWork;
use crate::plan::{Plan, ShardPart, ShardTable};
use crate::progress::{Event, Progress};
use crate::source::{CellSource, ChunkBudget, Inputs, SourceError};

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

/// What a crew has of the job's means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    /// Threads of each crew.
    pub threads: usize,
    pub crews: usize,
    /// Bytes for all crews and their chunks.
    pub memory: u64,
}

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

    /// Returns the budget of a chunk. Per thread, one chunk in memory is being read and another is
    /// waiting to be written.
    fn chunk_budget(&self, share: Share) -> ChunkBudget {
        let (crews, threads) = (share.crews as u64, share.threads as u64);
        // Half of the rest, since the allocator retains memory between chunks.
        let left = share.memory.saturating_sub(crews * CREW_MEMORY);
        let share = left / 2 / (2 * threads * crews);
        ChunkBudget {
            bytes: share.clamp(SMALLEST_CHUNK, LARGEST_CHUNK),
            cells: self.options.chunk_cells.max(1),
        }
    }

    /// Writes one shard, all but its end.
    pub(super) fn write(
        &self,
        plan: &Plan,
        tables: &Tables,
        number: usize,
        share: Share,
    ) -> Result<Box<ShardWriter>, IngestError> {
        let shard = &plan.shards[number];
        let mut writer = Box::new(ShardWriter::begin(self.target, tables, plan, number)?);
        for part in &shard.parts {
            let source = self.inputs.get(part.input)?;
            self.transpose_matrices(plan, part, shard.table, &*source)?;
            let genes = self.genes.map(plan, part.input)?;
            let reader = PartReader::of(self, plan, part, shard.table, &*source, &genes)?;
            writer.begin_part(plan, part, shard.table);
            self.write_part(&reader, &mut writer, share)
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
        reader: &PartReader<'_>,
        writer: &mut ShardWriter,
        share: Share,
    ) -> Result<(), IngestError> {
        let ranges = reader.ranges(self.chunk_budget(share))?;
        OrderedWork::new("slaf-worker", share.threads).run(
            ranges.map(|range| range.map_err(IngestError::from)),
            |range| reader.read(range),
            |batch: EntryBatch| {
                writer.write(&batch, &self.runtime)?;
                let entries = batch.entries();
                self.progress.report(Event::Written { entries });
                Ok(())
            },
        )
    }
}
