//! Iterates over the rows of one matrix in a table of non-zeros.

use std::ops::Range;
use std::path::Path;

use arrow::array::{AsArray, Float64Array, RecordBatch, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt32Type};
use tokio::runtime::Handle;

use super::VerifyError;
use super::against::{Found, nonzero};
use crate::table::{RowReader, RowsAndColumns, TableError};

/// Rows that were read but not yet returned.
struct Block {
    rows: UInt32Array,
    columns: UInt32Array,
    values: Float64Array,
}

/// Reads the rows of a matrix in order.
pub(super) struct RowCursor<'a> {
    runtime: &'a Handle,
    path: &'a Path,
    reader: RowReader,
    block: Option<Block>,
}

impl<'a> RowCursor<'a> {
    /// Starts at the first row of a range of the table; `None` if the table lacks the column.
    pub fn open(
        runtime: &'a Handle,
        table: &lance::Dataset,
        path: &'a Path,
        column: &str,
        rows: Range<u64>,
    ) -> Result<Option<Self>, VerifyError> {
        let fields = &table.schema().fields;
        let [row, gene, ..] = &fields[..] else {
            return Ok(None);
        };
        if !fields.iter().skip(2).any(|field| field.name == column) {
            return Ok(None);
        }
        let wanted = RowsAndColumns {
            columns: Some(&[&row.name, &gene.name, column]),
            rows: Some(rows),
        };
        Ok(Some(RowCursor {
            runtime,
            path,
            reader: runtime.block_on(RowReader::of(table, path, wanted))?,
            block: None,
        }))
    }

    /// Returns the next non-zeros before row `end` of the matrix, at most as many as are read at
    /// once; `None` if there are no more.
    pub fn before(&mut self, end: u64) -> Result<Option<Found>, VerifyError> {
        let block = match self.block.take() {
            Some(block) => block,
            None => match self.runtime.block_on(self.reader.next())? {
                Some(batch) => self.block_of(&batch)?,
                None => return Ok(None),
            },
        };
        let before = block
            .rows
            .values()
            .partition_point(|&row| u64::from(row) < end);
        let rest = block.rows.len() - before;
        if rest > 0 {
            self.block = Some(Block {
                rows: block.rows.slice(before, rest),
                columns: block.columns.slice(before, rest),
                values: block.values.slice(before, rest),
            });
        }
        if before == 0 && rest > 0 {
            return Ok(None);
        }
        Ok(Some(nonzero(
            &block.rows.slice(0, before),
            &block.columns.slice(0, before),
            &block.values.slice(0, before),
        )))
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
            values: column(2, &DataType::Float64)?
                .as_primitive::<Float64Type>()
                .clone(),
        })
    }
}
