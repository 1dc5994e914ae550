//! Exact sums of duplicate entries.

use half::f16;

/// Reason why entries have no exact sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSum {
    /// No type holds the sum.
    TooLarge,
    /// The sum is between two float64 numbers.
    Inexact,
}

/// A value that can be added to another entry of the same cell and gene: numbers exactly, booleans
/// with "or".
pub(super) trait Sum: Copy {
    type Total: Copy;
    fn widen(self) -> Self::Total;
    fn sum(values: impl Iterator<Item = Self>) -> Result<Self::Total, NoSum>;
    fn is_zero(total: Self::Total) -> bool;
}

macro_rules! sum_integers {
    ($($type:ty => $total:ty),*) => {$(
        impl Sum for $type {
            type Total = $total;
            fn widen(self) -> $total {
                self.into()
            }
            fn sum(mut values: impl Iterator<Item = Self>) -> Result<$total, NoSum> {
                let sum = values.try_fold(0, |sum: $total, value| sum.checked_add(value.into()));
                sum.ok_or(NoSum::TooLarge)
            }
            fn is_zero(total: $total) -> bool {
                total == 0
            }
        }
    )*};
}

macro_rules! sum_floats {
    ($($type:ty),*) => {$(
        impl Sum for $type {
            type Total = f64;
            fn widen(self) -> f64 {
                self.into()
            }
            fn sum(values: impl Iterator<Item = Self>) -> Result<f64, NoSum> {
                exact_sum(values.map(f64::from))
            }
            fn is_zero(total: f64) -> bool {
                total == 0.0
            }
        }
    )*};
}

sum_integers!(i8 => i64, i16 => i64, i32 => i64, i64 => i64, u8 => i64, u16 => i64, u32 => i64, u64 => u64);
sum_floats!(f16, f32, f64);

/// A boolean stored as a byte.
#[derive(Clone, Copy)]
pub(super) struct BoolByte(pub u8);

impl Sum for BoolByte {
    type Total = u8;
    fn widen(self) -> u8 {
        self.0
    }
    fn sum(values: impl Iterator<Item = Self>) -> Result<u8, NoSum> {
        Ok(values.fold(0, |any, value| any | value.0))
    }
    fn is_zero(total: u8) -> bool {
        total == 0
    }
}

/// Sums floats, independently of their order. The sum is kept as non-overlapping parts, so that
/// nothing is rounded (Shewchuk 1997, "Adaptive precision floating-point arithmetic"). Non-finite
/// numbers are added as defined by IEEE 754.
fn exact_sum(values: impl Iterator<Item = f64>) -> Result<f64, NoSum> {
    // Smallest first. There are never more than about forty, as float64 has no bits for more.
    let mut parts: Vec<f64> = Vec::new();
    let mut not_finite: Option<f64> = None;
    for mut value in values {
        if !value.is_finite() {
            not_finite = Some(not_finite.unwrap_or(0.0) + value);
            continue;
        }
        let mut kept = 0;
        for number in 0..parts.len() {
            let (sum, error) = two_sum(value, parts[number]);
            if error != 0.0 {
                parts[kept] = error;
                kept += 1;
            }
            value = sum;
        }
        if !value.is_finite() {
            return Err(NoSum::TooLarge);
        }
        parts.truncate(kept);
        parts.push(value);
    }
    if let Some(sum) = not_finite {
        return Ok(sum);
    }
    let mut sum = 0.0;
    for part in parts.into_iter().rev() {
        let (rounded, error) = two_sum(sum, part);
        // The remaining parts are smaller than the last bit of the error and cannot cancel it.
        if error != 0.0 {
            return Err(NoSum::Inexact);
        }
        sum = rounded;
    }
    Ok(sum)
}

/// Returns the rounded sum of two numbers and the rounding error.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part_of_b = sum - a;
    let part_of_a = sum - part_of_b;
    (sum, (a - part_of_a) + (b - part_of_b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(values: &[f64]) -> Result<f64, NoSum> {
        exact_sum(values.iter().copied())
    }

    #[test]
    fn sums_are_exact_or_none() {
        assert_eq!(sum(&[16_777_216.0, 1.0, 1.0]), Ok(16_777_218.0));
        assert_eq!(sum(&[1.0, 1e16, -1e16]), Ok(1.0));
        assert_eq!(sum(&[1e16, 1.0, 1.0]), Ok(1e16 + 2.0));
        assert_eq!(sum(&[1e16, 1.0]), Err(NoSum::Inexact));
        assert_eq!(sum(&[0.1, 0.2]), Err(NoSum::Inexact));
        assert_eq!(sum(&[f64::MAX, f64::MAX]), Err(NoSum::TooLarge));
        assert_eq!(sum(&[f64::INFINITY, 1.0]), Ok(f64::INFINITY));
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).unwrap().is_nan());
        assert!(sum(&[1.0, f64::NAN]).unwrap().is_nan());
        assert_eq!(
            <f32 as Sum>::sum([3e38f32; 2].into_iter()),
            Ok(f64::from(3e38f32) * 2.0)
        );
        assert_eq!(
            <u64 as Sum>::sum([u64::MAX, 1].into_iter()),
            Err(NoSum::TooLarge)
        );
    }

    proptest! {
        /// Numbers with few bits, whose sum is computed in i128.
        #[test]
        fn sums_are_those_of_whole_numbers(values in prop::collection::vec((any::<i32>(), 0u32..80), 0..12)) {
            let exact: i128 = values.iter().map(|&(value, shift)| i128::from(value) << shift).sum();
            let floats = values.iter().map(|&(value, shift)| f64::from(value) * 2f64.powi(shift as i32));
            let rounded = exact as f64;
            let expected = if rounded as i128 == exact { Ok(rounded) } else { Err(NoSum::Inexact) };
            prop_assert_eq!(exact_sum(floats), expected);
        }
    }
}
