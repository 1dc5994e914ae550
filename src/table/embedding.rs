//! Embeddings as list columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Float64Array, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

use crate::plan::PlannedEmbedding;
use crate::source::TypedVec;
use crate::survey::FloatType;

/// Converts `rows × width` numbers in row-major order to lists in the planned type.
///
/// # Errors
/// If a number is not exact in that type, which means that the input changed after it was surveyed.
pub fn embedding_column(
    numbers: &TypedVec,
    rows: usize,
    planned: &PlannedEmbedding,
) -> Result<ArrayRef, ArrowError> {
    let misfit = |position| {
        ArrowError::ComputeError(format!(
            "the number at {position} of {} is not exact in its planned type",
            planned.name
        ))
    };
    let wide = numbers.to_f64().map_err(misfit)?;
    let values: ArrayRef = match planned.float_type {
        FloatType::Float64 => Arc::new(Float64Array::from(wide)),
        FloatType::Float32 => {
            let narrow: Vec<f32> = wide.iter().map(|&value| value as f32).collect();
            let same = |(a, b): (&f32, &f64)| f64::from(*a) == *b || b.is_nan();
            if let Some(position) = narrow.iter().zip(&wide).position(|pair| !same(pair)) {
                return Err(misfit(position));
            }
            Arc::new(Float32Array::from(narrow))
        }
    };
    let item = Arc::new(Field::new("item", planned.float_type.arrow(), true));
    let width = i32::try_from(planned.width)
        .map_err(|_| ArrowError::ComputeError("an embedding is too wide".into()))?;
    if planned.width == 0 {
        // Without numbers, the length of the list array must be given.
        let list = FixedSizeListArray::try_new_with_length(item, 0, values, None, rows)?;
        return Ok(Arc::new(list));
    }
    Ok(Arc::new(FixedSizeListArray::try_new(
        item, width, values, None,
    )?))
}

/// Returns a column of embeddings that is null in all rows.
pub fn missing_embeddings(planned: &PlannedEmbedding, rows: usize) -> ArrayRef {
    let item = Arc::new(Field::new("item", planned.float_type.arrow(), true));
    let width = i32::try_from(planned.width).unwrap_or(i32::MAX);
    new_null_array(&DataType::FixedSizeList(item, width), rows)
}

/// A column of embeddings of which some rows have none.
///
/// # Errors
/// If it has another number of rows.
pub fn with_nulls(column: ArrayRef, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let (Some(nulls), Some(lists)) = (nulls, column.as_fixed_size_list_opt()) else {
        return Ok(column);
    };
    let item = match lists.data_type() {
        DataType::FixedSizeList(item, _) => item.clone(),
        other => return Err(ArrowError::SchemaError(format!("{other} is no list"))),
    };
    let values = lists.values().clone();
    let width = lists.value_length();
    let lists = FixedSizeListArray::try_new(item, width, values, Some(nulls))?;
    Ok(Arc::new(lists))
}
