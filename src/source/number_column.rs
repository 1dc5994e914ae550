//! Numbers as Arrow columns, and as text.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, PrimitiveArray, StringArray, StringBuilder};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::TypedVec;
use crate::with_numbers;

fn primitive<T: ArrowPrimitiveType>(values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
}

/// Converts numbers to an Arrow column; booleans become Arrow booleans.
pub(crate) fn arrow_numbers(numbers: TypedVec, nulls: Option<NullBuffer>) -> ArrayRef {
    match numbers {
        TypedVec::Bool(v) => {
            let values = v.iter().map(|&value| value != 0).collect::<Vec<bool>>();
            Arc::new(BooleanArray::new(values.into(), nulls))
        }
        TypedVec::Int8(v) => primitive::<Int8Type>(v, nulls),
        TypedVec::Int16(v) => primitive::<Int16Type>(v, nulls),
        TypedVec::Int32(v) => primitive::<Int32Type>(v, nulls),
        TypedVec::Int64(v) => primitive::<Int64Type>(v, nulls),
        TypedVec::UInt8(v) => primitive::<UInt8Type>(v, nulls),
        TypedVec::UInt16(v) => primitive::<UInt16Type>(v, nulls),
        TypedVec::UInt32(v) => primitive::<UInt32Type>(v, nulls),
        TypedVec::UInt64(v) => primitive::<UInt64Type>(v, nulls),
        TypedVec::Float16(v) => primitive::<Float16Type>(v, nulls),
        TypedVec::Float32(v) => primitive::<Float32Type>(v, nulls),
        TypedVec::Float64(v) => primitive::<Float64Type>(v, nulls),
    }
}

/// Formats numbers the way Python does, which is how anndata users name such categories and rows.
pub(super) fn text_of_numbers(numbers: &TypedVec) -> StringArray {
    let mut texts = StringBuilder::new();
    let mut push = |text: String| texts.append_value(text);
    match numbers {
        TypedVec::Bool(v) => v
            .iter()
            .for_each(|&b| push(if b != 0 { "True" } else { "False" }.into())),
        TypedVec::Float16(v) => v
            .iter()
            .for_each(|x| push(text_of_float(format!("{:?}", x.to_f32())))),
        TypedVec::Float32(v) => v.iter().for_each(|x| push(text_of_float(format!("{x:?}")))),
        TypedVec::Float64(v) => v.iter().for_each(|x| push(text_of_float(format!("{x:?}")))),
        integers => with_numbers!(integers, v => v.iter().for_each(|x| push(x.to_string()))),
    }
    texts.finish()
}

/// Converts Rust's shortest representation of a float to Python's spelling and exponents.
fn text_of_float(text: String) -> String {
    match text.as_str() {
        "NaN" => return "nan".into(),
        _ if text.ends_with("inf") => return text,
        _ => {}
    }
    match text.split_once('e') {
        None => text,
        Some((mantissa, exponent)) => {
            let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
            let (sign, digits) = match exponent.strip_prefix('-') {
                Some(digits) => ('-', digits),
                None => ('+', exponent),
            };
            format!("{mantissa}e{sign}{digits:0>2}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Array;

    #[test]
    fn numbers_read_as_python_writes_them() {
        let text = |numbers: TypedVec| {
            let texts = text_of_numbers(&numbers);
            texts
                .iter()
                .flatten()
                .map(str::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(text(TypedVec::Bool(vec![0, 1])), ["False", "True"]);
        assert_eq!(text(TypedVec::Int64(vec![-3, 10])), ["-3", "10"]);
        assert_eq!(
            text(TypedVec::Float64(vec![
                1.0,
                0.1,
                1e16,
                1.5e-7,
                f64::NAN,
                f64::NEG_INFINITY
            ])),
            ["1.0", "0.1", "1e+16", "1.5e-07", "nan", "-inf"]
        );
    }

    #[test]
    fn number_types_become_arrow_types() {
        let array = arrow_numbers(TypedVec::Bool(vec![1, 0]), Some(vec![true, false].into()));
        assert_eq!(array.null_count(), 1);
    }
}
