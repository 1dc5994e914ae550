//! Numbers that somebody holds in memory, read without being copied first.

use std::ops::Range;
use std::sync::Arc;

use half::f16;
use xxhash_rust::xxh3::Xxh3;

use crate::source::{ScalarType, TypedVec};

/// A number type that buffers may be of.
pub trait Number: Copy + Send + Sync + bytemuck::NoUninit {
    /// Its type in an input.
    const TYPE: ScalarType;

    /// Copies of numbers.
    fn numbers(values: &[Self]) -> TypedVec;
}

macro_rules! numbers {
    ($($number:ty, $variant:ident;)*) => {
        $(impl Number for $number {
            const TYPE: ScalarType = ScalarType::$variant;

            fn numbers(values: &[Self]) -> TypedVec {
                TypedVec::$variant(values.to_vec())
            }
        })*
    };
}

numbers! {
    i8, Int8;
    i16, Int16;
    i32, Int32;
    i64, Int64;
    u8, UInt8;
    u16, UInt16;
    u32, UInt32;
    u64, UInt64;
    f16, Float16;
    f32, Float32;
    f64, Float64;
}

impl Number for bool {
    const TYPE: ScalarType = ScalarType::Bool;

    fn numbers(values: &[Self]) -> TypedVec {
        TypedVec::Bool(values.iter().map(|&value| u8::from(value)).collect())
    }
}

impl Number for usize {
    const TYPE: ScalarType = ScalarType::UInt64;

    fn numbers(values: &[Self]) -> TypedVec {
        TypedVec::UInt64(values.iter().map(|&value| value as u64).collect())
    }
}

/// Numbers of one type, shared with whoever else holds them. Nothing is copied to make one.
///
/// ```
/// use std::sync::Arc;
/// use slaf::source::memory::NumberBuffer;
///
/// let owned = NumberBuffer::from(vec![1.5f32, 2.0]);
/// let shared: Arc<[u16]> = Arc::from([1u16, 2, 3]);
/// let shared = NumberBuffer::shared(shared);
/// let still = NumberBuffer::shared(&[1i64, 2][..]);
/// assert_eq!([owned.len(), shared.len(), still.len()], [2, 3, 2]);
/// ```
#[derive(Clone)]
pub struct NumberBuffer(Arc<dyn Held>);

/// What a buffer can do, whatever its type.
trait Held: Send + Sync {
    fn len(&self) -> usize;
    fn number_type(&self) -> ScalarType;
    fn part(&self, range: Range<usize>) -> Option<TypedVec>;
    fn hash(&self, hasher: &mut Xxh3);
}

/// A holder of numbers.
struct Holder<T, H> {
    holder: H,
    of: std::marker::PhantomData<fn() -> T>,
}

impl<T: Number, H: AsRef<[T]> + Send + Sync> Held for Holder<T, H> {
    fn len(&self) -> usize {
        self.holder.as_ref().len()
    }

    fn number_type(&self) -> ScalarType {
        T::TYPE
    }

    fn part(&self, range: Range<usize>) -> Option<TypedVec> {
        self.holder.as_ref().get(range).map(T::numbers)
    }

    fn hash(&self, hasher: &mut Xxh3) {
        hasher.update(bytemuck::cast_slice(self.holder.as_ref()));
    }
}

impl NumberBuffer {
    /// Numbers that `holder` holds: a vector, an `Arc` of a slice, a mapped file, a borrowed slice that
    /// lives as long as the program.
    pub fn shared<T: Number + 'static>(holder: impl AsRef<[T]> + Send + Sync + 'static) -> Self {
        NumberBuffer(Arc::new(Holder {
            holder,
            of: std::marker::PhantomData,
        }))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their type.
    pub fn number_type(&self) -> ScalarType {
        self.0.number_type()
    }

    /// Copies of a range; `None` where there is no such range.
    pub(super) fn part(&self, range: Range<usize>) -> Option<TypedVec> {
        self.0.part(range)
    }

    pub(super) fn hash(&self, hasher: &mut Xxh3) {
        hasher.update(self.number_type().to_string().as_bytes());
        hasher.update(&(self.len() as u64).to_le_bytes());
        self.0.hash(hasher);
    }
}

impl std::fmt::Debug for NumberBuffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} × {}", self.len(), self.number_type())
    }
}

impl<T: Number + 'static> From<Vec<T>> for NumberBuffer {
    fn from(numbers: Vec<T>) -> Self {
        NumberBuffer::shared(numbers)
    }
}

impl From<TypedVec> for NumberBuffer {
    fn from(numbers: TypedVec) -> Self {
        match numbers {
            // Booleans are stored as bytes.
            TypedVec::Bool(bytes) => bytes
                .into_iter()
                .map(|byte| byte != 0)
                .collect::<Vec<bool>>()
                .into(),
            TypedVec::Int8(numbers) => numbers.into(),
            TypedVec::Int16(numbers) => numbers.into(),
            TypedVec::Int32(numbers) => numbers.into(),
            TypedVec::Int64(numbers) => numbers.into(),
            TypedVec::UInt8(numbers) => numbers.into(),
            TypedVec::UInt16(numbers) => numbers.into(),
            TypedVec::UInt32(numbers) => numbers.into(),
            TypedVec::UInt64(numbers) => numbers.into(),
            TypedVec::Float16(numbers) => numbers.into(),
            TypedVec::Float32(numbers) => numbers.into(),
            TypedVec::Float64(numbers) => numbers.into(),
        }
    }
}

impl<T: Number + 'static> From<Arc<[T]>> for NumberBuffer {
    fn from(numbers: Arc<[T]>) -> Self {
        NumberBuffer::shared(numbers)
    }
}
