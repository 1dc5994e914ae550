//! The plan node that reads a table.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::stats::Precision;
use datafusion::common::{Result, Statistics, exec_datafusion_err};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    SendableRecordBatchStream,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::OnceCell;

use super::block::RowMaker;
use super::columns::Stored;
use super::error::through;
use super::prepared::{Conditions, IdFilter, Prepared};
use super::report::ScanReport;
use crate::table::{AHEAD, Block, EntryBlocks, RowReader, RowsAndColumns};

/// Rows of the first block, and of the largest ones: where there is plenty of memory, and where there is
/// little.
const FIRST_ROWS: u64 = 1 << 14;
const MOST_ROWS: u64 = 1 << 18;
const FEWER_ROWS: u64 = 1 << 16;

/// With less memory for operators than this, blocks are smaller.
const PLENTY: u64 = 160 << 20;

/// Bytes of a row of a table of numbers while it is read: stored, decoded and filtered.
const ROW_BYTES: u64 = 48;

/// Blocks that are read at the same time, at most.
const MOST_AT_ONCE: usize = 8;

/// How tables are read for a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanSettings {
    /// Number of threads.
    pub threads: usize,
    /// Bytes that operators may hold.
    pub pool: u64,
    /// Which rows share memory.
    pub copies: Copies,
}

/// Which rows share memory: who holds some of them, holds all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copies {
    /// Those of a block, for operators that let them pass.
    Blocks,
    /// Only those of a batch, for operators that hold batches and count their bytes.
    Batches,
}

/// Reads rows of a table.
#[derive(Clone)]
pub(super) struct TableScan {
    stored: Arc<Stored>,
    projection: Vec<usize>,
    /// Conditions on the columns of the table; rows for which one is not true are left out.
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    limit: Option<usize>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
    run: Arc<Run>,
}

/// What a run of the plan finds out.
struct Run {
    report: Arc<ScanReport>,
    filters: Mutex<Vec<IdFilter>>,
    begun: OnceCell<Begun>,
}

struct Begun {
    maker: Arc<RowMaker>,
    entries: Option<Arc<EntryBlocks>>,
    blocks: Vec<Block>,
    spans: Vec<Range<u64>>,
    /// What is read ahead.
    _ahead: MemoryReservation,
}

impl TableScan {
    /// Reads some columns of the rows of a table for which all conditions are true.
    pub fn new(
        stored: Arc<Stored>,
        projection: Vec<usize>,
        conditions: Vec<Arc<dyn PhysicalExpr>>,
        limit: Option<usize>,
        partitions: usize,
        report: Arc<ScanReport>,
    ) -> Result<Self> {
        let schema = stored.schema_of(&projection)?;
        let partitions = if stored.is_entries() {
            partitions.max(1)
        } else {
            1
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema.clone()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(TableScan {
            stored,
            projection,
            conditions,
            limit,
            schema,
            properties: Arc::new(properties),
            run: Arc::new(Run::new(report)),
        })
    }

    /// Whether the rows are entries of a matrix, which are many.
    pub fn is_of_entries(&self) -> bool {
        self.stored.is_entries()
    }

    /// Tells the scan what a join will need of it. Before the scan is run.
    pub fn narrow(&self, filter: IdFilter) {
        let filters = self.run.filters.lock();
        filters.unwrap_or_else(PoisonError::into_inner).push(filter);
    }

    async fn begin(&self, context: &TaskContext) -> Result<&Begun> {
        let run = &self.run;
        run.begun
            .get_or_try_init(|| async {
                let pool = context.memory_pool();
                let filters = run
                    .filters
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let conditions = Conditions {
                    of_query: &self.conditions,
                    of_joins: &filters,
                    projection: &self.projection,
                };
                let prepared = Prepared::of(&self.stored, conditions, pool, &run.report).await?;
                let spans = prepared.spans.clone();
                let rows: u64 = spans.iter().map(|span| span.end - span.start).sum();
                run.report.ranges(spans.len(), rows);
                let maker = RowMaker::new(
                    self.stored.clone(),
                    &self.projection,
                    Arc::new(prepared),
                    run.report.clone(),
                )?;
                for names in maker.names() {
                    names.texts(pool).await?;
                }
                let maker = Arc::new(maker);
                let ahead = MemoryConsumer::new(format!("reading {} ahead", self.stored.name));
                let ahead = ahead.register(pool);
                if !self.stored.is_entries() {
                    return Ok(Begun {
                        maker,
                        entries: None,
                        blocks: Vec::new(),
                        spans,
                        _ahead: ahead,
                    });
                }
                let entries = EntryBlocks::of(&self.stored.table, &self.stored.path).await;
                let entries = Arc::new(entries.map_err(through)?);
                let settings = context.session_config().get_extension::<ScanSettings>();
                let plenty = settings.is_none_or(|settings| settings.pool >= PLENTY);
                let most = if plenty { MOST_ROWS } else { FEWER_ROWS };
                let blocks = entries.blocks(&spans, FIRST_ROWS, most);
                let bytes = AHEAD.min(rows * ROW_BYTES);
                ahead.try_grow(usize::try_from(bytes).unwrap_or(usize::MAX))?;
                Ok(Begun {
                    maker,
                    entries: Some(entries),
                    blocks,
                    spans,
                    _ahead: ahead,
                })
            })
            .await
    }

    /// The rows of one partition, in the order in which they are stored.
    async fn rows(
        self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let partitions = self.properties.partitioning.partition_count();
        let Begun {
            maker,
            entries,
            blocks,
            spans,
            ..
        } = self.begin(&context).await?;
        let Some(entries) = entries else {
            return Ok(frame(self.stored.clone(), maker.clone(), spans.clone()));
        };
        // Consecutive blocks, so that each partition reads its part of the table.
        let share = blocks.len().div_ceil(partitions);
        let first = (partition * share).min(blocks.len());
        let last = (first + share).min(blocks.len());
        let own = blocks[first..last].to_vec();
        let settings = context.session_config().get_extension::<ScanSettings>();
        let threads = settings.map_or(1, |settings| settings.threads);
        let wanted = threads.div_ceil(partitions).clamp(1, MOST_AT_ONCE);
        let (at_once, held) = room(&self.stored.name, wanted, &own, &context)?;
        let (maker, entries) = (maker.clone(), entries.clone());
        let report = self.run.report.clone();
        let told = entries.clone();
        let stream = futures::stream::iter(own)
            .map(move |block| {
                let (maker, entries) = (maker.clone(), entries.clone());
                let task = async move { maker.block(&entries, &block).await };
                let task = SpawnedTask::spawn(task);
                async move {
                    let done = task.join().await;
                    done.map_err(|error| exec_datafusion_err!("a thread failed: {error}"))?
                }
            })
            .buffered(at_once)
            .inspect(move |_| {
                let _held = &held;
                report.bytes(told.bytes_read());
            });
        Ok(stream.boxed())
    }
}

/// Some rows of a batch, with memory of their own.
fn copied(batch: &RecordBatch, start: usize, length: usize) -> Result<RecordBatch> {
    if batch.num_columns() == 0 {
        return Ok(batch.slice(start, length));
    }
    let end = u32::try_from(start + length).unwrap_or(u32::MAX);
    let places = UInt32Array::from_iter_values(u32::try_from(start).unwrap_or(u32::MAX)..end);
    let rows = take_record_batch(batch, &places)?;
    let columns = rows
        .columns()
        .iter()
        .map(|column| match column.as_string_view_opt() {
            Some(texts) => Arc::new(texts.gc()) as ArrayRef,
            None => column.clone(),
        });
    let options = RecordBatchOptions::new().with_row_count(Some(length));
    let schema = rows.schema();
    Ok(RecordBatch::try_new_with_options(
        schema,
        columns.collect(),
        &options,
    )?)
}

/// As many blocks at once as there is memory for, and the memory.
fn room(
    name: &str,
    wanted: usize,
    blocks: &[Block],
    context: &TaskContext,
) -> Result<(usize, MemoryReservation)> {
    let held = MemoryConsumer::new(format!("reading {name}")).register(context.memory_pool());
    let largest = blocks.iter().map(Block::rows).max().unwrap_or(0) * ROW_BYTES;
    let mut at_once = wanted.min(blocks.len().max(1));
    loop {
        let all: u64 = blocks.iter().map(Block::rows).sum();
        let bytes = (largest * at_once as u64).min(all * ROW_BYTES);
        match held.try_grow(usize::try_from(bytes).unwrap_or(usize::MAX)) {
            Ok(()) => return Ok((at_once, held)),
            Err(error) if at_once == 1 => return Err(error),
            Err(_) => at_once = at_once.div_ceil(2),
        }
    }
}

/// The rows of a table of cells or genes.
fn frame(
    stored: Arc<Stored>,
    maker: Arc<RowMaker>,
    spans: Vec<Range<u64>>,
) -> BoxStream<'static, Result<RecordBatch>> {
    let batches = futures::stream::iter(spans).then(move |span| {
        let (stored, maker) = (stored.clone(), maker.clone());
        async move {
            let columns = maker.columns();
            if columns.is_empty() {
                let rows = usize::try_from(span.end - span.start).unwrap_or(usize::MAX);
                let rows = maker.empty_rows(rows)?;
                return Ok(futures::stream::once(async { Ok(rows) }).boxed());
            }
            let wanted = RowsAndColumns {
                columns: Some(&columns),
                rows: Some(span),
            };
            let reader = RowReader::of(&stored.table, &stored.path, wanted).await;
            let reader = reader.map_err(through)?;
            let stream =
                futures::stream::try_unfold((reader, maker.clone()), |(mut reader, maker)| async {
                    match reader.next().await.map_err(through)? {
                        Some(batch) => Ok(Some((maker.frame_rows(&batch)?, (reader, maker)))),
                        None => Ok(None),
                    }
                });
            Ok::<_, datafusion::error::DataFusionError>(stream.boxed())
        }
    });
    batches.try_flatten().boxed()
}

impl Run {
    fn new(report: Arc<ScanReport>) -> Self {
        Run {
            report,
            filters: Mutex::default(),
            begun: OnceCell::new(),
        }
    }
}

impl fmt::Debug for TableScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableScan")
            .field("table", &self.stored.name)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for TableScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|field| field.name().as_str());
        let columns = columns.collect::<Vec<_>>().join(", ");
        write!(
            f,
            "TableScan: {}.{} [{columns}]",
            self.stored.dataset, self.stored.name
        )?;
        for condition in &self.conditions {
            write!(f, ", {condition}")?;
        }
        let filters = self
            .run
            .filters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match filters.len() {
            0 => Ok(()),
            count => write!(f, ", narrowed by {count} joins"),
        }
    }
}

impl ExecutionPlan for TableScan {
    fn name(&self) -> &str {
        "TableScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    /// In another round of a recursive query, joins need other rows.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        let run = Arc::new(Run::new(self.run.report.clone()));
        Ok(Arc::new(TableScan {
            run,
            ..self.as_ref().clone()
        }))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows_at_once = context.session_config().batch_size();
        let settings = context.session_config().get_extension::<ScanSettings>();
        let copies = settings.map_or(Copies::Blocks, |settings| settings.copies);
        let limit = self.limit;
        let rows = futures::stream::once(self.clone().rows(partition, context)).try_flatten();
        let rows = rows.map_ok(move |batch| {
            let starts = (0..batch.num_rows()).step_by(rows_at_once);
            let parts: Vec<Result<RecordBatch>> = starts
                .map(|start| {
                    let length = rows_at_once.min(batch.num_rows() - start);
                    match copies {
                        Copies::Blocks => Ok(batch.slice(start, length)),
                        Copies::Batches => copied(&batch, start, length),
                    }
                })
                .collect();
            futures::stream::iter(parts)
        });
        let rows = rows.try_flatten();
        let schema = self.schema.clone();
        let Some(limit) = limit else {
            return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)));
        };
        let limited = rows.scan(limit, |left, batch| {
            let next = match batch {
                _ if *left == 0 => None,
                Ok(batch) => {
                    let length = batch.num_rows().min(*left);
                    *left -= length;
                    Some(Ok(batch.slice(0, length)))
                }
                error => Some(error),
            };
            futures::future::ready(next)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, limited)))
    }

    fn partition_statistics(&self, partition: Option<usize>) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        if partition.is_none() {
            let rows = usize::try_from(self.stored.rows).unwrap_or(usize::MAX);
            // Not exact: then it would not be read at all where only rows are counted.
            statistics.num_rows = Precision::Inexact(rows);
        }
        Ok(Arc::new(statistics))
    }
}
