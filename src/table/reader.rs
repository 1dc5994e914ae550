//! Reading the rows of a table, in order and in bounded memory.
//!
//! Rows are read block by block, each as large as may be in memory at once; see [`super::blocks`].
//! Of tables with very many columns, a block is read in groups of columns: what Lance does for a
//! batch takes time by the square of the columns. A fragment is read without a query, which Lance
//! would plan anew for each block, by the square of all columns of the table.

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

/// Rows of a batch, and values in all of its columns together, at most.
const BATCH_ROWS: usize = 1 << 16;
const BATCH_VALUES: usize = 1 << 21;

/// Rows of a batch with texts, and what they take in memory.
const TEXT_ROWS: usize = 1 << 12;
const TEXT_BYTES: u64 = 2 << 20;

/// Bytes of a block in memory, and of one that is read in groups of columns, which takes Lance its
/// time for each group. What Lance and the allocator hold is several times as much.
const BLOCK_BYTES: u64 = 8 << 20;
const WIDE_BLOCK_BYTES: u64 = 32 << 20;

/// Columns that are read at once.
const GROUP: usize = 128;

/// Batches that are decoded ahead, on however many processors.
const BATCHES: usize = 2;

/// Bytes that are read ahead of what is decoded; by default 2 GiB. A page that is larger is read all
/// the same.
const AHEAD: u64 = 16 << 20;

/// Rows as Lance decodes them.
type Batches = BoxStream<'static, Result<RecordBatch, lance::Error>>;

/// Rows of a table, batch by batch.
pub struct RowReader {
    guard: Guard,
    table: Arc<Dataset>,
    path: PathBuf,
    /// The columns that are read, and in which order they are given out, if in another.
    schema: Arc<Schema>,
    order: Option<Vec<usize>>,
    /// Those that are read at once.
    groups: Vec<LanceSchema>,
    fragments: VecDeque<Part>,
    /// The fragment that is being read, and what its rows take in memory.
    open: Option<OpenPart>,
    weights: Weights,
    /// The rows of a block that are being read.
    stream: Option<Batches>,
    block: Range<u64>,
}

/// Rows of a fragment, by their position among those that are not deleted.
struct Part {
    fragment: Fragment,
    rows: Range<u64>,
}

/// A fragment, with a reader of each group of columns, and which of its rows come next.
struct OpenPart {
    readers: Vec<FragmentReader>,
    rows: Range<u64>,
}

/// Which rows and columns of a table are read.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// The columns in this order; all without it.
    pub columns: Option<&'a [&'a str]>,
    /// A range of the rows; all without it.
    pub rows: Option<Range<u64>>,
}

impl TableFolder {
    /// All rows of a version, with all columns.
    pub async fn rows(&self, version: u64) -> Result<RowReader, TableError> {
        RowReader::over(&self.at(version).await?, self.path(), None).await
    }
}

impl RowReader {
    /// Some rows and columns of a table.
    pub async fn of(table: &Dataset, path: &Path, wanted: Wanted<'_>) -> Result<Self, TableError> {
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
                // Lance gives them in the order of the table.
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

    /// The rows of a table, or a range of them.
    pub async fn over(
        table: &Dataset,
        path: &Path,
        rows: Option<Range<u64>>,
    ) -> Result<Self, TableError> {
        let wanted = Wanted {
            rows,
            ..Wanted::default()
        };
        Self::of(table, path, wanted).await
    }

    /// The rows of one fragment of a table.
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

    /// All rows of a table, with some of its columns.
    pub async fn of_columns(
        table: &Dataset,
        path: &Path,
        columns: &[&str],
    ) -> Result<Self, TableError> {
        let wanted = Wanted {
            columns: Some(columns),
            ..Wanted::default()
        };
        Self::of(table, path, wanted).await
    }

    /// Rows that come in another order.
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

    /// The next rows; `None` after the last.
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
                    // All of its rows were deleted.
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

    /// Goes on to the rows that are read next, if there are any.
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
            let readers = self.readers(fragment);
            let readers = self.guard.run("read", &self.path, readers).await?;
            self.open = Some(OpenPart { readers, rows });
        }
    }

    /// One reader of a fragment for each group of columns.
    async fn readers(&self, fragment: Fragment) -> Result<Vec<FragmentReader>, lance::Error> {
        let store = self.table.object_store(None).await?;
        let io = ScanScheduler::new(store, SchedulerConfig::new(AHEAD));
        let fragment = FileFragment::new(self.table.clone(), fragment);
        let mut readers = Vec::with_capacity(self.groups.len());
        for columns in &self.groups {
            let config = FragReadConfig::default().with_scan_scheduler(io.clone());
            readers.push(fragment.open(columns, config).await?);
        }
        Ok(readers)
    }

    /// The rows of the block, with the columns of a group.
    async fn rows_of_group(&self, group: usize) -> Result<Batches, TableError> {
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

    /// Rows of a batch with the columns of a group.
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
        let most = match has_texts(columns) {
            true => usize::try_from(TEXT_BYTES / each.max(1))
                .map_or(TEXT_ROWS, |rows| rows.clamp(1, TEXT_ROWS)),
            false => BATCH_ROWS,
        };
        let rows = (BATCH_VALUES / values.max(1)).max(16).min(most);
        u32::try_from(rows).unwrap_or(u32::MAX)
    }

    /// All rows of the block as one batch, read in groups of columns.
    async fn rows_of_groups(&self) -> Result<Option<RecordBatch>, TableError> {
        let arrow = |source| TableError::Arrow {
            path: self.path.to_path_buf(),
            source,
        };
        let mut all: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for (group, columns) in self.groups.iter().enumerate() {
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
            for column in 0..columns.fields.len() {
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

/// The rows of a fragment that are not deleted. Where the manifest does not tell how many they are,
/// its files are looked into.
async fn rows_of(
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

/// The fragments, or the parts of them, that have some rows of a table.
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
