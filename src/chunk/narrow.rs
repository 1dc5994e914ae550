//! Checked conversions of whole columns.
//!
//! Every loop here looks at each number once and only remembers whether any did not fit, so that
//! compilers turn it into vector code; who is told "no" looks for the culprit.

use half::f16;

/// Converts to another number type; the flag says whether the value is still the same.
pub(super) trait Narrow<T>: Copy {
    fn narrow(self) -> (T, bool);
}

macro_rules! integer_to_integer {
    ($($from:ty => $($to:ty),*;)*) => {$($(
        impl Narrow<$to> for $from {
            fn narrow(self) -> ($to, bool) {
                // Wide enough for both, so that nothing is lost in the comparison.
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
                // The float of a number at the edge of a type's range may be just past it: the way
                // back must lead to a wider type, where it is not clamped.
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
                // Casts clamp, and NaN becomes 0: both differ from the value.
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
    f32 => u16, u32, i32;
    f64 => u16, u32, i32;
);

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

/// A column converted, and what was seen on the way.
pub(super) struct Narrowed<T> {
    pub values: Vec<T>,
    /// Every value is still the same.
    pub exact: bool,
    /// Some value is zero.
    pub zeros: bool,
}

/// Converts a column of values.
pub(super) fn narrow_values<S, T>(values: &[S]) -> Narrowed<T>
where
    S: Narrow<T>,
    T: Copy + PartialEq + bytemuck::Zeroable,
{
    let zero = T::zeroed();
    let (mut exact, mut zeros) = (true, false);
    let narrowed = values
        .iter()
        .map(|value| {
            let (value, same) = value.narrow();
            exact &= same;
            zeros |= value == zero;
            value
        })
        .collect();
    Narrowed {
        values: narrowed,
        exact,
        zeros,
    }
}

/// Genes converted to their identifiers, and what was seen on the way.
pub(super) struct Genes<T> {
    pub ids: Vec<T>,
    /// Every gene exists.
    pub in_range: bool,
    /// Genes ascend strictly within every cell.
    pub ascending: bool,
}

/// Converts positions of genes, row by row of `indptr`.
pub(super) fn narrow_genes<S, T>(genes: &[S], indptr: &[usize], count: u64) -> Genes<T>
where
    S: Narrow<T> + PartialOrd + TryFrom<u64> + bytemuck::Zeroable,
{
    let mut in_range = genes.is_empty() || count > 0;
    // A count that the stored type cannot hold bounds nothing in it.
    let last = S::try_from(count.saturating_sub(1)).ok();
    let zero = S::zeroed();
    let ids = genes
        .iter()
        .map(|&gene| {
            in_range &= gene >= zero && last.is_none_or(|last| gene <= last);
            gene.narrow().0
        })
        .collect();
    let mut ascending = true;
    for row in indptr.windows(2) {
        let row = &genes[row[0]..row[1]];
        ascending &= row
            .iter()
            .zip(row.iter().skip(1))
            .fold(true, |ok, (a, b)| ok & (a < b));
    }
    Genes {
        ids,
        in_range,
        ascending,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Numbers;
    use crate::survey::{ValueType, ValueTypes};
    use proptest::prelude::*;

    /// Narrowing says "exact" for a value if and only if the survey's slower rule does.
    fn agrees<S: Copy>(value: S, numbers: Numbers)
    where
        S: Narrow<u16> + Narrow<u32> + Narrow<i32> + Narrow<f32> + Narrow<f64>,
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
            agrees(value, Numbers::Int64(vec![value]));
            agrees(value as u64, Numbers::UInt64(vec![value as u64]));
            agrees(value as i32, Numbers::Int32(vec![value as i32]));
            agrees(value as u32, Numbers::UInt32(vec![value as u32]));
            agrees(value as i16, Numbers::Int16(vec![value as i16]));
            agrees(value as u8, Numbers::UInt8(vec![value as u8]));
        }

        #[test]
        fn floats_agree_with_the_survey(bits: u64, whole: i32, half in 0i32..2) {
            for value in [f64::from_bits(bits), f64::from(whole) + f64::from(half) / 2.0] {
                agrees(value, Numbers::Float64(vec![value]));
                agrees(value as f32, Numbers::Float32(vec![value as f32]));
                agrees(f16::from_f64(value), Numbers::Float16(vec![f16::from_f64(value)]));
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
            agrees(value, Numbers::Int64(vec![value]));
        }
        for value in [u64::MAX, u64::MAX - 2047, 1 << 63] {
            agrees(value, Numbers::UInt64(vec![value]));
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
            agrees(value, Numbers::Float64(vec![value]));
        }
    }

    #[test]
    fn genes_are_checked() {
        let genes = narrow_genes::<i32, u16>(&[0, 2, 1], &[0, 2, 3], 3);
        assert!(genes.in_range && genes.ascending);
        assert_eq!(genes.ids, [0, 2, 1]);
        assert!(!narrow_genes::<i32, u16>(&[-1], &[0, 1], 3).in_range);
        assert!(!narrow_genes::<i64, u16>(&[3], &[0, 1], 3).in_range);
        assert!(!narrow_genes::<i32, u16>(&[0], &[0, 1], 0).in_range);
        assert!(!narrow_genes::<u8, u16>(&[1, 1], &[0, 2], 3).ascending);
        // 300 genes: the stored type holds fewer.
        assert!(narrow_genes::<u8, u16>(&[255], &[0, 1], 300).in_range);
    }
}
