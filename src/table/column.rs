//! Converts columns of an input to the types of the table.

use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::ffi::{external, from_polars, polars_type, to_polars};
use crate::plan::PlannedColumn;

/// Returns the planned columns of a frame in their types. Columns that the frame lacks are null.
///
/// # Errors
/// If a value does not fit its type, which means that the input changed after it was surveyed.
pub fn planned_columns(
    frame: &RecordBatch,
    planned: &[PlannedColumn],
) -> Result<Vec<ArrayRef>, ArrowError> {
    let planned = planned.iter();
    planned
        .map(|column| {
            let data_type = column.kind.arrow();
            match frame.column_by_name(&column.column) {
                Some(found) => in_type(found, &data_type),
                None => Ok(new_null_array(&data_type, frame.num_rows())),
            }
        })
        .collect()
}

/// Converts a column to a type. Every value must be preserved exactly.
pub(super) fn in_type(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    let own = column.data_type();
    if own == wanted {
        return Ok(column.clone());
    }
    // The common type was chosen to be lossless; the following detects if it is not.
    let is_number = |data_type: &DataType| data_type.is_integer() || data_type.is_floating();
    if is_number(own) && is_number(wanted) {
        return harmonised(column, wanted);
    }
    let converted = cast_with_options(column, wanted, &STRICT)?;
    if converted.null_count() != column.logical_null_count() {
        return Err(lost());
    }
    if own.is_temporal() {
        let back = cast_with_options(&converted, own, &STRICT)?;
        let same = not_distinct(&back, column)?;
        if same.true_count() != same.len() {
            return Err(lost());
        }
    }
    Ok(converted)
}

const STRICT: CastOptions<'static> = CastOptions {
    safe: false,
    format_options: arrow::util::display::FormatOptions::new(),
};

fn lost() -> ArrowError {
    ArrowError::CastError("a value was lost".into())
}

/// Converts numbers to the common type of all inputs.
fn harmonised(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    let series = to_polars(column)?;
    let widened = series
        .strict_cast(&polars_type(wanted)?)
        .map_err(external)?;
    let back = widened.strict_cast(series.dtype()).map_err(external)?;
    if !back.equals_missing(&series) {
        return Err(lost());
    }
    from_polars(&widened)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Float16Array, Float32Array, Float64Array, Int16Array, Int64Array, UInt8Array, UInt64Array,
    };
    use arrow::compute::cast;
    use half::f16;

    use super::*;

    fn column(numbers: impl Array + 'static) -> ArrayRef {
        Arc::new(numbers)
    }

    #[test]
    fn numbers_are_widened_as_they_are() {
        let small = column(UInt8Array::from(vec![Some(0), None, Some(255)]));
        for wanted in [
            DataType::Int16,
            DataType::UInt16,
            DataType::Int64,
            DataType::UInt64,
            DataType::Float16,
            DataType::Float32,
            DataType::Float64,
        ] {
            let found = in_type(&small, &wanted).unwrap();
            assert_eq!(&found, &cast(&small, &wanted).unwrap(), "{wanted}");
        }
        let floats = column(Float32Array::from(vec![
            Some(f32::NAN),
            None,
            Some(f32::INFINITY),
            Some(-0.0),
            Some(f32::MIN_POSITIVE),
        ]));
        let found = in_type(&floats, &DataType::Float64).unwrap();
        assert_eq!(&found, &cast(&floats, &DataType::Float64).unwrap());
        let half = column(Float16Array::from(vec![f16::MAX, f16::NAN]));
        let found = in_type(&half, &DataType::Float32).unwrap();
        assert_eq!(&found, &cast(&half, &DataType::Float32).unwrap());
        // A slice whose validity bits are not byte-aligned.
        let part = small.slice(1, 2);
        let found = in_type(&part, &DataType::Int32).unwrap();
        assert_eq!(&found, &cast(&part, &DataType::Int32).unwrap());
    }

    #[test]
    fn a_lost_value_is_noticed() {
        for (numbers, wanted) in [
            (column(Int16Array::from(vec![-1])), DataType::UInt16),
            (column(Int16Array::from(vec![300])), DataType::UInt8),
            (
                column(Int64Array::from(vec![(1 << 53) + 1])),
                DataType::Float64,
            ),
            (column(UInt64Array::from(vec![u64::MAX])), DataType::Int64),
            (column(Float64Array::from(vec![0.1])), DataType::Float32),
            (column(Float64Array::from(vec![1.5])), DataType::Int32),
            (column(Float64Array::from(vec![f64::NAN])), DataType::Int32),
        ] {
            let found = in_type(&numbers, &wanted);
            assert!(found.is_err(), "{numbers:?} as {wanted}: {found:?}");
        }
    }
}
