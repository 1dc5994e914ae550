//! Digest of the rows of the cells and genes tables.
//!
//! For each column that is not null, the bytes of a row contain the name of the column and the
//! value, each prefixed with its length. All integer types have the same encoding, whatever their
//! width, and so do all float types. Other programs may add columns of any type: values that are
//! not numbers, strings or lists of numbers are encoded as their text representation. The digest is
//! part of the file format and must not change.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{can_cast_types, cast};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, UInt64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::chunk::Digest;

/// Returns the sum of the digests of all rows.
///
/// # Errors
/// If the values of a column cannot be converted.
pub fn row_digest(batch: &RecordBatch) -> Result<Digest, ArrowError> {
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        columns.push((field.name().clone(), Values::of(column)?));
    }
    let mut digest = Digest::default();
    let mut bytes = Vec::new();
    for row in 0..batch.num_rows() {
        bytes.clear();
        for (name, values) in &columns {
            if !values.is_missing(row) {
                push(&mut bytes, name.as_bytes());
                values.push(row, &mut bytes);
            }
        }
        digest.add(Digest::of_bytes(&bytes));
    }
    Ok(digest)
}

/// Binary columns are not converted to text.
fn is_bytes(kind: &DataType) -> bool {
    kind.is_binary() || matches!(kind, DataType::FixedSizeBinary(_))
}

fn push(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    bytes.extend_from_slice(value);
}

/// A column in the widest type of its kind.
struct Values {
    column: ArrayRef,
    /// Concatenated numbers of the lists, and the length of each list.
    list: Option<(Box<Values>, usize)>,
}

impl Values {
    fn of(column: &ArrayRef) -> Result<Self, ArrowError> {
        if let DataType::FixedSizeList(_, width) = column.data_type() {
            let lists = column.as_fixed_size_list();
            let width = usize::try_from(*width).unwrap_or(0);
            let offset = lists.value_offset(0).max(0) as usize;
            let numbers = lists.values().slice(offset, lists.len() * width);
            return Ok(Values {
                column: column.clone(),
                list: Some((Box::new(Values::of(&numbers)?), width)),
            });
        }
        let wide = match column.data_type() {
            DataType::Utf8 | DataType::Boolean => column.data_type().clone(),
            DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Nanosecond, None),
            kind if kind.is_unsigned_integer() => DataType::UInt64,
            kind if kind.is_signed_integer() => DataType::Int64,
            kind if kind.is_floating() => DataType::Float64,
            kind if kind.is_nested() || is_bytes(kind) => return Self::displayed(column),
            kind if !can_cast_types(kind, &DataType::Utf8) => return Self::displayed(column),
            _ => DataType::Utf8,
        };
        Ok(Values {
            column: cast(column, &wide)?,
            list: None,
        })
    }

    /// Converts a column to the text representations of its values.
    fn displayed(column: &ArrayRef) -> Result<Self, ArrowError> {
        let formatter = ArrayFormatter::try_new(column, &FormatOptions::new())?;
        let text = |row: usize| {
            if column.is_null(row) {
                Ok(None)
            } else {
                formatter.value(row).try_to_string().map(Some)
            }
        };
        let texts: Result<StringArray, _> = (0..column.len()).map(text).collect();
        Ok(Values {
            column: Arc::new(texts?),
            list: None,
        })
    }

    fn is_missing(&self, row: usize) -> bool {
        self.column.is_null(row)
    }

    fn push(&self, row: usize, bytes: &mut Vec<u8>) {
        if let Some((numbers, width)) = &self.list {
            bytes.extend_from_slice(&(*width as u64).to_le_bytes());
            for item in row * width..(row + 1) * width {
                if numbers.is_missing(item) {
                    push(bytes, &[]);
                } else {
                    numbers.push(item, bytes);
                }
            }
            return;
        }
        match self.column.data_type() {
            DataType::Utf8 => push(bytes, self.column.as_string::<i32>().value(row).as_bytes()),
            DataType::Boolean => push(bytes, &[u8::from(self.column.as_boolean().value(row))]),
            DataType::UInt64 => {
                let value = self.column.as_primitive::<UInt64Type>().value(row);
                push(bytes, &i128::from(value).to_le_bytes());
            }
            DataType::Float64 => {
                let value = self.column.as_primitive::<Float64Type>().value(row);
                // All NaNs are equal, and so are both zeros.
                let value = if value.is_nan() {
                    f64::NAN
                } else {
                    value + 0.0
                };
                push(bytes, &value.to_bits().to_le_bytes());
            }
            DataType::Timestamp(_, _) => {
                let column = self
                    .column
                    .as_primitive::<arrow::datatypes::TimestampNanosecondType>();
                push(bytes, &i128::from(column.value(row)).to_le_bytes());
            }
            _ => {
                let value = self.column.as_primitive::<Int64Type>().value(row);
                push(bytes, &i128::from(value).to_le_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Float64Array, Int32Array, Int64Array};

    use super::*;

    fn digest(columns: Vec<(&str, ArrayRef)>) -> Digest {
        row_digest(&RecordBatch::try_from_iter(columns).unwrap()).unwrap()
    }

    #[test]
    fn order_of_rows_and_width_of_numbers_do_not_matter() {
        let a: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
        let b: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), Some(1), None]));
        assert_eq!(digest(vec![("x", a.clone())]), digest(vec![("x", b)]));
        assert_ne!(digest(vec![("x", a.clone())]), digest(vec![("y", a)]));
        let narrow: ArrayRef = Arc::new(Float32Array::from(vec![0.5, -0.0, f32::NAN]));
        let wide: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 0.0, f64::NAN]));
        assert_eq!(digest(vec![("x", narrow)]), digest(vec![("x", wide)]));
    }

    #[test]
    fn values_that_change_places_are_noticed() {
        let texts = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
        let one = vec![("id", texts(vec!["a", "b"])), ("x", texts(vec!["p", "q"]))];
        let other = vec![("id", texts(vec!["a", "b"])), ("x", texts(vec!["q", "p"]))];
        assert_ne!(digest(one), digest(other));
        let joined = vec![("id", texts(vec!["ab", ""]))];
        assert_ne!(digest(joined), digest(vec![("id", texts(vec!["a", "b"]))]));
    }

    #[test]
    fn lists_are_told_apart() {
        use arrow::array::FixedSizeListArray;
        use arrow::datatypes::Field;
        let lists = |values: Vec<f32>| -> ArrayRef {
            let item = Arc::new(Field::new("item", DataType::Float32, true));
            let values = Arc::new(Float32Array::from(values));
            Arc::new(FixedSizeListArray::try_new(item, 2, values, None).unwrap())
        };
        let all = lists(vec![1.0, 2.0, 3.0, 4.0]);
        let halves = [all.slice(0, 1), all.slice(1, 1)].map(|half| digest(vec![("e", half)]));
        let mut sum = halves[0];
        sum.add(halves[1]);
        assert_eq!(sum, digest(vec![("e", all)]));
        assert_ne!(sum, digest(vec![("e", lists(vec![2.0, 1.0, 3.0, 4.0]))]));
    }

    #[test]
    fn columns_of_any_type_are_digested() {
        use arrow::array::{BinaryArray, ListArray, StructArray};
        use arrow::datatypes::{Field, Fields, Int32Type};
        let lists = |last| -> ArrayRef {
            let rows = vec![Some(vec![Some(1), None]), None, Some(vec![Some(last)])];
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(rows))
        };
        assert_eq!(digest(vec![("l", lists(2))]), digest(vec![("l", lists(2))]));
        assert_ne!(digest(vec![("l", lists(2))]), digest(vec![("l", lists(3))]));
        let bytes = |last: u8| -> ArrayRef {
            Arc::new(BinaryArray::from_vec(vec![&[0xff, last], &[][..]]))
        };
        assert_ne!(
            digest(vec![("b", bytes(0x80))]),
            digest(vec![("b", bytes(0x81))])
        );
        let structs = |last| -> ArrayRef {
            let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1, last]));
            let fields = Fields::from(vec![Field::new("n", DataType::Int32, true)]);
            Arc::new(StructArray::new(fields, vec![numbers], None))
        };
        assert_ne!(
            digest(vec![("s", structs(1))]),
            digest(vec![("s", structs(2))])
        );
    }
}
