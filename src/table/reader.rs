//! Reads the rows of a table in order and in bounded memory.
//!
//! Rows are read block by block; see [`super::blocks`]. If a table has very many columns, a block
//! is read in groups of columns, because the time that Lance takes per batch is quadratic in the
//! number of columns.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema};
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::TryStreamExt;
use lance::Dataset;
use lance::dataset::scanner::{DatasetRecordBatchStream, Scanner};
use lance_table::format::Fragment;

use super::blocks::{Weights, has_texts};
use super::guard::Guard;
use super::{TableError, TableFolder};

/// Maximum number of rows of a batch, and of values in all of its columns together.
const BATCH_ROWS: usize = 1 << 16;
const BATCH_VALUES: usize = 1 << 21;

/// Maximum number of rows of a batch with strings, and its size in memory.
const TEXT_ROWS: usize = 1 << 12;
const TEXT_BYTES: u64 = 2 << 20;

/// Maximum size of a batch in bytes, for columns in which some strings are much longer than others;
/// Lance copies data when it splits batches by size.
const BATCH_BYTES: u64 = 8 << 20;

/// Size of a block in memory, and of a block that is read in groups of columns: Lance plans a scan
/// for each group of each block. Lance and the allocator use several times as much.
const BLOCK_BYTES: u64 = 8 << 20;
const WIDE_BLOCK_BYTES: u64 = 32 << 20;

/// Number of columns read at a time.
const GROUP: usize = 128;

/// Number of batches decoded ahead, independent of the number of processors.
const BATCHES: usize = 2;

/// Number of bytes read ahead of decoding; by default 2 GiB. Larger pages are read nevertheless.
const AHEAD: u64 = 16 << 20;

/// Reads rows of a table, batch by batch.
pub struct RowReader {
    guard: Guard,
    table: Dataset,
    path: PathBuf,
    /// Columns that are read, and the order in which they are returned, if different.
    schema: Arc<Schema>,
    order: Option<Vec<usize>>,
    fragments: VecDeque<Part>,
    /// The fragment being read.
    open: Option<OpenPart>,
    stream: Option<DatasetRecordBatchStream>,
}

/// Rows of a fragment, by position; all of them if their number is not known.
struct Part {
    fragment: Fragment,
    rows: Option<Range<u64>>,
}

/// A fragment, and the rows that are still to be read.
struct OpenPart {
    fragment: Fragment,
    rows: Range<u64>,
    weights: Weights,
}

/// Selection of rows and columns of a table.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
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
    /// If the table lacks a column.
    pub async fn of(table: &Dataset, path: &Path, wanted: Wanted<'_>) -> Result<Self, TableError> {
        let schema = Schema::from(table.schema());
        let (schema, order) = match wanted.columns {
            None => (schema, None),
            Some(columns) => {
                let arrow = |source| TableError::Arrow {
                    path: path.to_path_buf(),
                    source,
                };
                let columns = columns.iter().map(|name| schema.index_of(name));
                let columns: Vec<usize> = columns.collect::<Result<_, _>>().map_err(arrow)?;
                // Lance returns columns in the order of the table.
                let sorted: BTreeSet<usize> = columns.iter().copied().collect();
                let place = |column: &usize| sorted.range(..column).count();
                let order: Vec<usize> = columns.iter().map(place).collect();
                let sorted: Vec<usize> = sorted.iter().copied().collect();
                let schema = schema.project(&sorted).map_err(arrow)?;
                (schema, Some(order).filter(|_| columns != sorted))
            }
        };
        Ok(RowReader {
            guard: Guard::new(),
            fragments: parts(table, wanted.rows),
            table: table.clone(),
            path: path.to_path_buf(),
            schema: Arc::new(schema),
            order,
            open: None,
            stream: None,
        })
    }

    /// Reads the rows of a table, or a range of them.
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

    /// Reads the rows of one fragment of a table.
    pub async fn of_fragment(
        table: &Dataset,
        path: &Path,
        fragment: Fragment,
    ) -> Result<Self, TableError> {
        let mut reader = Self::of(table, path, Wanted::default()).await?;
        let rows = rows_of(&fragment).map(|rows| 0..rows);
        reader.fragments = VecDeque::from([Part { fragment, rows }]);
        Ok(reader)
    }

    /// Reads all rows of a table, but only some columns.
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

    /// Reads rows from a stream in another order.
    pub(super) fn of_stream(
        table: &Dataset,
        path: &Path,
        stream: SendableRecordBatchStream,
    ) -> Self {
        RowReader {
            guard: Guard::new(),
            fragments: VecDeque::new(),
            table: table.clone(),
            path: path.to_path_buf(),
            schema: stream.schema(),
            order: None,
            open: None,
            stream: Some(DatasetRecordBatchStream::new(stream)),
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
                let next = self
                    .guard
                    .run("read", &self.path, stream.try_next())
                    .await?;
                if next.is_some() {
                    return Ok(next);
                }
                self.stream = None;
            }
            let Some(block) = self.next_block()? else {
                return Ok(None);
            };
            let block = Block {
                table: &self.table,
                path: &self.path,
                cut: block,
            };
            if self.schema.fields().len() <= GROUP {
                self.stream = Some(block.stream(&self.guard, &self.schema).await?);
            } else if let Some(batch) = block.together(&self.guard, &self.schema).await? {
                return Ok(Some(batch));
            }
        }
    }

    /// Returns the next block of rows.
    fn next_block(&mut self) -> Result<Option<Cut>, TableError> {
        loop {
            if let Some(OpenPart {
                fragment,
                rows,
                weights,
            }) = self.open.as_mut().filter(|open| !open.rows.is_empty())
            {
                let first = rows.start;
                let bytes = if self.schema.fields().len() <= GROUP {
                    BLOCK_BYTES
                } else {
                    WIDE_BLOCK_BYTES
                };
                let end = weights.end(first, rows.end, bytes);
                rows.start = end;
                let bytes = weights.bytes(&(first..end));
                return Ok(Some(Cut {
                    fragment: fragment.clone(),
                    // If the rows of a fragment are not counted, they form a single block.
                    rows: (end < UNKNOWN).then_some(first..end),
                    each: bytes.div_ceil((end - first).max(1)),
                }));
            }
            let Some(Part { fragment, rows }) = self.fragments.pop_front() else {
                return Ok(None);
            };
            let weights = Weights::of(&self.table, &self.path, &fragment, &self.schema)?;
            self.open = Some(OpenPart {
                rows: rows.unwrap_or(UNKNOWN - 1..UNKNOWN),
                fragment,
                weights,
            });
        }
    }
}

/// Stands for the end of a fragment whose number of rows is not known.
const UNKNOWN: u64 = u64::MAX;

/// Number of rows of a fragment that are not deleted, if known.
fn rows_of(fragment: &Fragment) -> Option<u64> {
    let rows = fragment.physical_rows? as u64;
    match &fragment.deletion_file {
        None => Some(rows),
        Some(deleted) => rows.checked_sub(deleted.num_deleted_rows? as u64),
    }
}

/// Returns the fragments, or parts of them, that contain the wanted rows of a table.
fn parts(table: &Dataset, wanted: Option<Range<u64>>) -> VecDeque<Part> {
    let mut parts = VecDeque::new();
    let mut before = 0u64;
    for fragment in table.fragments().iter() {
        let rows = match (rows_of(fragment), &wanted) {
            (None, _) => None,
            (Some(rows), None) => Some(0..rows),
            (Some(rows), Some(wanted)) => {
                let part = wanted.start.clamp(before, before + rows) - before
                    ..wanted.end.clamp(before, before + rows) - before;
                before += rows;
                Some(part)
            }
        };
        if rows.as_ref().is_none_or(|rows| !rows.is_empty()) {
            let fragment = fragment.clone();
            parts.push_back(Part { fragment, rows });
        }
    }
    parts
}

/// Rows of a fragment that are read together.
struct Cut {
    fragment: Fragment,
    rows: Option<Range<u64>>,
    /// Number of bytes of a row in memory.
    each: u64,
}

struct Block<'a> {
    table: &'a Dataset,
    path: &'a Path,
    cut: Cut,
}

impl Block<'_> {
    async fn stream(
        &self,
        guard: &Guard,
        columns: &Schema,
    ) -> Result<DatasetRecordBatchStream, TableError> {
        let scan = self.scan(columns);
        let scan = scan.map_err(|e| TableError::lance("read", self.path, e))?;
        guard.run("read", self.path, scan.try_into_stream()).await
    }

    fn scan(&self, columns: &Schema) -> Result<Scanner, lance::Error> {
        let mut scan = self.table.scan();
        // Project by schema: Lance interprets names as expressions, and `*` as all columns.
        let all = self.table.schema();
        if columns.fields().len() < all.fields.len() {
            let names = columns.fields().iter().map(|field| field.name().as_str());
            let names: HashSet<&str> = names.collect();
            let fields = all
                .fields
                .iter()
                .filter(|field| names.contains(field.name.as_str()));
            scan.project_with_schema(&lance_core::datatypes::Schema {
                fields: fields.cloned().collect(),
                metadata: all.metadata.clone(),
            })?;
        }
        scan.with_fragments(vec![self.cut.fragment.clone()]);
        if let Some(rows) = &self.cut.rows {
            let number = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
            scan.limit(
                Some(number(rows.end - rows.start)),
                Some(number(rows.start)),
            )?;
        }
        scan.scan_in_order(true);
        scan.batch_size(self.batch_rows(columns));
        scan.batch_size_bytes(BATCH_BYTES);
        scan.batch_readahead(BATCHES);
        scan.io_buffer_size(AHEAD);
        Ok(scan)
    }

    /// Number of rows of a batch with these columns.
    fn batch_rows(&self, columns: &Schema) -> usize {
        let width = |field: &Arc<arrow::datatypes::Field>| match field.data_type() {
            DataType::FixedSizeList(_, width) => usize::try_from(*width).unwrap_or(1),
            _ => 1,
        };
        let values: usize = columns.fields().iter().map(width).sum();
        let most = if has_texts(columns) {
            usize::try_from(TEXT_BYTES / self.cut.each.max(1))
                .map_or(TEXT_ROWS, |rows| rows.clamp(1, TEXT_ROWS))
        } else {
            BATCH_ROWS
        };
        (BATCH_VALUES / values.max(1)).max(16).min(most)
    }

    /// Reads all rows as one batch, in groups of columns.
    async fn together(
        &self,
        guard: &Guard,
        columns: &Arc<Schema>,
    ) -> Result<Option<RecordBatch>, TableError> {
        let arrow = |source| TableError::Arrow {
            path: self.path.to_path_buf(),
            source,
        };
        let mut all: Vec<ArrayRef> = Vec::with_capacity(columns.fields().len());
        for group in columns.fields().chunks(GROUP) {
            let mut stream = self.stream(guard, &Schema::new(group.to_vec())).await?;
            let mut batches = Vec::new();
            while let Some(batch) = guard.run("read", self.path, stream.try_next()).await? {
                batches.push(batch);
            }
            if batches.is_empty() {
                return Ok(None);
            }
            for column in 0..group.len() {
                let parts: Vec<_> = batches.iter().map(|b| b.column(column).as_ref()).collect();
                all.push(match &parts[..] {
                    [_] => batches[0].column(column).clone(),
                    parts => concat(parts).map_err(arrow)?,
                });
            }
        }
        RecordBatch::try_new(columns.clone(), all)
            .map(Some)
            .map_err(arrow)
    }
}
