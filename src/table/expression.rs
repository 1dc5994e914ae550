//! Rows of the expression table of one shard.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use lance_table::format::Fragment;

use super::{FragmentWriter, TableError, TableFolder, expression_schema};
use crate::chunk::CooBatch;
use crate::plan::{JobId, Plan};

/// Writes the fragments of a shard: one, unless it turns out to hold more rows than a fragment may.
/// A cell is never split.
pub struct ExpressionWriter {
    table: TableFolder,
    job: JobId,
    schema: Arc<Schema>,
    fragment_rows: u64,
    open: Option<FragmentWriter>,
    finished: Vec<Fragment>,
}

impl ExpressionWriter {
    /// A writer that has written nothing, and no file, yet.
    pub fn new(table: TableFolder, job: JobId, plan: &Plan) -> Self {
        ExpressionWriter {
            table,
            job,
            schema: Arc::new(expression_schema(plan)),
            fragment_rows: plan.fragment_rows,
            open: None,
            finished: Vec::new(),
        }
    }

    /// Appends the rows of the next cells.
    pub async fn write(&mut self, batch: &CooBatch) -> Result<(), TableError> {
        let columns = vec![
            batch.cell_ids.clone(),
            batch.gene_ids.clone(),
            batch.values.clone(),
        ];
        let rows = RecordBatch::try_new(self.schema.clone(), columns).map_err(|source| {
            TableError::Arrow {
                path: self.table.path().to_path_buf(),
                source,
            }
        })?;
        let mut start = 0;
        let mut cells = batch.counts.iter().copied().peekable();
        while start < batch.rows() {
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
                    .insert(FragmentWriter::create(&self.table, &self.job, &self.schema).await?),
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

    /// Ends the last file; all are durable. None, where the cells have no rows.
    pub async fn finish(mut self) -> Result<Vec<Fragment>, TableError> {
        self.close().await?;
        Ok(self.finished)
    }
}
