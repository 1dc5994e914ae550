//! Converts numbers and columns to JSON.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt64Type};
use serde_json::Value;

use crate::source::TypedVec;

/// Converts numbers to JSON. Non-finite ones, which JSON cannot represent, become null; also
/// returns their count.
pub(super) fn number_values(numbers: &TypedVec) -> (Vec<Value>, u64) {
    let mut not_finite = 0;
    let mut float = |value: f64| {
        let value = Value::from(value);
        not_finite += u64::from(value.is_null());
        value
    };
    let values = match numbers {
        TypedVec::Bool(v) => v.iter().map(|&value| Value::from(value != 0)).collect(),
        TypedVec::Int8(v) => v.iter().map(|&value| Value::from(value)).collect(),
        TypedVec::Int16(v) => v.iter().map(|&value| Value::from(value)).collect(),
        TypedVec::Int32(v) => v.iter().map(|&value| Value::from(value)).collect(),
        TypedVec::Int64(v) => v.iter().map(|&value| Value::from(value)).collect(),
        TypedVec::UInt8(v) => v.iter().map(|&value| Value::from(value)).collect(),
        TypedVec::UInt16(v) => v.iter().map(|&value| Value::from(value)).collect(),
        TypedVec::UInt32(v) => v.iter().map(|&value| Value::from(value)).collect(),
        TypedVec::UInt64(v) => v.iter().map(|&value| Value::from(value)).collect(),
        TypedVec::Float16(v) => v.iter().map(|&value| float(value.into())).collect(),
        TypedVec::Float32(v) => v.iter().map(|&value| float(value.into())).collect(),
        TypedVec::Float64(v) => v.iter().map(|&value| float(value)).collect(),
    };
    (values, not_finite)
}

/// Converts a column to JSON, with null for missing values. Also returns the number of non-finite
/// numbers.
pub(super) fn column_values(column: &ArrayRef) -> (Vec<Value>, u64) {
    let rows = 0..column.len();
    let mut not_finite = 0;
    let wide = match column.data_type() {
        DataType::Dictionary(_, _) => DataType::Utf8,
        DataType::Utf8 | DataType::Boolean => column.data_type().clone(),
        kind if kind.is_unsigned_integer() => DataType::UInt64,
        kind if kind.is_signed_integer() => DataType::Int64,
        DataType::Timestamp(_, _) => DataType::Utf8,
        _ => DataType::Float64,
    };
    // All these casts are to a wider type of the same kind.
    let Ok(column) = cast(column, &wide) else {
        return (vec![Value::Null; rows.len()], 0);
    };
    let values = rows
        .map(|row| {
            if column.is_null(row) {
                return Value::Null;
            }
            match wide {
                DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)),
                DataType::Boolean => Value::from(column.as_boolean().value(row)),
                DataType::UInt64 => Value::from(column.as_primitive::<UInt64Type>().value(row)),
                DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(row)),
                _ => {
                    let value = Value::from(column.as_primitive::<Float64Type>().value(row));
                    not_finite += u64::from(value.is_null());
                    value
                }
            }
        })
        .collect();
    (values, not_finite)
}

/// Arranges the values of an array of any shape as nested lists; a scalar stays as it is.
pub(super) fn tree(values: Vec<Value>, shape: &[usize]) -> Value {
    fn level(values: &mut dyn Iterator<Item = Value>, shape: &[usize]) -> Value {
        match shape {
            [] => values.next().unwrap_or(Value::Null),
            [side, inner @ ..] => (0..*side).map(|_| level(values, inner)).collect(),
        }
    }
    level(&mut values.into_iter(), shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn arrays_become_nested_lists() {
        let values = |count: i32| (0..count).map(Value::from).collect::<Vec<_>>();
        assert_eq!(tree(values(1), &[]), json!(0));
        assert_eq!(tree(values(3), &[3]), json!([0, 1, 2]));
        assert_eq!(tree(values(4), &[2, 2]), json!([[0, 1], [2, 3]]));
        assert_eq!(tree(values(4), &[1, 2, 2]), json!([[[0, 1], [2, 3]]]));
        assert_eq!(tree(values(0), &[0]), json!([]));
        assert_eq!(tree(values(0), &[0, 3]), json!([]));
    }

    #[test]
    fn what_is_not_finite_is_counted() {
        let (values, not_finite) = number_values(&TypedVec::Float32(vec![1.5, f32::NAN]));
        assert_eq!((values, not_finite), (vec![json!(1.5), Value::Null], 1));
        let (values, _) = number_values(&TypedVec::UInt64(vec![u64::MAX]));
        assert_eq!(values, [json!(u64::MAX)]);
    }
}
