//! Walking through the rows of one matrix in a table of non-zeros.

use std::path::Path;

use arrow::array::{AsArray, Float64Array, RecordBatch, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt32Type};
use tokio::runtime::Handle;

use super::VerifyError;
use super::against::{Found, nonzero};
use crate::table::{RowReader, TableError};

/// Rows that were read but not yet given out.
struct Block {
    rows: UInt32Array,
    columns: UInt32Array,
    values: Float64Array,
}

/// The rows of a matrix, in order.
pub(super) struct RowCursor<'a> {
    runtime: &'a Handle,
    path: &'a Path,
    reader: RowReader,
    column: usize,
    block: Option<Block>,
}

impl<'a> RowCursor<'a> {
    /// Begins at a row of the matrix; `None` where the table lacks the column.
    pub fn open(
        runtime: &'a Handle,
        table: &lance::Dataset,
        path: &'a Path,
        column: &str,
        first: u64,
    ) -> Result<Option<Self>, VerifyError> {
        let fields = &table.schema().fields;
        let Some(column) = fields.iter().position(|field| field.name == column) else {
            return Ok(None);
        };
        let reader = runtime.block_on(RowReader::over(table, path, None))?;
        let mut cursor = RowCursor {
            runtime,
            path,
            reader,
            column,
            block: None,
        };
        if first > 0 {
            cursor.until(first)?;
        }
        Ok(Some(cursor))
    }

    /// The rows from where the last call ended to a row of the matrix, without those that are zero.
    pub fn until(&mut self, end: u64) -> Result<Found, VerifyError> {
        let mut found = Found {
            rows: Vec::new(),
            columns: Vec::new(),
            values: Vec::new(),
        };
        loop {
            let block = match self.block.take() {
                Some(block) => block,
                None => match self.runtime.block_on(self.reader.next())? {
                    Some(batch) => self.block_of(&batch)?,
                    None => return Ok(found),
                },
            };
            let before = block
                .rows
                .values()
                .partition_point(|&row| u64::from(row) < end);
            let part = nonzero(
                &block.rows.slice(0, before),
                &block.columns.slice(0, before),
                &block.values.slice(0, before),
            );
            found.rows.extend(part.rows);
            found.columns.extend(part.columns);
            found.values.extend(part.values);
            let rest = block.rows.len() - before;
            if rest > 0 {
                self.block = Some(Block {
                    rows: block.rows.slice(before, rest),
                    columns: block.columns.slice(before, rest),
                    values: block.values.slice(before, rest),
                });
                return Ok(found);
            }
        }
    }

    fn block_of(&self, batch: &RecordBatch) -> Result<Block, VerifyError> {
        let column = |index: usize, kind: &DataType| {
            cast(batch.column(index), kind).map_err(|source| TableError::Arrow {
                path: self.path.to_path_buf(),
                source,
            })
        };
        Ok(Block {
            rows: column(0, &DataType::UInt32)?
                .as_primitive::<UInt32Type>()
                .clone(),
            columns: column(1, &DataType::UInt32)?
                .as_primitive::<UInt32Type>()
                .clone(),
            values: column(self.column, &DataType::Float64)?
                .as_primitive::<Float64Type>()
                .clone(),
        })
    }
}
