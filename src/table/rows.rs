//! Writes the rows of one shard of a table of non-zeros.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use lance_table::format::Fragment;

use super::{FragmentWriter, Layout, TableError, TableFolder};
use crate::plan::JobId;

/// Writes the fragments of a shard: one, unless it turns out to have more rows than a fragment may
/// have. Cells are never split.
pub struct RowsWriter {
    table: TableFolder,
    job: JobId,
    layout: Layout,
    /// Columns that are written; the table may have more.
    columns: SchemaRef,
    fragment_rows: u64,
    open: Option<FragmentWriter>,
    finished: Vec<Fragment>,
}

impl RowsWriter {
    /// Creates a writer. No file is created before the first rows are written.
    pub fn new(
        table: TableFolder,
        job: JobId,
        layout: Layout,
        columns: SchemaRef,
        fragment_rows: u64,
    ) -> Self {
        RowsWriter {
            table,
            job,
            layout,
            columns,
            fragment_rows,
            open: None,
            finished: Vec::new(),
        }
    }

    /// Appends the rows of the next cells. `counts` is the number of rows of each cell.
    ///
    /// # Errors
    /// If the columns do not match the table, or cannot be written.
    pub async fn write(
        &mut self,
        columns: Vec<ArrayRef>,
        counts: &[u32],
    ) -> Result<(), TableError> {
        let rows = RecordBatch::try_new(self.columns.clone(), columns);
        let rows = rows.and_then(|rows| self.layout.rows(&rows));
        let rows = rows.map_err(|source| TableError::Arrow {
            path: self.table.path().to_path_buf(),
            source,
        })?;
        let mut start = 0;
        let mut cells = counts.iter().copied().peekable();
        while start < rows.num_rows() {
            let written = self.open.as_ref().map_or(0, FragmentWriter::rows);
            let mut length = 0u64;
            while let Some(&count) = cells.peek() {
                let count = u64::from(count);
                let fits = written + length + count <= self.fragment_rows;
                if !fits && (written > 0 || length > 0) {
                    break;
                }
                length += count;
                cells.next();
            }
            if length == 0 {
                self.close().await?;
                continue;
            }
            let length = length as usize;
            let writer = match &mut self.open {
                Some(writer) => writer,
                closed => closed
                    .insert(FragmentWriter::create(&self.table, &self.job, &self.layout).await?),
            };
            writer.write(&rows.slice(start, length)).await?;
            start += length;
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<(), TableError> {
        if let Some(writer) = self.open.take() {
            self.finished.push(writer.finish().await?);
        }
        Ok(())
    }

    /// Finishes the last file; all files are durable. Returns no fragment if the cells have no
    /// rows.
    ///
    /// # Errors
    /// If the file cannot be written completely.
    pub async fn finish(mut self) -> Result<Vec<Fragment>, TableError> {
        self.close().await?;
        Ok(self.finished)
    }
}
