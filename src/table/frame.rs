//! Rows of the tables of cells and genes.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;

use super::TableError;

/// Rows of the table of cells.
pub struct CellRows<'a> {
    /// The columns of obs, as read.
    pub obs: &'a RecordBatch,
    pub cell_ids: StringArray,
    /// The cells in the dataset.
    pub ids: Range<i64>,
    pub source_file: &'a str,
    /// The row of the expression table at which each cell begins.
    pub starts: Vec<i64>,
    pub obsm: Vec<ArrayRef>,
}

/// Rows of the table of genes.
pub struct GeneRows<'a> {
    /// The columns of var, as read.
    pub var: &'a RecordBatch,
    pub gene_ids: StringArray,
    /// The genes in the dataset.
    pub ids: Range<i64>,
    pub varm: Vec<ArrayRef>,
}

impl CellRows<'_> {
    /// The rows as the table has them.
    pub fn batch(self, table: &Path, schema: &Schema) -> Result<RecordBatch, TableError> {
        let rows = self.starts.len();
        let own: [ArrayRef; 4] = [
            Arc::new(self.cell_ids),
            Arc::new(Int64Array::from_iter_values(self.ids)),
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                self.source_file,
                rows,
            ))),
            Arc::new(Int64Array::from(self.starts)),
        ];
        batch(schema, self.obs, own, self.obsm).map_err(|source| TableError::Arrow {
            path: table.into(),
            source,
        })
    }
}

impl GeneRows<'_> {
    /// The rows as the table has them.
    pub fn batch(self, table: &Path, schema: &Schema) -> Result<RecordBatch, TableError> {
        let own: [ArrayRef; 2] = [
            Arc::new(self.gene_ids),
            Arc::new(Int64Array::from_iter_values(self.ids)),
        ];
        batch(schema, self.var, own, self.varm).map_err(|source| TableError::Arrow {
            path: table.into(),
            source,
        })
    }
}

fn batch<const N: usize>(
    schema: &Schema,
    columns: &RecordBatch,
    own: [ArrayRef; N],
    embeddings: Vec<ArrayRef>,
) -> Result<RecordBatch, ArrowError> {
    let arrays = columns
        .columns()
        .iter()
        .map(plain_text)
        .chain(own.into_iter().map(Ok))
        .chain(embeddings.into_iter().map(Ok))
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::new(schema.clone()), arrays)
}

/// A column without dictionaries: categories become their texts, missing ones stay missing.
pub fn plain_text(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::Dictionary(_, _) => cast(column, &DataType::Utf8),
        _ => Ok(column.clone()),
    }
}
