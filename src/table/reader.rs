//! Reading the rows of a table, in order and in bounded memory.

use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use futures::TryStreamExt;
use lance::Dataset;
use lance::dataset::scanner::{DatasetRecordBatchStream, Scanner};
use lance_table::format::Fragment;

use super::{Layout, TableError, TableFolder};

/// Rows of a batch, and values in all of its columns together, at most.
const BATCH_ROWS: usize = 1 << 16;
const BATCH_VALUES: usize = 1 << 21;

/// Rows of a batch with texts, and bytes in their files. Lance makes room for eight times as many
/// when it reads long texts.
const TEXT_ROWS: usize = 1 << 12;
const TEXT_BYTES: u64 = 1 << 18;

/// Bytes of a batch, where some texts are much longer than others: Lance copies what it cuts by
/// bytes.
const BATCH_BYTES: u64 = 8 << 20;

/// Batches that are decoded ahead, on however many processors.
const BATCHES: usize = 2;

/// Bytes that are read ahead of what is decoded; by default 2 GiB. A page that is larger is read all
/// the same.
const AHEAD: u64 = 16 << 20;

/// Rows that are read at once from a table with these columns.
fn batch_rows(table: &Dataset) -> usize {
    let schema = arrow::datatypes::Schema::from(table.schema());
    let width = |field: &std::sync::Arc<arrow::datatypes::Field>| match field.data_type() {
        DataType::FixedSizeList(_, width) => usize::try_from(*width).unwrap_or(1),
        _ => 1,
    };
    let values: usize = schema.fields().iter().map(width).sum();
    let most = match Layout::has_texts(&schema) {
        true => text_rows(table),
        false => BATCH_ROWS,
    };
    (BATCH_VALUES / values.max(1)).max(16).min(most)
}

/// Rows of a table with texts that are so long on average.
fn text_rows(table: &Dataset) -> usize {
    let (mut rows, mut bytes) = (0, 0);
    for fragment in table.fragments().iter() {
        rows += fragment.physical_rows.unwrap_or(0) as u64;
        let files = fragment.files.iter();
        let sizes = files.filter_map(|file| file.file_size_bytes.get());
        bytes += sizes.map(u64::from).sum::<u64>();
    }
    let fitting = TEXT_BYTES / bytes.div_ceil(rows.max(1)).max(1);
    usize::try_from(fitting).map_or(TEXT_ROWS, |rows| rows.clamp(1, TEXT_ROWS))
}

fn scanner(table: &Dataset) -> Scanner {
    let mut scan = table.scan();
    scan.scan_in_order(true);
    scan.batch_size(batch_rows(table));
    scan.batch_size_bytes(BATCH_BYTES);
    scan.batch_readahead(BATCHES);
    scan.io_buffer_size(AHEAD);
    scan
}

/// Rows of a table, batch by batch.
pub struct RowReader {
    path: PathBuf,
    stream: DatasetRecordBatchStream,
}

impl TableFolder {
    /// All rows of a version, with all columns.
    pub async fn rows(&self, version: u64) -> Result<RowReader, TableError> {
        RowReader::over(&self.at(version).await?, self.path(), None).await
    }
}

impl RowReader {
    /// The rows of a table, or a range of them.
    pub async fn over(
        table: &Dataset,
        path: &Path,
        rows: Option<Range<u64>>,
    ) -> Result<Self, TableError> {
        let mut scan = scanner(table);
        if let Some(rows) = rows {
            let length = i64::try_from(rows.end - rows.start).unwrap_or(i64::MAX);
            let start = i64::try_from(rows.start).unwrap_or(i64::MAX);
            scan.limit(Some(length), Some(start))
                .map_err(|e| TableError::lance("read", path, e))?;
        }
        Self::of_scan(scan, path).await
    }

    /// The rows of one fragment of a table.
    pub async fn of_fragment(
        table: &Dataset,
        path: &Path,
        fragment: Fragment,
    ) -> Result<Self, TableError> {
        let mut scan = scanner(table);
        scan.with_fragments(vec![fragment]);
        Self::of_scan(scan, path).await
    }

    /// All rows of a table, with some of its columns.
    pub async fn of_columns(
        table: &Dataset,
        path: &Path,
        columns: &[&str],
    ) -> Result<Self, TableError> {
        let mut scan = scanner(table);
        scan.project(columns)
            .map_err(|e| TableError::lance("read", path, e))?;
        Self::of_scan(scan, path).await
    }

    async fn of_scan(scan: Scanner, path: &Path) -> Result<Self, TableError> {
        let stream = scan.try_into_stream().await;
        Ok(RowReader {
            path: path.to_path_buf(),
            stream: stream.map_err(|e| TableError::lance("read", path, e))?,
        })
    }

    /// The next rows; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let next = self.stream.try_next().await;
        next.map_err(|e| TableError::lance("read", &self.path, e))
    }
}
