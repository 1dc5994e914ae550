//! Sums of values, which fragments keep as well.

use crate::source::{NumberType, Numbers};

/// Whether writers keep sums of values of a type.
pub(super) fn sum_is_known(number_type: NumberType) -> bool {
    !matches!(number_type, NumberType::Bool | NumberType::Float16)
}

/// The bits of the sum of values, as libtiledb computes it: integers in 64 bits, floats one after
/// another in float64. `None` beyond their range, where libtiledb has rules of its own.
pub(super) fn sum(numbers: &Numbers) -> Option<u64> {
    fn signed<T: Copy + Into<i64>>(values: &[T]) -> Option<u64> {
        let sum = values
            .iter()
            .try_fold(0i64, |sum, &value| sum.checked_add(value.into()));
        sum.map(|sum| sum as u64)
    }
    fn unsigned<T: Copy + Into<u64>>(values: &[T]) -> Option<u64> {
        values
            .iter()
            .try_fold(0u64, |sum, &value| sum.checked_add(value.into()))
    }
    fn float<T: Copy + Into<f64>>(values: &[T]) -> Option<u64> {
        let sum = values.iter().fold(0f64, |sum, &value| sum + value.into());
        sum.is_finite().then(|| sum.to_bits())
    }
    match numbers {
        Numbers::Int8(values) => signed(values),
        Numbers::Int16(values) => signed(values),
        Numbers::Int32(values) => signed(values),
        Numbers::Int64(values) => signed(values),
        Numbers::Bool(values) | Numbers::UInt8(values) => unsigned(values),
        Numbers::UInt16(values) => unsigned(values),
        Numbers::UInt32(values) => unsigned(values),
        Numbers::UInt64(values) => unsigned(values),
        Numbers::Float16(values) => float(values),
        Numbers::Float32(values) => float(values),
        Numbers::Float64(values) => float(values),
    }
}
