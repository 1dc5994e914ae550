//! The rows of the expression table of a dataset, cell by cell.

use std::ops::Range;
use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt32Type};

use super::IngestError;
use crate::chunk::{GeneIdentity, contents_of_entries};
use crate::dataset::{Dataset, DatasetError, RowOrder};
use crate::table::{RowReader, RowsAndColumns, TableError, TableName};

const COLUMNS: [&str; 3] = ["cell_integer_id", "gene_integer_id", "value"];

/// Is shown the entries of each cell that has some: genes and values.
pub(super) type VisitCell<'a> = dyn FnMut(u64, &[(u32, f64)]) -> Result<(), IngestError> + 'a;

/// Shows all cells that have rows, in their order.
pub(super) async fn all(
    dataset: &Dataset,
    order: RowOrder,
    show: &mut VisitCell<'_>,
) -> Result<(), IngestError> {
    let rows = dataset.sorted_rows(TableName::Expression, &COLUMNS, order);
    shown(dataset, rows.await?, show).await
}

/// Shows the cells of a range of rows.
pub(super) async fn some(
    dataset: &Dataset,
    rows: Range<u64>,
    show: &mut VisitCell<'_>,
) -> Result<(), IngestError> {
    let table = dataset.table(TableName::Expression).await?;
    let path = path(dataset);
    let wanted = RowsAndColumns {
        columns: Some(&COLUMNS),
        rows: Some(rows),
    };
    shown(dataset, RowReader::of(&table, &path, wanted).await?, show).await
}

/// How the rows lie, as they are found.
pub(super) async fn order(dataset: &Dataset) -> Result<RowOrder, IngestError> {
    let rows = dataset.sorted_rows(TableName::Expression, &COLUMNS[..1], RowOrder::Sorted);
    let (mut rows, mut last) = (rows.await?, 0);
    while let Some(batch) = rows.next().await? {
        let cells = in_type(dataset, &batch, 0, &DataType::UInt32)?;
        for &cell in cells.as_primitive::<UInt32Type>().values() {
            if cell < last {
                return Ok(RowOrder::Unsorted);
            }
            last = cell;
        }
    }
    Ok(RowOrder::Sorted)
}

/// The hash of what a cell holds.
pub(super) fn contents(
    dataset: &Dataset,
    entries: &[(u32, f64)],
    identities: &[GeneIdentity],
) -> Result<u64, IngestError> {
    let hash = contents_of_entries(entries, identities);
    hash.ok_or_else(|| refused(dataset, "a row names a gene that does not exist"))
}

async fn shown(
    dataset: &Dataset,
    mut rows: RowReader,
    show: &mut VisitCell<'_>,
) -> Result<(), IngestError> {
    let all = dataset.config().array_shape[0];
    let mut entries: Vec<(u32, f64)> = Vec::new();
    let mut here = 0;
    while let Some(batch) = rows.next().await? {
        let cells = in_type(dataset, &batch, 0, &DataType::UInt32)?;
        let genes = in_type(dataset, &batch, 1, &DataType::UInt32)?;
        let values = in_type(dataset, &batch, 2, &DataType::Float64)?;
        if cells.null_count() + genes.null_count() > 0 {
            return Err(refused(dataset, "an identifier is negative or missing"));
        }
        let cells = cells.as_primitive::<UInt32Type>().values();
        let genes = genes.as_primitive::<UInt32Type>().values();
        let values = values.as_primitive::<Float64Type>().values();
        for ((&cell, &gene), &value) in cells.iter().zip(genes).zip(values) {
            let cell = u64::from(cell);
            if cell >= all {
                let why = "a row names a cell that does not exist";
                return Err(refused(dataset, why));
            }
            if cell < here {
                let why = "its rows are not in the order of the cells";
                return Err(refused(dataset, why));
            }
            if cell > here {
                if !entries.is_empty() {
                    show(here, &entries)?;
                    entries.clear();
                }
                here = cell;
            }
            entries.push((gene, value));
        }
    }
    if entries.is_empty() {
        Ok(())
    } else {
        show(here, &entries)
    }
}

fn in_type(
    dataset: &Dataset,
    batch: &RecordBatch,
    column: usize,
    wanted: &DataType,
) -> Result<arrow::array::ArrayRef, IngestError> {
    let converted = cast(batch.column(column), wanted);
    Ok(converted.map_err(|source| TableError::Arrow {
        path: path(dataset),
        source,
    })?)
}

fn path(dataset: &Dataset) -> PathBuf {
    dataset.path().join(TableName::Expression.folder())
}

fn refused(dataset: &Dataset, why: &str) -> IngestError {
    IngestError::Dataset(DatasetError::CannotContinue {
        path: path(dataset),
        why: why.into(),
    })
}
