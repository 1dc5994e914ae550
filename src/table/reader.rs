//! Reads the rows of a table in order and in bounded memory.
//!
//! Rows are read block by block; see [`super::blocks`]. If a table has very many columns, a block
//! is read in groups of columns, because the time that Lance takes per batch is quadratic in the
//! number of columns. Fragments are read directly and not by a scan, which Lance would plan for each
//! block, in time that is quadratic in the number of columns of the table.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema};
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use lance::Dataset;
use lance::dataset::fragment::{FileFragment, FragReadConfig, FragmentReader};
use lance_core::datatypes::Schema as LanceSchema;
use lance_io::scheduler::{ScanScheduler, SchedulerConfig};
use lance_table::format::Fragment;

use super::blocks::{Weights, checked, has_texts};
use super::guard::Guard;
use super::{TableError, TableFolder};

/// Maximum number of rows of a batch, and of values in all of its columns together.
const BATCH_ROWS: usize = 1 << 16;
const BATCH_VALUES: usize = 1 << 21;

/// Maximum number of rows of a batch with strings, and its size in memory.
const TEXT_ROWS: usize = 1 << 12;
const TEXT_BYTES: u64 = 2 << 20;

/// Size of a block in memory, and of a block that is read in groups of columns, each of which takes
/// time. Lance and the allocator use several times as much.
const BLOCK_BYTES: u64 = 8 << 20;
const WIDE_BLOCK_BYTES: u64 = 32 << 20;

/// Number of columns read at a time.
const GROUP: usize = 128;

/// Number of batches decoded ahead, independent of the number of processors.
const BATCHES: usize = 2;

/// Number of bytes read ahead of decoding; by default 2 GiB. Larger pages are read nevertheless.
const AHEAD: u64 = 16 << 20;

/// Batches decoded by Lance.
type Batches = BoxStream<'static, Result<RecordBatch, lance::Error>>;

/// Reads rows of a table, batch by batch.
pub struct RowReader {
    guard: Guard,
    table: Arc<Dataset>,
    path: PathBuf,
    /// Columns that are read, and the order in which they are returned, if different.
    schema: Arc<Schema>,
    order: Option<Vec<usize>>,
    /// Groups of columns that are read together.
    groups: Vec<LanceSchema>,
    fragments: VecDeque<Part>,
    /// The fragment being read, and the estimated memory of its rows.
    open: Option<OpenPart>,
    weights: Weights,
    /// The block being read.
    stream: Option<Batches>,
    block: Range<u64>,
}

/// Rows of a fragment, by position among those that are not deleted.
struct Part {
    fragment: Fragment,
    rows: Range<u64>,
}

/// Readers of a fragment, one for each group of columns, and the rows that are still to be read.
struct OpenPart {
    readers: Vec<FragmentReader>,
    rows: Range<u64>,
}

/// Selection of rows and columns of a table.
#[derive(Debug, Clone, Default)]
pub struct RowsAndColumns<'a> {
    /// Columns, in the order in which they are returned; all if `None`.
    pub columns: Option<&'a [&'a str]>,
    /// Range of rows; all if `None`.
    pub rows: Option<Range<u64>>,
}

impl TableFolder {
    /// Reads all rows and columns of a version.
    ///
    /// # Errors
    /// If the version cannot be opened.
    pub async fn rows(&self, version: u64) -> Result<RowReader, TableError> {
        RowReader::over(&self.at(version).await?, self.path(), None).await
    }
}

impl RowReader {
    /// Reads some rows and columns of a table.
    ///
    /// # Errors
    /// If the table lacks a column, or the rows of a fragment cannot be counted.
    pub async fn of(
        table: &Dataset,
        path: &Path,
        wanted: RowsAndColumns<'_>,
    ) -> Result<Self, TableError> {
        let guard = Guard::new();
        let table = Arc::new(table.clone());
        let fragments = parts(&guard, &table, path, wanted.rows).await?;
        Self::of_parts(guard, table, path, wanted.columns, fragments)
    }

    fn of_parts(
        guard: Guard,
        table: Arc<Dataset>,
        path: &Path,
        columns: Option<&[&str]>,
        fragments: VecDeque<Part>,
    ) -> Result<Self, TableError> {
        let all = Schema::from(table.schema());
        let (columns, order) = match columns {
            None => ((0..all.fields().len()).collect(), None),
            Some(columns) => {
                let columns = columns.iter().map(|name| all.index_of(name));
                let columns: Result<Vec<usize>, _> = columns.collect();
                let columns = columns.map_err(|source| TableError::Arrow {
                    path: path.to_path_buf(),
                    source,
                })?;
                // Lance returns columns in the order of the table.
                let sorted: BTreeSet<usize> = columns.iter().copied().collect();
                let place = |column: &usize| sorted.range(..column).count();
                let order: Vec<usize> = columns.iter().map(place).collect();
                let sorted: Vec<usize> = sorted.into_iter().collect();
                let order = Some(order).filter(|_| columns != sorted);
                (sorted, order)
            }
        };
        let fields = &table.schema().fields;
        let group = |columns: &[usize]| LanceSchema {
            fields: columns
                .iter()
                .map(|&column| fields[column].clone())
                .collect(),
            metadata: table.schema().metadata.clone(),
        };
        let groups = columns.chunks(GROUP).map(group).collect();
        let schema = all.project(&columns).map_err(|source| TableError::Arrow {
            path: path.to_path_buf(),
            source,
        })?;
        Ok(RowReader {
            guard,
            fragments,
            path: path.to_path_buf(),
            weights: Weights::of(&schema),
            schema: Arc::new(schema),
            order,
            groups,
            table,
            open: None,
            stream: None,
            block: 0..0,
        })
    }

    /// Reads the rows of a table, or a range of them.
    pub async fn over(
        table: &Dataset,
        path: &Path,
        rows: Option<Range<u64>>,
    ) -> Result<Self, TableError> {
        let wanted = RowsAndColumns {
            rows,
            ..RowsAndColumns::default()
        };
        Self::of(table, path, wanted).await
    }

    /// Reads the rows of one fragment of a table.
    pub async fn of_fragment(
        table: &Dataset,
        path: &Path,
        fragment: Fragment,
    ) -> Result<Self, TableError> {
        let guard = Guard::new();
        let table = Arc::new(table.clone());
        let rows = 0..rows_of(&guard, &table, path, &fragment).await?;
        let parts = VecDeque::from([Part { fragment, rows }]);
        Self::of_parts(guard, table, path, None, parts)
    }

    /// Reads all rows of a table, but only some columns.
    pub async fn of_columns(
        table: &Dataset,
        path: &Path,
        columns: &[&str],
    ) -> Result<Self, TableError> {
        let wanted = RowsAndColumns {
            columns: Some(columns),
            ..RowsAndColumns::default()
        };
        Self::of(table, path, wanted).await
    }

    /// Reads rows from a stream in another order.
    pub(super) fn of_stream(
        table: &Dataset,
        path: &Path,
        stream: SendableRecordBatchStream,
    ) -> Self {
        RowReader {
            guard: Guard::new(),
            fragments: VecDeque::new(),
            table: Arc::new(table.clone()),
            path: path.to_path_buf(),
            weights: Weights::of(&stream.schema()),
            schema: stream.schema(),
            order: None,
            groups: Vec::new(),
            open: None,
            stream: Some(stream.map_err(lance::Error::from).boxed()),
            block: 0..0,
        }
    }

    /// Returns the next rows; `None` at the end.
    ///
    /// # Errors
    /// If the rows cannot be read, or a file is damaged.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let next = self.next_as_read().await?;
        let (Some(batch), Some(order)) = (&next, &self.order) else {
            return Ok(next);
        };
        let arranged = batch.project(order).map_err(|source| TableError::Arrow {
            path: self.path.clone(),
            source,
        });
        arranged.map(Some)
    }

    async fn next_as_read(&mut self) -> Result<Option<RecordBatch>, TableError> {
        loop {
            if let Some(stream) = &mut self.stream {
                let next = self.guard.run("read", &self.path, stream.try_next());
                match next.await? {
                    // All rows of the batch were deleted.
                    Some(batch) if batch.num_rows() == 0 => continue,
                    Some(batch) => {
                        self.weights.measure(&batch);
                        return Ok(Some(batch));
                    }
                    None => (),
                }
                self.stream = None;
                self.weights.learn(&self.block);
            }
            if !self.next_block().await? {
                return Ok(None);
            }
            if self.groups.len() == 1 {
                self.stream = Some(self.rows_of_group(0).await?);
            } else if let Some(batch) = self.rows_of_groups().await? {
                self.weights.measure(&batch);
                self.weights.learn(&self.block);
                return Ok(Some(batch));
            }
        }
    }

    /// Determines the next block; returns whether there is one.
    async fn next_block(&mut self) -> Result<bool, TableError> {
        loop {
            if let Some(OpenPart { rows, .. }) = &mut self.open
                && !rows.is_empty()
            {
                let bytes = match self.groups.len() {
                    1 => BLOCK_BYTES,
                    _ => WIDE_BLOCK_BYTES,
                };
                let end = self.weights.end(rows.start, rows.end, bytes);
                self.block = rows.start..end;
                rows.start = end;
                return Ok(true);
            }
            let Some(Part { fragment, rows }) = self.fragments.pop_front() else {
                return Ok(false);
            };
            self.weights.open(&self.table, &self.path, &fragment)?;
            let readers = readers(&self.table, fragment, &self.groups);
            let readers = self.guard.run("read", &self.path, readers).await?;
            self.open = Some(OpenPart { readers, rows });
        }
    }

    /// Reads the columns of a group of the current block.
    async fn rows_of_group(&mut self, group: usize) -> Result<Batches, TableError> {
        let Some(open) = &self.open else {
            return Ok(futures::stream::empty().boxed());
        };
        let count = |row: u64| u32::try_from(row);
        let (Ok(first), Ok(end)) = (count(self.block.start), count(self.block.end)) else {
            return Err(TableError::Damaged {
                path: self.path.clone(),
                problem: "a fragment has more rows than can be counted".into(),
            });
        };
        let rows = open.readers[group].read_range(first..end, self.batch_rows(group));
        let batches = self.guard.run("read", &self.path, rows).await?;
        Ok(batches.buffered(BATCHES).boxed())
    }

    /// Number of rows of a batch with the columns of a group.
    fn batch_rows(&self, group: usize) -> u32 {
        let first = group * GROUP;
        let end = (first + GROUP).min(self.schema.fields().len());
        let columns = &self.schema.fields()[first..end];
        let width = |field: &Arc<arrow::datatypes::Field>| match field.data_type() {
            DataType::FixedSizeList(_, width) => usize::try_from(*width).unwrap_or(1),
            _ => 1,
        };
        let values: usize = columns.iter().map(width).sum();
        let each = self.weights.bytes(&self.block) / (self.block.end - self.block.start).max(1);
        let most = if has_texts(columns) {
            usize::try_from(TEXT_BYTES / each.max(1))
                .map_or(TEXT_ROWS, |rows| rows.clamp(1, TEXT_ROWS))
        } else {
            BATCH_ROWS
        };
        let rows = (BATCH_VALUES / values.max(1)).max(16).min(most);
        u32::try_from(rows).unwrap_or(u32::MAX)
    }

    /// Reads the current block as one batch, in groups of columns.
    async fn rows_of_groups(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let path = self.path.clone();
        let arrow = |source| TableError::Arrow {
            path: path.clone(),
            source,
        };
        let mut all: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for group in 0..self.groups.len() {
            let mut stream = self.rows_of_group(group).await?;
            let mut batches = Vec::new();
            while let Some(batch) = self
                .guard
                .run("read", &self.path, stream.try_next())
                .await?
            {
                batches.push(batch);
            }
            if batches.is_empty() {
                return Ok(None);
            }
            for column in 0..self.groups[group].fields.len() {
                let parts: Vec<_> = batches.iter().map(|b| b.column(column).as_ref()).collect();
                all.push(match &parts[..] {
                    [_] => batches[0].column(column).clone(),
                    parts => concat(parts).map_err(arrow)?,
                });
            }
        }
        RecordBatch::try_new(self.schema.clone(), all)
            .map(Some)
            .map_err(arrow)
    }
}

/// Opens a reader of a fragment for each group of columns.
async fn readers(
    table: &Arc<Dataset>,
    fragment: Fragment,
    groups: &[LanceSchema],
) -> Result<Vec<FragmentReader>, lance::Error> {
    let store = table.object_store(None).await?;
    let io = ScanScheduler::new(store, SchedulerConfig::new(AHEAD));
    let fragment = FileFragment::new(table.clone(), fragment);
    let mut readers = Vec::with_capacity(groups.len());
    for columns in groups {
        let config = FragReadConfig::default().with_scan_scheduler(io.clone());
        readers.push(fragment.open(columns, config).await?);
    }
    Ok(readers)
}

/// Number of rows of a fragment that are not deleted. If the manifest does not give it, the rows are
/// counted in the files.
pub(super) async fn rows_of(
    guard: &Guard,
    table: &Arc<Dataset>,
    path: &Path,
    fragment: &Fragment,
) -> Result<u64, TableError> {
    let known = || {
        let rows = fragment.physical_rows? as u64;
        match &fragment.deletion_file {
            None => Some(rows),
            Some(deleted) => rows.checked_sub(deleted.num_deleted_rows? as u64),
        }
    };
    if let Some(rows) = known() {
        return Ok(rows);
    }
    for file in &fragment.files {
        checked(path, file)?;
    }
    let fragment = FileFragment::new(table.clone(), fragment.clone());
    let rows = guard.run("read", path, fragment.count_rows(None)).await?;
    Ok(rows as u64)
}

/// Returns the fragments, or parts of them, that contain the wanted rows of a table.
async fn parts(
    guard: &Guard,
    table: &Arc<Dataset>,
    path: &Path,
    wanted: Option<Range<u64>>,
) -> Result<VecDeque<Part>, TableError> {
    let mut parts = VecDeque::new();
    let mut before = 0u64;
    for fragment in table.fragments().iter() {
        let count = rows_of(guard, table, path, fragment).await?;
        let rows = match &wanted {
            None => 0..count,
            Some(wanted) => {
                wanted.start.clamp(before, before + count) - before
                    ..wanted.end.clamp(before, before + count) - before
            }
        };
        before += count;
        if !rows.is_empty() {
            let fragment = fragment.clone();
            parts.push_back(Part { fragment, rows });
        }
    }
    Ok(parts)
}
