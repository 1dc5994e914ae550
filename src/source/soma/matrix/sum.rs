//! Sums of values, as stored in the fragment metadata.

use crate::source::{ScalarType, TypedVec};

/// Whether writers store sums for a number type.
pub(super) fn sum_is_known(number_type: ScalarType) -> bool {
    !matches!(number_type, ScalarType::Bool | ScalarType::Float16)
}

/// Whether the values have the sum that was written with them: integers are summed in 64 bits,
/// floats sequentially in float64, as libtiledb does. Returns `true` on overflow, where libtiledb
/// has rules of its own.
pub(super) fn has_sum(numbers: &TypedVec, written: u64) -> bool {
    fn signed<T: Copy + Into<i64>>(values: &[T], written: u64) -> bool {
        let sum = values
            .iter()
            .try_fold(0i64, |sum, &value| sum.checked_add(value.into()));
        sum.is_none_or(|sum| sum as u64 == written)
    }
    fn unsigned<T: Copy + Into<u64>>(values: &[T], written: u64) -> bool {
        let sum = values
            .iter()
            .try_fold(0u64, |sum, &value| sum.checked_add(value.into()));
        sum.is_none_or(|sum| sum == written)
    }
    fn float<T: Copy + Into<f64>>(values: &[T], written: u64) -> bool {
        // Counts have the same sum in any order, and adding in parallel lanes is faster.
        if side_by_side(values).to_bits() == written {
            return true;
        }
        let sum = values.iter().fold(0f64, |sum, &value| sum + value.into());
        !sum.is_finite() || sum.to_bits() == written
    }
    match numbers {
        TypedVec::Int8(values) => signed(values, written),
        TypedVec::Int16(values) => signed(values, written),
        TypedVec::Int32(values) => signed(values, written),
        TypedVec::Int64(values) => signed(values, written),
        TypedVec::Bool(values) | TypedVec::UInt8(values) => unsigned(values, written),
        TypedVec::UInt16(values) => unsigned(values, written),
        TypedVec::UInt32(values) => unsigned(values, written),
        TypedVec::UInt64(values) => unsigned(values, written),
        TypedVec::Float16(values) => float(values, written),
        TypedVec::Float32(values) => float(values, written),
        TypedVec::Float64(values) => float(values, written),
    }
}

/// Sums the values in parallel lanes, that is, in a different order.
fn side_by_side<T: Copy + Into<f64>>(values: &[T]) -> f64 {
    let (blocks, rest) = values.as_chunks::<8>();
    let mut sums = [0f64; 8];
    for block in blocks {
        for (sum, &value) in sums.iter_mut().zip(block) {
            *sum += value.into();
        }
    }
    let rest = rest.iter().map(|&value| value.into());
    sums.into_iter().chain(rest).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_one_value_after_another() {
        let counts: Vec<f32> = (0..1003).map(|n| (n % 17) as f32).collect();
        let sum: f64 = counts.iter().map(|&count| f64::from(count)).sum();
        assert!(has_sum(&TypedVec::Float32(counts.clone()), sum.to_bits()));
        assert!(!has_sum(&TypedVec::Float32(counts), (sum + 1.0).to_bits()));
        // A different order gives a different sum.
        let tenths: Vec<f64> = (0..1003).map(|n| f64::from(n % 13) / 10.0).collect();
        let sum = tenths.iter().fold(0.0, |sum, tenth| sum + tenth);
        assert_ne!(sum, side_by_side(&tenths));
        assert!(has_sum(&TypedVec::Float64(tenths), sum.to_bits()));
        let [most, one] = [TypedVec::Int64(vec![i64::MAX, 1]), TypedVec::Int64(vec![1])];
        assert!(has_sum(&most, 7));
        assert!(has_sum(&one, 1) && !has_sum(&one, 2));
    }
}
