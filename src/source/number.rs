//! Numbers in the type in which an input stores them.

use std::ops::Range;

use half::f16;

use super::ScalarType;

/// A column of numbers in the type of the input, in native byte order.
#[derive(Debug, Clone, PartialEq)]
pub enum TypedVec {
    /// Booleans as bytes 0 and 1.
    Bool(Vec<u8>),
    /// Signed 8-bit integers.
    Int8(Vec<i8>),
    /// Signed 16-bit integers.
    Int16(Vec<i16>),
    /// Signed 32-bit integers.
    Int32(Vec<i32>),
    /// Signed 64-bit integers.
    Int64(Vec<i64>),
    /// Unsigned 8-bit integers.
    UInt8(Vec<u8>),
    /// Unsigned 16-bit integers.
    UInt16(Vec<u16>),
    /// Unsigned 32-bit integers.
    UInt32(Vec<u32>),
    /// Unsigned 64-bit integers.
    UInt64(Vec<u64>),
    /// 16-bit floats.
    Float16(Vec<f16>),
    /// 32-bit floats.
    Float32(Vec<f32>),
    /// 64-bit floats.
    Float64(Vec<f64>),
}

/// Evaluates one expression for whichever type a [`TypedVec`] holds: `with_numbers!(numbers, v =>
/// v.len())`.
#[macro_export]
#[doc(hidden)]
macro_rules! with_numbers {
    ($numbers:expr, $v:ident => $body:expr) => {
        match $numbers {
            $crate::source::TypedVec::Bool($v) => $body,
            $crate::source::TypedVec::Int8($v) => $body,
            $crate::source::TypedVec::Int16($v) => $body,
            $crate::source::TypedVec::Int32($v) => $body,
            $crate::source::TypedVec::Int64($v) => $body,
            $crate::source::TypedVec::UInt8($v) => $body,
            $crate::source::TypedVec::UInt16($v) => $body,
            $crate::source::TypedVec::UInt32($v) => $body,
            $crate::source::TypedVec::UInt64($v) => $body,
            $crate::source::TypedVec::Float16($v) => $body,
            $crate::source::TypedVec::Float32($v) => $body,
            $crate::source::TypedVec::Float64($v) => $body,
        }
    };
}

/// Evaluates one expression for whichever integers, or booleans, a [`TypedVec`] holds, and another
/// one for floats.
macro_rules! with_integers {
    ($numbers:expr, $v:ident => $body:expr, else => $floats:expr) => {
        match $numbers {
            $crate::source::TypedVec::Bool($v) => $body,
            $crate::source::TypedVec::Int8($v) => $body,
            $crate::source::TypedVec::Int16($v) => $body,
            $crate::source::TypedVec::Int32($v) => $body,
            $crate::source::TypedVec::Int64($v) => $body,
            $crate::source::TypedVec::UInt8($v) => $body,
            $crate::source::TypedVec::UInt16($v) => $body,
            $crate::source::TypedVec::UInt32($v) => $body,
            $crate::source::TypedVec::UInt64($v) => $body,
            $crate::source::TypedVec::Float16(_)
            | $crate::source::TypedVec::Float32(_)
            | $crate::source::TypedVec::Float64(_) => $floats,
        }
    };
}
pub(crate) use with_integers;

/// Makes numbers of others, in the type that these have.
macro_rules! same_type {
    ($numbers:expr, $v:ident => $made:expr) => {
        match $numbers {
            TypedVec::Bool($v) => TypedVec::Bool($made),
            TypedVec::Int8($v) => TypedVec::Int8($made),
            TypedVec::Int16($v) => TypedVec::Int16($made),
            TypedVec::Int32($v) => TypedVec::Int32($made),
            TypedVec::Int64($v) => TypedVec::Int64($made),
            TypedVec::UInt8($v) => TypedVec::UInt8($made),
            TypedVec::UInt16($v) => TypedVec::UInt16($made),
            TypedVec::UInt32($v) => TypedVec::UInt32($made),
            TypedVec::UInt64($v) => TypedVec::UInt64($made),
            TypedVec::Float16($v) => TypedVec::Float16($made),
            TypedVec::Float32($v) => TypedVec::Float32($made),
            TypedVec::Float64($v) => TypedVec::Float64($made),
        }
    };
}

/// Builds numbers of a type known only at run time; returns `None` if `$made` does.
macro_rules! numbers_of {
    ($number_type:expr, $made:expr) => {
        Some(match $number_type {
            ScalarType::Bool => TypedVec::Bool($made?),
            ScalarType::Int8 => TypedVec::Int8($made?),
            ScalarType::Int16 => TypedVec::Int16($made?),
            ScalarType::Int32 => TypedVec::Int32($made?),
            ScalarType::Int64 => TypedVec::Int64($made?),
            ScalarType::UInt8 => TypedVec::UInt8($made?),
            ScalarType::UInt16 => TypedVec::UInt16($made?),
            ScalarType::UInt32 => TypedVec::UInt32($made?),
            ScalarType::UInt64 => TypedVec::UInt64($made?),
            ScalarType::Float16 => TypedVec::Float16($made?),
            ScalarType::Float32 => TypedVec::Float32($made?),
            ScalarType::Float64 => TypedVec::Float64($made?),
        })
    };
}

/// Allocates an empty vector for `len` values; `None` on failure, because an absurd length from a
/// damaged file must result in an error, not an abort.
fn with_room<T>(len: usize) -> Option<Vec<T>> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(len).ok()?;
    Some(vector)
}

/// Returns the values in another order: each at the position given for it.
pub(crate) fn scattered<T: Copy + bytemuck::Zeroable>(from: &[T], positions: &[u32]) -> Vec<T> {
    let mut to = vec![T::zeroed(); from.len()];
    for (value, &position) in from.iter().zip(positions) {
        to[position as usize] = *value;
    }
    to
}

fn zeros<T: bytemuck::Zeroable + Clone>(len: usize) -> Option<Vec<T>> {
    let mut vector = with_room(len)?;
    vector.resize(len, T::zeroed());
    Some(vector)
}

fn copied<T: bytemuck::Pod>(bytes: &[u8]) -> Option<Vec<T>> {
    let numbers = bytes.chunks_exact(size_of::<T>());
    let mut vector = with_room(numbers.len())?;
    vector.extend(numbers.map(bytemuck::pod_read_unaligned::<T>));
    Some(vector)
}

impl TypedVec {
    /// Returns `len` zeros, or `None` if the memory cannot be allocated.
    pub fn zeroed(number_type: ScalarType, len: usize) -> Option<Self> {
        numbers_of!(number_type, zeros(len))
    }

    /// Interprets bytes in native order as numbers; `None` if the memory cannot be allocated.
    /// Trailing bytes that do not form a complete number are ignored.
    pub fn of_bytes(number_type: ScalarType, bytes: &[u8]) -> Option<Self> {
        numbers_of!(number_type, copied(bytes))
    }

    /// Type of these numbers.
    pub fn number_type(&self) -> ScalarType {
        match self {
            TypedVec::Bool(_) => ScalarType::Bool,
            TypedVec::Int8(_) => ScalarType::Int8,
            TypedVec::Int16(_) => ScalarType::Int16,
            TypedVec::Int32(_) => ScalarType::Int32,
            TypedVec::Int64(_) => ScalarType::Int64,
            TypedVec::UInt8(_) => ScalarType::UInt8,
            TypedVec::UInt16(_) => ScalarType::UInt16,
            TypedVec::UInt32(_) => ScalarType::UInt32,
            TypedVec::UInt64(_) => ScalarType::UInt64,
            TypedVec::Float16(_) => ScalarType::Float16,
            TypedVec::Float32(_) => ScalarType::Float32,
            TypedVec::Float64(_) => ScalarType::Float64,
        }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        with_numbers!(self, v => v.len())
    }

    /// Whether there are no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the numbers at these positions.
    ///
    /// # Panics
    /// If a position is out of bounds.
    pub fn picked(&self, positions: &[usize]) -> Self {
        fn pick<T: Copy>(values: &[T], positions: &[usize]) -> Vec<T> {
            positions.iter().map(|&position| values[position]).collect()
        }
        same_type!(self, v => pick(v, positions))
    }

    /// Returns the numbers of these ranges, one range after the other.
    ///
    /// # Panics
    /// If a range is out of bounds.
    pub fn picked_ranges(&self, ranges: &[Range<usize>]) -> Self {
        fn pick<T: Copy>(values: &[T], ranges: &[Range<usize>]) -> Vec<T> {
            let mut picked = Vec::with_capacity(ranges.iter().map(Range::len).sum());
            for range in ranges {
                picked.extend_from_slice(&values[range.clone()]);
            }
            picked
        }
        same_type!(self, v => pick(v, ranges))
    }

    /// Returns the numbers in another order: each at the position given for it.
    ///
    /// # Panics
    /// If a position is out of bounds.
    pub(crate) fn scattered(&self, positions: &[u32]) -> Self {
        same_type!(self, v => scattered(v, positions))
    }

    /// Appends numbers of the same type.
    ///
    /// # Panics
    /// If the types differ.
    pub fn append(&mut self, other: Self) {
        match (self, other) {
            (TypedVec::Bool(v), TypedVec::Bool(w)) => v.extend(w),
            (TypedVec::Int8(v), TypedVec::Int8(w)) => v.extend(w),
            (TypedVec::Int16(v), TypedVec::Int16(w)) => v.extend(w),
            (TypedVec::Int32(v), TypedVec::Int32(w)) => v.extend(w),
            (TypedVec::Int64(v), TypedVec::Int64(w)) => v.extend(w),
            (TypedVec::UInt8(v), TypedVec::UInt8(w)) => v.extend(w),
            (TypedVec::UInt16(v), TypedVec::UInt16(w)) => v.extend(w),
            (TypedVec::UInt32(v), TypedVec::UInt32(w)) => v.extend(w),
            (TypedVec::UInt64(v), TypedVec::UInt64(w)) => v.extend(w),
            (TypedVec::Float16(v), TypedVec::Float16(w)) => v.extend(w),
            (TypedVec::Float32(v), TypedVec::Float32(w)) => v.extend(w),
            (TypedVec::Float64(v), TypedVec::Float64(w)) => v.extend(w),
            (these, those) => panic!(
                "{} numbers after {} numbers",
                those.number_type(),
                these.number_type()
            ),
        }
    }

    /// The bytes of the numbers, for a reader to fill.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        with_numbers!(self, v => bytemuck::cast_slice_mut(v))
    }

    /// Converts numbers from the opposite to the native byte order.
    pub fn swap_bytes(&mut self) {
        let size = self.number_type().size();
        let bytes = self.as_bytes_mut();
        match size {
            2 => bytes.chunks_exact_mut(2).for_each(<[u8]>::reverse),
            4 => bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse),
            8 => bytes.chunks_exact_mut(8).for_each(<[u8]>::reverse),
            _ => {}
        }
    }

    /// Converts the numbers to `i64`. On failure, returns the position of the first one that is not
    /// an integer in the range of `i64`.
    pub fn to_i64(&self) -> Result<Vec<i64>, usize> {
        fn all<T: Copy>(v: &[T], convert: impl Fn(T) -> Option<i64>) -> Result<Vec<i64>, usize> {
            v.iter()
                .enumerate()
                .map(|(i, &x)| convert(x).ok_or(i))
                .collect()
        }
        match self {
            TypedVec::Bool(v) | TypedVec::UInt8(v) => all(v, |x| Some(x.into())),
            TypedVec::Int8(v) => all(v, |x| Some(x.into())),
            TypedVec::Int16(v) => all(v, |x| Some(x.into())),
            TypedVec::Int32(v) => all(v, |x| Some(x.into())),
            TypedVec::Int64(v) => Ok(v.clone()),
            TypedVec::UInt16(v) => all(v, |x| Some(x.into())),
            TypedVec::UInt32(v) => all(v, |x| Some(x.into())),
            TypedVec::UInt64(v) => all(v, |x| i64::try_from(x).ok()),
            TypedVec::Float16(_) | TypedVec::Float32(_) | TypedVec::Float64(_) => {
                if self.is_empty() {
                    Ok(Vec::new())
                } else {
                    Err(0)
                }
            }
        }
    }
}

impl TypedVec {
    /// Converts the numbers to `f64`. On failure, returns the position of the first one that `f64`
    /// cannot represent exactly.
    pub fn to_f64(&self) -> Result<Vec<f64>, usize> {
        fn all<T: Copy>(v: &[T], convert: impl Fn(T) -> (f64, bool)) -> Result<Vec<f64>, usize> {
            v.iter()
                .enumerate()
                .map(|(i, &x)| match convert(x) {
                    (value, true) => Ok(value),
                    (_, false) => Err(i),
                })
                .collect()
        }
        match self {
            TypedVec::Bool(v) | TypedVec::UInt8(v) => all(v, |x| (x.into(), true)),
            TypedVec::Int8(v) => all(v, |x| (x.into(), true)),
            TypedVec::Int16(v) => all(v, |x| (x.into(), true)),
            TypedVec::Int32(v) => all(v, |x| (x.into(), true)),
            TypedVec::UInt16(v) => all(v, |x| (x.into(), true)),
            TypedVec::UInt32(v) => all(v, |x| (x.into(), true)),
            // Convert back through a wider integer type, which does not clamp.
            TypedVec::Int64(v) => all(v, |x| (x as f64, x as f64 as i128 == i128::from(x))),
            TypedVec::UInt64(v) => all(v, |x| (x as f64, x as f64 as i128 == i128::from(x))),
            TypedVec::Float16(v) => all(v, |x| (x.into(), true)),
            TypedVec::Float32(v) => all(v, |x| (x.into(), true)),
            TypedVec::Float64(v) => Ok(v.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swaps_the_byte_order() {
        let mut numbers = TypedVec::UInt32(vec![1, 0x0102_0304]);
        numbers.swap_bytes();
        assert_eq!(numbers, TypedVec::UInt32(vec![0x0100_0000, 0x0403_0201]));
        let odd = TypedVec::of_bytes(ScalarType::UInt16, &[0, 1, 0, 2, 3]);
        let mut odd = odd.unwrap();
        odd.swap_bytes();
        assert_eq!(odd, TypedVec::UInt16(vec![1, 2]));
        let mut bytes = TypedVec::UInt8(vec![1, 2]);
        bytes.swap_bytes();
        assert_eq!(bytes, TypedVec::UInt8(vec![1, 2]));
    }

    #[test]
    fn whole_numbers_are_checked() {
        assert_eq!(TypedVec::Int8(vec![-1, 5]).to_i64(), Ok(vec![-1, 5]));
        assert_eq!(TypedVec::UInt64(vec![1, u64::MAX]).to_i64(), Err(1));
        assert_eq!(TypedVec::Float32(vec![1.0]).to_i64(), Err(0));
    }

    #[test]
    fn floats_are_checked() {
        assert_eq!(
            TypedVec::Int64(vec![1 << 53]).to_f64(),
            Ok(vec![9007199254740992.0])
        );
        assert_eq!(TypedVec::Int64(vec![0, (1 << 53) + 1]).to_f64(), Err(1));
        assert_eq!(TypedVec::UInt64(vec![u64::MAX]).to_f64(), Err(0));
    }

    #[test]
    fn an_absurd_length_is_no_abort() {
        assert!(TypedVec::zeroed(ScalarType::Float64, usize::MAX / 16).is_none());
    }
}
