//! Value types, and which of them hold a value exactly.

use half::f16;
use serde::{Deserialize, Serialize};

use crate::source::{TypedVec, scalar_subset};
use crate::with_numbers;

scalar_subset! {
    /// Type of the value column.
    pub enum ValueType {
        /// 16-bit unsigned integers.
        UInt16,
        /// 32-bit unsigned integers.
        UInt32,
        /// 32-bit signed integers.
        Int32,
        /// Single-precision floats.
        Float32,
        /// Double-precision floats.
        Float64,
    }
}

impl ValueType {
    /// Whether the type holds every value of another exactly.
    pub fn holds(self, other: ValueType) -> bool {
        use ValueType::{Float32, Float64, Int32, UInt16, UInt32};
        match self {
            UInt16 => other == UInt16,
            UInt32 => matches!(other, UInt16 | UInt32),
            Int32 => matches!(other, UInt16 | Int32),
            Float32 => matches!(other, UInt16 | Float32),
            Float64 => true,
        }
    }

    fn bit(self) -> u8 {
        match self {
            ValueType::UInt16 => 1,
            ValueType::UInt32 => 2,
            ValueType::Int32 => 4,
            ValueType::Float32 => 8,
            ValueType::Float64 => 16,
        }
    }
}

/// A set of value types.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<ValueType>", into = "Vec<ValueType>")]
pub struct ValueTypes(u8);

impl ValueTypes {
    /// Every type.
    pub fn all() -> Self {
        ValueType::ALL.iter().copied().collect()
    }

    /// Whether the set contains a type.
    pub fn contains(self, value_type: ValueType) -> bool {
        self.0 & value_type.bit() != 0
    }

    /// Returns the types that hold all of these numbers exactly.
    pub fn exact_for(numbers: &TypedVec) -> Self {
        fn exact<T: Exact>(values: &[T]) -> ValueTypes {
            let all = ValueType::ALL.iter().copied();
            all.filter(|&value_type| values.iter().all(|&value| value.is_exact_in(value_type)))
                .collect()
        }
        with_numbers!(numbers, values => exact(values))
    }
}

/// Returns the position and text of the first number that a type does not hold exactly.
pub(crate) fn first_misfit(numbers: &TypedVec, value_type: ValueType) -> Option<(usize, String)> {
    fn first<T: Exact + std::fmt::Display>(
        values: &[T],
        value_type: ValueType,
    ) -> Option<(usize, String)> {
        let position = values
            .iter()
            .position(|value| !value.is_exact_in(value_type))?;
        Some((position, values[position].to_string()))
    }
    with_numbers!(numbers, values => first(values, value_type))
}

impl std::ops::BitAnd for ValueTypes {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        ValueTypes(self.0 & other.0)
    }
}

impl FromIterator<ValueType> for ValueTypes {
    fn from_iter<I: IntoIterator<Item = ValueType>>(types: I) -> Self {
        ValueTypes(
            types
                .into_iter()
                .fold(0, |bits, value_type| bits | value_type.bit()),
        )
    }
}

impl From<Vec<ValueType>> for ValueTypes {
    fn from(types: Vec<ValueType>) -> Self {
        types.into_iter().collect()
    }
}

impl From<ValueTypes> for Vec<ValueType> {
    fn from(types: ValueTypes) -> Self {
        let all = ValueType::ALL.iter().copied();
        all.filter(|&value_type| types.contains(value_type))
            .collect()
    }
}

impl std::fmt::Debug for ValueTypes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(Vec::from(*self)).finish()
    }
}

/// A stored number that can determine which types hold it exactly. NaN and infinities are exact in
/// both float types and in no other.
pub(crate) trait Exact: Copy {
    fn is_exact_in(self, value_type: ValueType) -> bool;
}

/// Largest absolute value up to which every whole number is exact.
const FLOAT32_WHOLE: u64 = 1 << 24;
const FLOAT64_WHOLE: u64 = 1 << 53;

/// Whether a whole number has no more significant bits than a float type.
fn whole_is_exact(magnitude: u64, bits: u64) -> bool {
    magnitude <= bits || magnitude >> magnitude.trailing_zeros() <= bits
}

macro_rules! exact_integer {
    ($($type:ty),*) => {$(
        impl Exact for $type {
            fn is_exact_in(self, value_type: ValueType) -> bool {
                #[allow(unused_comparisons, clippy::cast_lossless)]
                let magnitude = if self < 0 { (self as i64).unsigned_abs() } else { self as u64 };
                match value_type {
                    ValueType::UInt16 => u16::try_from(self).is_ok(),
                    ValueType::UInt32 => u32::try_from(self).is_ok(),
                    ValueType::Int32 => i32::try_from(self).is_ok(),
                    ValueType::Float32 => whole_is_exact(magnitude, FLOAT32_WHOLE),
                    ValueType::Float64 => whole_is_exact(magnitude, FLOAT64_WHOLE),
                }
            }
        }
    )*};
}

exact_integer!(i8, i16, i32, i64, u8, u16, u32, u64);

macro_rules! exact_float {
    ($($type:ty),*) => {$(
        impl Exact for $type {
            fn is_exact_in(self, value_type: ValueType) -> bool {
                // Every stored float is exact in f64, and casts to integers saturate.
                let value = f64::from(self);
                match value_type {
                    ValueType::UInt16 => f64::from(value as u16) == value,
                    ValueType::UInt32 => f64::from(value as u32) == value,
                    ValueType::Int32 => f64::from(value as i32) == value,
                    ValueType::Float32 => f64::from(value as f32) == value || value.is_nan(),
                    ValueType::Float64 => true,
                }
            }
        }
    )*};
}

exact_float!(f16, f32, f64);

#[cfg(test)]
mod tests {
    use super::ValueType::*;
    use super::*;

    fn exact(numbers: TypedVec) -> Vec<ValueType> {
        ValueTypes::exact_for(&numbers).into()
    }

    #[test]
    fn whole_numbers_at_the_edges() {
        assert_eq!(
            exact(TypedVec::Int64(vec![65535])),
            [UInt16, UInt32, Int32, Float32, Float64]
        );
        assert_eq!(
            exact(TypedVec::Int64(vec![65536])),
            [UInt32, Int32, Float32, Float64]
        );
        assert_eq!(exact(TypedVec::Int64(vec![-1])), [Int32, Float32, Float64]);
        assert_eq!(
            exact(TypedVec::Int64(vec![(1 << 24) + 1])),
            [UInt32, Int32, Float64]
        );
        assert_eq!(exact(TypedVec::UInt32(vec![u32::MAX])), [UInt32, Float64]);
        assert_eq!(exact(TypedVec::Int64(vec![(1 << 53) + 1])), []);
        assert_eq!(exact(TypedVec::Int64(vec![1 << 54])), [Float32, Float64]);
        assert_eq!(exact(TypedVec::Int64(vec![i64::MAX])), []);
        assert_eq!(exact(TypedVec::Int64(vec![i64::MIN])), [Float32, Float64]);
        assert_eq!(exact(TypedVec::UInt64(vec![u64::MAX])), []);
    }

    #[test]
    fn floats() {
        assert_eq!(
            exact(TypedVec::Float64(vec![3.0])),
            [UInt16, UInt32, Int32, Float32, Float64]
        );
        assert_eq!(exact(TypedVec::Float64(vec![0.5])), [Float32, Float64]);
        assert_eq!(exact(TypedVec::Float64(vec![0.1])), [Float64]);
        assert_eq!(exact(TypedVec::Float64(vec![1e300])), [Float64]);
        assert_eq!(exact(TypedVec::Float32(vec![f32::NAN])), [Float32, Float64]);
        assert_eq!(
            exact(TypedVec::Float64(vec![f64::INFINITY])),
            [Float32, Float64]
        );
        assert_eq!(exact(TypedVec::Float64(vec![])), ValueType::ALL);
    }
}
