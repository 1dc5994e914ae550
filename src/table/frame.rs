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
///
/// `ids` are the cells in the dataset, `starts` the row of the expression table at which each
/// begins.
pub fn cells_batch(
    table: &Path,
    schema: &Schema,
    obs: &RecordBatch,
    cell_ids: StringArray,
    ids: Range<i64>,
    source_file: &str,
    starts: Vec<i64>,
) -> Result<RecordBatch, TableError> {
    let rows = starts.len();
    let own: [ArrayRef; 4] = [
        Arc::new(cell_ids),
        Arc::new(Int64Array::from_iter_values(ids)),
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            source_file,
            rows,
        ))),
        Arc::new(Int64Array::from(starts)),
    ];
    batch(schema, obs, own).map_err(|source| TableError::Arrow {
        path: table.into(),
        source,
    })
}

/// Rows of the table of genes. `ids` are the genes in the dataset.
pub fn genes_batch(
    table: &Path,
    schema: &Schema,
    var: &RecordBatch,
    gene_ids: StringArray,
    ids: Range<i64>,
) -> Result<RecordBatch, TableError> {
    let own: [ArrayRef; 2] = [
        Arc::new(gene_ids),
        Arc::new(Int64Array::from_iter_values(ids)),
    ];
    batch(schema, var, own).map_err(|source| TableError::Arrow {
        path: table.into(),
        source,
    })
}

fn batch<const N: usize>(
    schema: &Schema,
    columns: &RecordBatch,
    own: [ArrayRef; N],
) -> Result<RecordBatch, ArrowError> {
    let arrays = columns
        .columns()
        .iter()
        .map(plain_text)
        .chain(own.into_iter().map(Ok))
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
