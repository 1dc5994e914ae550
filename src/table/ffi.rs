//! Transfers columns between the Arrow implementations of Lance and polars by the C data interface,
//! without copying.

use std::mem::transmute;

use arrow::array::{Array, ArrayRef, make_array};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::ffi::{FFI_ArrowArray, FFI_ArrowSchema, from_ffi, to_ffi};
use polars_arrow::ffi::{
    ArrowArray, ArrowSchema, export_array_to_c, export_field_to_c, import_array_from_c,
    import_field_from_c,
};
use polars_core::prelude::{
    ArrowField, CompatLevel, DataType as PolarsType, PlSmallStr, PolarsError, Series,
};

/// Wraps a polars error as an Arrow error.
pub(super) fn external(error: PolarsError) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

fn field(schema: FFI_ArrowSchema) -> Result<ArrowField, ArrowError> {
    // SAFETY: both types are `struct ArrowSchema` of the C data interface, and the moved value is
    // released only by its new owner.
    let schema: ArrowSchema = unsafe { transmute(schema) };
    // SAFETY: it comes from `FFI_ArrowSchema`, which is valid.
    unsafe { import_field_from_c(&schema) }.map_err(external)
}

/// Returns the polars type that has the same values.
pub(super) fn polars_type(data_type: &DataType) -> Result<PolarsType, ArrowError> {
    let field = field(FFI_ArrowSchema::try_from(data_type)?)?;
    Ok(PolarsType::from_arrow_field(&field))
}

/// Converts a column to polars.
pub(super) fn to_polars(column: &dyn Array) -> Result<Series, ArrowError> {
    let (array, schema) = to_ffi(&column.to_data())?;
    let field = field(schema)?;
    // SAFETY: both types are `struct ArrowArray` of the C data interface, and the moved value is
    // released only by its new owner.
    let array: ArrowArray = unsafe { transmute::<FFI_ArrowArray, ArrowArray>(array) };
    // SAFETY: the array and its type were exported together.
    let array = unsafe { import_array_from_c(array, field.dtype) };
    let series = array.and_then(|array| Series::from_arrow(PlSmallStr::EMPTY, array));
    series.map_err(external)
}

/// Converts a column from polars.
pub(super) fn from_polars(series: &Series) -> Result<ArrayRef, ArrowError> {
    let array = series.rechunk().to_arrow(0, CompatLevel::oldest());
    let field = ArrowField::new(PlSmallStr::EMPTY, array.dtype().clone(), true);
    let (array, schema) = (export_array_to_c(array), export_field_to_c(&field));
    // SAFETY: the types are the same structs of the C data interface, and the moved value is
    // released only by its new owner.
    let (array, schema) = unsafe {
        (
            transmute::<ArrowArray, FFI_ArrowArray>(array),
            transmute::<ArrowSchema, FFI_ArrowSchema>(schema),
        )
    };
    // SAFETY: the array and its type were exported together.
    let mut data = unsafe { from_ffi(array, &schema) }?;
    data.align_buffers();
    Ok(make_array(data))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float16Array, Float64Array, Int8Array, UInt64Array};
    use half::f16;

    use super::*;

    #[test]
    fn columns_come_back_as_they_went() {
        let columns: [ArrayRef; 6] = [
            Arc::new(Int8Array::from(vec![Some(-128), None, Some(127)])),
            Arc::new(UInt64Array::from(vec![u64::MAX, 0])),
            Arc::new(Float64Array::from(vec![Some(f64::NAN), None, Some(-0.0)])),
            Arc::new(Float16Array::from(vec![f16::MAX, f16::NEG_INFINITY])),
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
            Arc::new(UInt64Array::from(Vec::<u64>::new())),
        ];
        for column in columns {
            let there = to_polars(&column).unwrap();
            assert_eq!(*there.dtype(), polars_type(column.data_type()).unwrap());
            assert_eq!(&from_polars(&there).unwrap(), &column);
            if column.len() > 1 {
                let part = column.slice(1, column.len() - 1);
                let back = from_polars(&to_polars(&part).unwrap()).unwrap();
                assert_eq!(&back, &part);
            }
        }
    }

    #[test]
    fn memory_is_owned_by_whoever_holds_it() {
        let column: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..100_000));
        let series = to_polars(&column).unwrap();
        drop(column);
        let back = from_polars(&series).unwrap();
        drop(series);
        let expected: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..100_000));
        assert_eq!(&back, &expected);
    }
}
