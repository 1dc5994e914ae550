//! Matrices in memory.

use std::sync::Arc;

use sprs::{CsMatI, SpIndex};
use xxhash_rust::xxh3::Xxh3;

use super::buffer::{Number, NumberBuffer};
use super::compressed::Compressed;
use crate::source::{ErrorContext, Layout, SourceError};

/// A matrix whose numbers somebody holds: compressed sparse rows or columns, or all values.
///
/// Made of an `sprs` matrix, which is taken over without a copy, or of buffers:
///
/// ```
/// use std::sync::Arc;
/// use slaf::source::memory::MemoryMatrix;
/// use sprs::CsMat;
///
/// // Two rows, three columns: (0, 2) is 5, (1, 0) is 7.
/// let sparse = MemoryMatrix::csr([2, 3], vec![0i64, 1, 2], vec![2u16, 0], vec![5.0f32, 7.0]);
/// let dense = MemoryMatrix::dense([2, 3], vec![0u8, 0, 5, 7, 0, 0]);
/// let of_sprs = MemoryMatrix::from(CsMat::new((2, 3), vec![0, 1, 2], vec![2, 0], vec![5u32, 7]));
/// let shared = Arc::new(CsMat::<u32>::zero((2, 3)));
/// let shared = MemoryMatrix::shared(shared);
/// for matrix in [sparse, dense, of_sprs, shared] {
///     assert_eq!(matrix.shape(), [2, 3]);
/// }
/// ```
#[derive(Debug, Clone)]
pub struct MemoryMatrix {
    pub(super) shape: [usize; 2],
    pub(super) stored: Stored,
}

/// How a matrix is held.
#[derive(Debug, Clone)]
pub(super) enum Stored {
    Rows(Compressed),
    Columns(Compressed),
    /// Row after row.
    Dense(NumberBuffer),
}

impl MemoryMatrix {
    /// Compressed sparse rows: `indptr` has a number more than there are rows. Indices of a row need
    /// not be sorted; where a coordinate comes twice, its values are added up.
    pub fn csr(
        shape: [usize; 2],
        indptr: impl Into<NumberBuffer>,
        indices: impl Into<NumberBuffer>,
        data: impl Into<NumberBuffer>,
    ) -> Self {
        MemoryMatrix {
            shape,
            stored: Stored::Rows(Compressed {
                indptr: indptr.into(),
                indices: indices.into(),
                data: data.into(),
            }),
        }
    }

    /// Compressed sparse columns. They are transposed in a temporary file when they are read.
    pub fn csc(
        shape: [usize; 2],
        indptr: impl Into<NumberBuffer>,
        indices: impl Into<NumberBuffer>,
        data: impl Into<NumberBuffer>,
    ) -> Self {
        MemoryMatrix {
            shape,
            stored: Stored::Columns(Compressed {
                indptr: indptr.into(),
                indices: indices.into(),
                data: data.into(),
            }),
        }
    }

    /// All values, row after row.
    pub fn dense(shape: [usize; 2], data: impl Into<NumberBuffer>) -> Self {
        MemoryMatrix {
            shape,
            stored: Stored::Dense(data.into()),
        }
    }

    /// A matrix of `sprs` that others hold as well.
    pub fn shared<N, I, P>(matrix: Arc<CsMatI<N, I, P>>) -> Self
    where
        N: Number + 'static,
        I: Number + SpIndex + 'static,
        P: Number + SpIndex + 'static,
    {
        let (rows, columns) = matrix.shape();
        let compressed = Compressed {
            indptr: NumberBuffer::shared(Pointers(matrix.clone())),
            indices: NumberBuffer::shared(Indices(matrix.clone())),
            data: NumberBuffer::shared(Data(matrix.clone())),
        };
        MemoryMatrix {
            shape: [rows, columns],
            stored: if matrix.is_csr() {
                Stored::Rows(compressed)
            } else {
                Stored::Columns(compressed)
            },
        }
    }

    /// Rows and columns.
    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    pub(super) fn layout(&self) -> Layout {
        match &self.stored {
            Stored::Rows(_) => Layout::Csr,
            Stored::Columns(_) => Layout::Csc,
            Stored::Dense(_) => Layout::Dense,
        }
    }

    pub(super) fn data(&self) -> &NumberBuffer {
        match &self.stored {
            Stored::Rows(compressed) | Stored::Columns(compressed) => &compressed.data,
            Stored::Dense(data) => data,
        }
    }

    /// Stored entries; `None` for all values.
    pub(super) fn entries(&self) -> Option<u64> {
        match &self.stored {
            Stored::Rows(compressed) | Stored::Columns(compressed) => {
                Some(compressed.data.len() as u64)
            }
            Stored::Dense(_) => None,
        }
    }

    pub(super) fn hash(&self, hasher: &mut Xxh3) {
        match &self.stored {
            Stored::Rows(of) | Stored::Columns(of) => {
                for buffer in [&of.indptr, &of.indices, &of.data] {
                    buffer.hash(hasher);
                }
            }
            Stored::Dense(data) => data.hash(hasher),
        }
    }

    /// Checks that the buffers go together.
    pub(super) fn check(
        &self,
        place: &ErrorContext,
        expected: [u64; 2],
    ) -> Result<(), SourceError> {
        let shape = self.shape.map(|side| side as u64);
        if shape != expected {
            return Err(place.damaged(format!(
                "it is {} × {}, and {} × {} is needed",
                shape[0], shape[1], expected[0], expected[1]
            )));
        }
        match &self.stored {
            Stored::Rows(of) => of.check(place, self.shape[0]),
            Stored::Columns(of) => of.check(place, self.shape[1]),
            Stored::Dense(data) => match self.shape[0].checked_mul(self.shape[1]) {
                Some(length) if length == data.len() => Ok(()),
                _ => Err(place.damaged(format!(
                    "it has {} values, and its shape is {} × {}",
                    data.len(),
                    shape[0],
                    shape[1]
                ))),
            },
        }
    }
}

impl<N, I, P> From<CsMatI<N, I, P>> for MemoryMatrix
where
    N: Number + 'static,
    I: Number + SpIndex + 'static,
    P: Number + SpIndex + 'static,
{
    fn from(matrix: CsMatI<N, I, P>) -> Self {
        MemoryMatrix::shared(Arc::new(matrix))
    }
}

struct Pointers<N, I: SpIndex, P: SpIndex>(Arc<CsMatI<N, I, P>>);
struct Indices<N, I: SpIndex, P: SpIndex>(Arc<CsMatI<N, I, P>>);
struct Data<N, I: SpIndex, P: SpIndex>(Arc<CsMatI<N, I, P>>);

impl<N, I: SpIndex, P: SpIndex> AsRef<[P]> for Pointers<N, I, P> {
    fn as_ref(&self) -> &[P] {
        self.0.raw_pointers()
    }
}

impl<N, I: SpIndex, P: SpIndex> AsRef<[I]> for Indices<N, I, P> {
    fn as_ref(&self) -> &[I] {
        self.0.indices()
    }
}

impl<N, I: SpIndex, P: SpIndex> AsRef<[N]> for Data<N, I, P> {
    fn as_ref(&self) -> &[N] {
        self.0.data()
    }
}

/// The pointers of a matrix that owns them, which begin with zero.
trait RawPointers<P> {
    fn raw_pointers(&self) -> &[P];
}

impl<N, I: SpIndex, P: SpIndex> RawPointers<P> for CsMatI<N, I, P> {
    fn raw_pointers(&self) -> &[P] {
        match self.proper_indptr() {
            std::borrow::Cow::Borrowed(pointers) => pointers,
            // Only a part of another matrix has pointers of its own, and no part owns them.
            std::borrow::Cow::Owned(_) => &[],
        }
    }
}
