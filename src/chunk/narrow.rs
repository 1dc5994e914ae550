//! Checked conversions of whole columns.
//!
//! Every loop here visits each number once and only records whether any did not fit, so that
//! compilers vectorise it; callers search for the culprit if one did not.

use std::ops::Range;

use half::f16;

use crate::source::TypedVec;

/// Conversion to another number type; the flag says whether the value is unchanged.
pub(super) trait Narrow<T>: Copy {
    fn narrow(self) -> (T, bool);
}

macro_rules! integer_to_integer {
    ($($from:ty => $($to:ty),*;)*) => {$($(
        impl Narrow<$to> for $from {
            fn narrow(self) -> ($to, bool) {
                // Compare in a type wide enough for both.
                let narrowed = self as $to;
                (narrowed, i128::from(narrowed) == i128::from(self))
            }
        }
    )*)*};
}

macro_rules! integer_to_float {
    ($wide:ty: $($from:ty => $($to:ty),*;)*) => {$($(
        impl Narrow<$to> for $from {
            fn narrow(self) -> ($to, bool) {
                // A float at the edge of a type's range may be rounded to just beyond it. Convert
                // back to a wider type, in which it is not clamped.
                let narrowed = self as $to;
                (narrowed, narrowed as $wide == <$wide>::from(self))
            }
        }
    )*)*};
}

macro_rules! float_to_integer {
    ($($from:ty => $($to:ty),*;)*) => {$($(
        impl Narrow<$to> for $from {
            fn narrow(self) -> ($to, bool) {
                // Casts clamp, and NaN becomes 0; either differs from the value.
                let narrowed = self as $to;
                (narrowed, f64::from(narrowed) == f64::from(self))
            }
        }
    )*)*};
}

integer_to_integer!(
    i8 => u16, u32, i32;
    i16 => u16, u32, i32;
    i32 => u16, u32, i32;
    i64 => u16, u32, i32;
    u8 => u16, u32, i32;
    u16 => u16, u32, i32;
    u32 => u16, u32, i32;
    u64 => u16, u32, i32;
);
integer_to_float!(i64:
    i8 => f32, f64;
    i16 => f32, f64;
    i32 => f32, f64;
    u8 => f32, f64;
    u16 => f32, f64;
    u32 => f32, f64;
);
integer_to_float!(i128:
    i64 => f32, f64;
    u64 => f32, f64;
);
float_to_integer!(
    f32 => u32, i32;
    f64 => u16, u32, i32;
);

/// The most common stored and written types of count matrices.
impl Narrow<u16> for f32 {
    fn narrow(self) -> (u16, bool) {
        // From 2^23 on, the last bit of a float32 stands for 1, so the low bits of the sum are the
        // whole number if it is below 2^16. Saturating casts have no vector instruction.
        const WHOLE: f32 = 8_388_608.0;
        let narrowed = (self + WHOLE).to_bits() as u16;
        (narrowed, f32::from(narrowed) == self)
    }
}

impl Narrow<f32> for f32 {
    fn narrow(self) -> (f32, bool) {
        (self, true)
    }
}

impl Narrow<f64> for f32 {
    fn narrow(self) -> (f64, bool) {
        (self.into(), true)
    }
}

impl Narrow<f32> for f64 {
    fn narrow(self) -> (f32, bool) {
        let narrowed = self as f32;
        (narrowed, f64::from(narrowed) == self || self.is_nan())
    }
}

impl Narrow<f64> for f64 {
    fn narrow(self) -> (f64, bool) {
        (self, true)
    }
}

impl<T> Narrow<T> for f16
where
    f32: Narrow<T>,
{
    fn narrow(self) -> (T, bool) {
        self.to_f32().narrow()
    }
}

/// Properties of the values seen during conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenValues {
    /// Whether every value is unchanged.
    pub exact: bool,
    /// Whether any value is zero.
    pub zeros: bool,
}

/// Converts values and appends them to `to`.
pub(super) fn narrow_values<S, T>(values: &[S], to: &mut Vec<T>) -> SeenValues
where
    S: Narrow<T>,
    T: Copy + PartialEq + bytemuck::Zeroable,
{
    let zero = T::zeroed();
    let (mut exact, mut zeros) = (true, false);
    to.extend(values.iter().map(|value| {
        let (value, same) = value.narrow();
        exact &= same;
        zeros |= value == zero;
        value
    }));
    SeenValues { exact, zeros }
}

/// Converts the positions of genes to identifiers and appends them to `to`. Returns whether every
/// gene exists.
pub(super) fn narrow_genes<S, T>(genes: &[S], count: u64, to: &mut Vec<T>) -> bool
where
    S: Narrow<T> + PartialOrd + TryFrom<u64> + bytemuck::Zeroable,
{
    let mut in_range = genes.is_empty() || count > 0;
    let zero = S::zeroed();
    // If the stored type cannot hold the number of genes, it needs no upper bound.
    match S::try_from(count.saturating_sub(1)) {
        Ok(last) => to.extend(genes.iter().map(|&gene| {
            in_range &= (gene >= zero) & (gene <= last);
            gene.narrow().0
        })),
        Err(_) => to.extend(genes.iter().map(|&gene| {
            in_range &= gene >= zero;
            gene.narrow().0
        })),
    }
    in_range
}

/// Whether the numbers are strictly ascending.
pub(super) fn ascend<T: PartialOrd>(numbers: &[T]) -> bool {
    let pairs = numbers.iter().zip(numbers.iter().skip(1));
    pairs.fold(true, |ok, (a, b)| ok & (a < b))
}

/// Type of a column of the expression table, to which stored numbers are converted.
pub(super) trait Column: Copy + PartialOrd + Into<f64> + bytemuck::Zeroable {
    /// See [`narrow_values`].
    fn values(numbers: &TypedVec, range: Range<usize>, to: &mut Vec<Self>) -> SeenValues;

    /// Number of values that are not whole numbers, not counting infinities and NaN.
    fn fractions(values: &[Self]) -> u64;
}

/// Type of an identifier column.
pub(super) trait IdColumn: Column + TryInto<usize> {
    /// See [`narrow_genes`]; non-integers are not valid genes.
    fn genes(numbers: &TypedVec, range: Range<usize>, count: u64, to: &mut Vec<Self>) -> bool;
}

macro_rules! column {
    ($($type:ty: $fractions:expr),*) => {$(
        impl Column for $type {
            fn values(numbers: &TypedVec, range: Range<usize>, to: &mut Vec<Self>) -> SeenValues {
                crate::with_numbers!(numbers, values => narrow_values(&values[range], to))
            }

            fn fractions(values: &[Self]) -> u64 {
                let fractions: fn(&[$type]) -> u64 = $fractions;
                fractions(values)
            }
        }
    )*};
}

macro_rules! fractions {
    ($float:ty, $whole:expr) => {
        |values| {
            // From this number on, the last bit stands for 1, so that a sum is rounded to a whole
            // number. Not every target has a vector instruction for rounding.
            const WHOLE: $float = $whole;
            let fractions = values.iter().map(|value| {
                let magnitude = value.abs();
                let rounded = (magnitude + WHOLE) - WHOLE;
                u32::from((magnitude < WHOLE) & (rounded != magnitude))
            });
            u64::from(fractions.sum::<u32>())
        }
    };
}

macro_rules! id_column {
    ($($type:ty),*) => {$(
        impl IdColumn for $type {
            fn genes(numbers: &TypedVec, range: Range<usize>, count: u64, to: &mut Vec<Self>) -> bool {
                match numbers {
                    TypedVec::Int8(genes) => narrow_genes(&genes[range], count, to),
                    TypedVec::Int16(genes) => narrow_genes(&genes[range], count, to),
                    TypedVec::Int32(genes) => narrow_genes(&genes[range], count, to),
                    TypedVec::Int64(genes) => narrow_genes(&genes[range], count, to),
                    TypedVec::UInt8(genes) => narrow_genes(&genes[range], count, to),
                    TypedVec::UInt16(genes) => narrow_genes(&genes[range], count, to),
                    TypedVec::UInt32(genes) => narrow_genes(&genes[range], count, to),
                    TypedVec::UInt64(genes) => narrow_genes(&genes[range], count, to),
                    TypedVec::Bool(_)
                    | TypedVec::Float16(_)
                    | TypedVec::Float32(_)
                    | TypedVec::Float64(_) => false,
                }
            }
        }
    )*};
}

column!(
    u16: |_| 0,
    u32: |_| 0,
    i32: |_| 0,
    f32: fractions!(f32, 8_388_608.0),
    f64: fractions!(f64, 4_503_599_627_370_496.0)
);
id_column!(u16, u32, i32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::{ValueType, ValueTypes};
    use proptest::prelude::*;

    /// Narrowing reports a value as exact if and only if the survey's slower rule does.
    fn agrees<S>(value: S, numbers: TypedVec)
    where
        S: Copy + Narrow<u16> + Narrow<u32> + Narrow<i32> + Narrow<f32> + Narrow<f64>,
    {
        let exact = ValueTypes::exact_for(&numbers);
        let says = [
            (ValueType::UInt16, Narrow::<u16>::narrow(value).1),
            (ValueType::UInt32, Narrow::<u32>::narrow(value).1),
            (ValueType::Int32, Narrow::<i32>::narrow(value).1),
            (ValueType::Float32, Narrow::<f32>::narrow(value).1),
            (ValueType::Float64, Narrow::<f64>::narrow(value).1),
        ];
        for (value_type, same) in says {
            assert_eq!(
                exact.contains(value_type),
                same,
                "{numbers:?} as {value_type}"
            );
        }
    }

    proptest! {
        #[test]
        fn integers_agree_with_the_survey(value: i64, shift in 0u32..64) {
            let value = value >> shift;
            agrees(value, TypedVec::Int64(vec![value]));
            agrees(value as u64, TypedVec::UInt64(vec![value as u64]));
            agrees(value as i32, TypedVec::Int32(vec![value as i32]));
            agrees(value as u32, TypedVec::UInt32(vec![value as u32]));
            agrees(value as i16, TypedVec::Int16(vec![value as i16]));
            agrees(value as u8, TypedVec::UInt8(vec![value as u8]));
        }

        #[test]
        fn floats_agree_with_the_survey(bits: u64, whole: i32, half in 0i32..2) {
            for value in [f64::from_bits(bits), f64::from(whole) + f64::from(half) / 2.0] {
                agrees(value, TypedVec::Float64(vec![value]));
                agrees(value as f32, TypedVec::Float32(vec![value as f32]));
                agrees(f16::from_f64(value), TypedVec::Float16(vec![f16::from_f64(value)]));
            }
        }
    }

    #[test]
    fn edges_agree_with_the_survey() {
        for value in [
            i64::MIN,
            i64::MAX,
            i64::MAX - 1023,
            1 << 53,
            (1 << 53) + 1,
            (1 << 24) + 1,
        ] {
            agrees(value, TypedVec::Int64(vec![value]));
        }
        for value in [u64::MAX, u64::MAX - 2047, 1 << 63] {
            agrees(value, TypedVec::UInt64(vec![value]));
        }
        for value in [
            f64::NAN,
            f64::INFINITY,
            -0.0,
            65535.0,
            65536.0,
            4294967295.0,
            4294967296.0,
        ] {
            agrees(value, TypedVec::Float64(vec![value]));
        }
    }

    #[test]
    fn every_whole_number_of_16_bits_is_narrowed() {
        for value in 0..=u16::MAX {
            assert_eq!(f32::from(value).narrow(), (value, true));
            assert!(!Narrow::<u16>::narrow(f32::from(value) + 65536.0).1);
            assert!(!Narrow::<u16>::narrow(-1.0 - f32::from(value)).1);
        }
        for value in [0.5f32, 0.25, 1e-40, 65535.5, 8_388_608.0, 1.6e7, 3e38] {
            assert!(!Narrow::<u16>::narrow(value).1, "{value}");
            assert!(!Narrow::<u16>::narrow(-value).1, "-{value}");
        }
    }

    #[test]
    fn fractions_are_counted() {
        let values = [0.5, -1.5, 1.0, -2.0, 8_388_607.5, 8_388_609.0, 1e30, 0.0];
        assert_eq!(f64::fractions(&values), 3);
        let values = values.map(|value: f64| value as f32);
        assert_eq!(f32::fractions(&values), 3);
        let none = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            4_503_599_627_370_497.0,
        ];
        assert_eq!(f64::fractions(&none), 0);
        assert_eq!(f64::fractions(&[4_503_599_627_370_495.5, 1e-300]), 2);
        assert_eq!(u16::fractions(&[1, 2]), 0);
    }

    #[test]
    fn genes_are_checked() {
        let mut ids: Vec<u16> = vec![7];
        assert!(narrow_genes(&[0i32, 2, 1], 3, &mut ids));
        assert_eq!(ids, [7, 0, 2, 1]);
        assert!(!narrow_genes(&[-1i32], 3, &mut ids));
        assert!(!narrow_genes(&[3i64], 3, &mut ids));
        assert!(!narrow_genes(&[0i32], 0, &mut ids));
        assert!(narrow_genes::<i32, u16>(&[], 0, &mut ids));
        // 300 genes: more than the stored type can number.
        assert!(narrow_genes(&[255u8], 300, &mut ids));
        let fractions = TypedVec::Float32(vec![1.0]);
        assert!(!u16::genes(&fractions, 0..1, 3, &mut ids));
    }

    #[test]
    fn order_is_strict() {
        assert!(ascend::<u8>(&[]) && ascend(&[1]) && ascend(&[1, 2, 9]));
        assert!(!ascend(&[1, 1]) && !ascend(&[1, 3, 2]));
    }
}
