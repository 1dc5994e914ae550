//! Numbers in another type, exactly.

use crate::source::{ScalarType, TypedVec};
use crate::with_numbers;

/// A number that can be told exactly: as an integer, or as a float.
trait Exact: Copy {
    /// The number as `f64`; `None` if that is not exact.
    fn float(self) -> Option<f64>;
    /// The number as an integer; `None` if it is none.
    fn integer(self) -> Option<i128>;
}

macro_rules! small_integers {
    ($($kind:ty),*) => { $(impl Exact for $kind {
        fn float(self) -> Option<f64> {
            Some(self.into())
        }
        fn integer(self) -> Option<i128> {
            Some(self.into())
        }
    })* };
}

macro_rules! large_integers {
    ($($kind:ty),*) => { $(impl Exact for $kind {
        fn float(self) -> Option<f64> {
            let float = self as f64;
            (float as i128 == i128::from(self)).then_some(float)
        }
        fn integer(self) -> Option<i128> {
            Some(self.into())
        }
    })* };
}

macro_rules! floats {
    ($($kind:ty),*) => { $(impl Exact for $kind {
        fn float(self) -> Option<f64> {
            Some(self.into())
        }
        fn integer(self) -> Option<i128> {
            let float = f64::from(self);
            // Beyond this, no integer type of 64 bits holds it.
            (float.fract() == 0.0 && float.abs() < 1e30).then_some(float as i128)
        }
    })* };
}

small_integers!(i8, i16, i32, u8, u16, u32);
large_integers!(i64, u64);
floats!(half::f16, f32, f64);

fn integers<S: Exact, T: TryFrom<i128>>(values: &[S]) -> Result<Vec<T>, usize> {
    let values = values.iter().enumerate();
    values
        .map(|(at, value)| value.integer().and_then(|v| T::try_from(v).ok()).ok_or(at))
        .collect()
}

fn doubles<S: Exact>(values: &[S]) -> Result<Vec<f64>, usize> {
    let values = values.iter().enumerate();
    values.map(|(at, value)| value.float().ok_or(at)).collect()
}

fn singles<S: Exact>(values: &[S]) -> Result<Vec<f32>, usize> {
    let single = |value: f64| {
        let single = value as f32;
        (f64::from(single) == value || value.is_nan()).then_some(single)
    };
    let values = values.iter().enumerate();
    values
        .map(|(at, value)| value.float().and_then(single).ok_or(at))
        .collect()
}

fn halves<S: Exact>(values: &[S]) -> Result<Vec<half::f16>, usize> {
    let half = |value: f64| {
        let half = half::f16::from_f64(value);
        (f64::from(half) == value || value.is_nan()).then_some(half)
    };
    let values = values.iter().enumerate();
    values
        .map(|(at, value)| value.float().and_then(half).ok_or(at))
        .collect()
}

fn bits<S: Exact>(values: &[S]) -> Result<Vec<u8>, usize> {
    let bit = |value: i128| u8::try_from(value).ok().filter(|&bit| bit < 2);
    let values = values.iter().enumerate();
    values
        .map(|(at, value)| value.integer().and_then(bit).ok_or(at))
        .collect()
}

/// Converts numbers to another type. On failure, returns the position of the first one that the type
/// does not hold exactly.
pub(super) fn exactly(numbers: &TypedVec, wanted: ScalarType) -> Result<TypedVec, usize> {
    if numbers.number_type() == wanted {
        return Ok(numbers.clone());
    }
    // What counts mostly are, and what they mostly were.
    if let (TypedVec::UInt16(values), ScalarType::Float32) = (numbers, wanted) {
        return Ok(TypedVec::Float32(
            values.iter().map(|&v| v.into()).collect(),
        ));
    }
    Ok(with_numbers!(numbers, v => match wanted {
        ScalarType::Bool => TypedVec::Bool(bits(v)?),
        ScalarType::Int8 => TypedVec::Int8(integers(v)?),
        ScalarType::Int16 => TypedVec::Int16(integers(v)?),
        ScalarType::Int32 => TypedVec::Int32(integers(v)?),
        ScalarType::Int64 => TypedVec::Int64(integers(v)?),
        ScalarType::UInt8 => TypedVec::UInt8(integers(v)?),
        ScalarType::UInt16 => TypedVec::UInt16(integers(v)?),
        ScalarType::UInt32 => TypedVec::UInt32(integers(v)?),
        ScalarType::UInt64 => TypedVec::UInt64(integers(v)?),
        ScalarType::Float16 => TypedVec::Float16(halves(v)?),
        ScalarType::Float32 => TypedVec::Float32(singles(v)?),
        ScalarType::Float64 => TypedVec::Float64(doubles(v)?),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rounded() {
        let of = |numbers: TypedVec, wanted| exactly(&numbers, wanted);
        use ScalarType as N;
        use TypedVec as V;
        assert_eq!(
            of(V::UInt16(vec![7]), N::Float32),
            Ok(V::Float32(vec![7.0]))
        );
        assert_eq!(of(V::UInt32(vec![1, u32::MAX]), N::Float32), Err(1));
        assert_eq!(
            of(V::UInt32(vec![1 << 24]), N::Float32),
            Ok(V::Float32(vec![16_777_216.0]))
        );
        assert_eq!(of(V::Float64(vec![0.5, 0.1]), N::Float32), Err(1));
        assert_eq!(of(V::Float64(vec![3.0, 3.5]), N::Int32), Err(1));
        assert_eq!(of(V::Float32(vec![300.0]), N::UInt8), Err(0));
        assert_eq!(of(V::UInt64(vec![u64::MAX]), N::Float64), Err(0));
        assert_eq!(of(V::Int64(vec![-1]), N::UInt64), Err(0));
        assert!(
            matches!(of(V::Float64(vec![f64::NAN]), N::Float32), Ok(V::Float32(v)) if v[0].is_nan())
        );
        assert_eq!(of(V::UInt8(vec![0, 1]), N::Bool), Ok(V::Bool(vec![0, 1])));
        assert_eq!(of(V::UInt8(vec![2]), N::Bool), Err(0));
    }
}
