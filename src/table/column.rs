//! Columns of an input in the type that the table has for them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::CastOptions;
use arrow::compute::cast_with_options;
use arrow::compute::kernels::cmp::not_distinct;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use crate::plan::{PlannedColumn, data_type};

/// The planned columns of a frame, each in its type; one that the frame lacks is missing in all rows.
///
/// # Errors
/// Where a value does not fit its type: the input changed since it was surveyed.
pub fn planned_columns(
    frame: &RecordBatch,
    planned: &[PlannedColumn],
) -> Result<Vec<ArrayRef>, ArrowError> {
    let planned = planned.iter();
    planned
        .map(|column| {
            let data_type = data_type(&column.kind);
            match frame.column_by_name(&column.column) {
                Some(found) => in_type(found, &data_type),
                None => Ok(new_null_array(&data_type, frame.num_rows())),
            }
        })
        .collect()
}

/// A column in a type; every value must come through it as it was.
pub(super) fn in_type(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == wanted {
        return Ok(column.clone());
    }
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let converted = cast_with_options(column, wanted, &options)?;
    // Types were united without loss; this is what would notice if they were not.
    let lost = || ArrowError::CastError("a value was lost".into());
    if converted.null_count() != column.logical_null_count() {
        return Err(lost());
    }
    let compared = column.data_type().is_numeric() || column.data_type().is_temporal();
    if compared && !column.data_type().is_nested() {
        let back = cast_with_options(&converted, column.data_type(), &options)?;
        let same = not_distinct(&back, column)?;
        if same.true_count() != same.len() {
            return Err(lost());
        }
    }
    Ok(Arc::clone(&converted))
}
