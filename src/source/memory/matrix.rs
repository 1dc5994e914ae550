//! Matrices in memory.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use sprs::{CsMatI, SpIndex};
use xxhash_rust::xxh3::Xxh3;

use super::buffer::{Number, NumberBuffer};
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::transpose::{Entries, ExternalTranspose, TransposeOptions, Transposed};
use crate::source::{
    ChunkBudget, Chunks, CsrChunk, ErrorContext, Layout, Matrix, PendingChunk, SampledRows,
    SourceError, TypedVec,
};
use crate::with_numbers;

/// Values are sampled at so many places, so many at each.
const PLACES: usize = 32;
const SAMPLED: usize = 1 << 12;

/// Pointers that are looked at at once.
const POINTERS: usize = 1 << 16;

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
    shape: [usize; 2],
    stored: Stored,
}

#[derive(Debug, Clone)]
enum Stored {
    Rows(Compressed),
    Columns(Compressed),
    /// Row after row.
    Dense(NumberBuffer),
}

#[derive(Debug, Clone)]
struct Compressed {
    indptr: NumberBuffer,
    indices: NumberBuffer,
    data: NumberBuffer,
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

impl Compressed {
    fn check(&self, place: &ErrorContext, majors: usize) -> Result<(), SourceError> {
        let (pointers, indices, data) = (self.indptr.len(), self.indices.len(), self.data.len());
        if majors.checked_add(1) != Some(pointers) {
            return Err(place.damaged(format!(
                "its indptr has {pointers} numbers, and {majors} + 1 are needed"
            )));
        }
        if indices != data {
            return Err(place.damaged(format!("it has {indices} indices and {data} values")));
        }
        let mut last = 0i64;
        for start in (0..pointers).step_by(POINTERS) {
            let block = self.pointers(place, start..(start + POINTERS).min(pointers))?;
            let begins = start > 0 || block.first() == Some(&0);
            if !begins || block.first() < Some(&last) || !block.is_sorted() {
                return Err(place.damaged("its indptr does not ascend from zero"));
            }
            last = block.last().copied().unwrap_or(last);
        }
        if usize::try_from(last) == Ok(data) {
            Ok(())
        } else {
            Err(place.damaged(format!(
                "its indptr ends with {last}, and it has {data} values"
            )))
        }
    }

    fn pointers(&self, place: &ErrorContext, range: Range<usize>) -> Result<Vec<i64>, SourceError> {
        let numbers = self.indptr.part(range);
        let numbers = numbers.and_then(|numbers| numbers.to_i64().ok());
        numbers.ok_or_else(|| place.damaged("its indptr is not of whole numbers"))
    }

    /// The pointers of some rows or columns, which were checked.
    fn offsets(&self, place: &ErrorContext, majors: Range<u64>) -> Result<Vec<u64>, SourceError> {
        let range = majors.start as usize..(majors.end as usize).saturating_add(1);
        let pointers = self.pointers(place, range)?;
        Ok(pointers.into_iter().map(|pointer| pointer as u64).collect())
    }

    fn entry_bytes(&self) -> u64 {
        let size = self.indices.number_type().size() + self.data.number_type().size();
        size as u64 + EXPANDED_BYTES
    }
}

/// A matrix as an input has it.
pub(super) struct OpenMatrix {
    pub matrix: MemoryMatrix,
    pub place: ErrorContext,
    pub options: TransposeOptions,
    pub transposed: Mutex<Option<Arc<Transposed>>>,
}

impl OpenMatrix {
    fn part(&self, buffer: &NumberBuffer, range: Range<u64>) -> Result<TypedVec, SourceError> {
        let part = buffer.part(range.start as usize..range.end as usize);
        part.ok_or_else(|| self.place.damaged("it has not the numbers that it had"))
    }

    fn rows(&self, of: &Compressed, rows: Range<u64>) -> Result<CsrChunk, SourceError> {
        let offsets = of.offsets(&self.place, rows.clone())?;
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        Ok(CsrChunk {
            rows,
            indptr: offsets
                .iter()
                .map(|&offset| (offset - first) as usize)
                .collect(),
            indices: self.part(&of.indices, first..last)?,
            data: self.part(&of.data, first..last)?,
            strays: 0,
        })
    }

    fn dense_rows(&self, data: &NumberBuffer, rows: Range<u64>) -> Result<CsrChunk, SourceError> {
        let width = self.matrix.shape[1];
        let range = rows.start * width as u64..rows.end * width as u64;
        let numbers = self.part(data, range)?;
        let mut indptr = vec![0];
        let mut indices: Vec<u32> = Vec::new();
        let mut kept = Vec::new();
        let some: Vec<bool> = with_numbers!(&numbers, values => {
            values.iter().map(|value| is_some(*value)).collect()
        });
        for row in 0..(rows.end - rows.start) as usize {
            for column in 0..width {
                if some[row * width + column] {
                    kept.push(row * width + column);
                    // Columns fit 32 bits: that was checked when the input was made.
                    indices.push(column as u32);
                }
            }
            indptr.push(kept.len());
        }
        Ok(CsrChunk {
            rows,
            indptr,
            indices: TypedVec::UInt32(indices),
            data: numbers.picked(&kept),
            strays: 0,
        })
    }

    /// The entries of some columns.
    fn columns(&self, of: &Compressed, columns: Range<u64>) -> Result<Entries, SourceError> {
        let offsets = of.offsets(&self.place, columns.clone())?;
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        let mut places = Vec::with_capacity((last - first) as usize);
        for (column, ends) in columns.zip(offsets.windows(2)) {
            places.extend(std::iter::repeat_n(
                column as u32,
                (ends[1] - ends[0]) as usize,
            ));
        }
        Ok(Entries {
            rows: self.part(&of.indices, first..last)?,
            columns: places,
            values: self.part(&of.data, first..last)?,
        })
    }

    fn transpose(
        &self,
        of: &Compressed,
        report: &(dyn Fn(u64) + Sync),
    ) -> Result<Arc<Transposed>, SourceError> {
        // Held while the matrix is transposed: who else wants it must wait.
        let held = self.transposed.lock();
        let mut held = held.unwrap_or_else(PoisonError::into_inner);
        if let Some(transposed) = &*held {
            return Ok(transposed.clone());
        }
        let width = self.matrix.shape[1] as u64;
        let external = ExternalTranspose::new(
            self.place.clone(),
            self.matrix.shape.map(|side| side as u64),
            of.data.len() as u64,
            of.data.number_type(),
            &self.options,
        )?;
        let most = external.block_entries();
        let mut next = 0;
        let pieces = std::iter::from_fn(|| {
            if next >= width {
                return None;
            }
            let start = next;
            let block = start..(start + POINTERS as u64).min(width);
            let offsets = match of.offsets(&self.place, block) {
                Ok(offsets) => offsets,
                Err(error) => {
                    next = width;
                    return Some(Err(error));
                }
            };
            let fits = |end: &usize| offsets[*end] - offsets[0] <= most;
            let count = (1..offsets.len()).take_while(fits).last().unwrap_or(1);
            next = start + count as u64;
            let columns = start..next;
            let entries = offsets[count] - offsets[0];
            Some(Ok(move || {
                report(entries);
                self.columns(of, columns)
            }))
        });
        external.fill(pieces)?;
        Ok(held.insert(Arc::new(external.finish())).clone())
    }

    /// Shows parts of a list from all over it.
    fn places(
        length: usize,
        mut show: impl FnMut(Range<u64>) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        if length <= PLACES * SAMPLED {
            for start in (0..length).step_by(SAMPLED) {
                show(start as u64..(start + SAMPLED).min(length) as u64)?;
            }
            return Ok(());
        }
        for place in 0..PLACES {
            let start = (length - SAMPLED) as u128 * place as u128 / (PLACES - 1) as u128;
            show(start as u64..start as u64 + SAMPLED as u64)?;
        }
        Ok(())
    }
}

impl Matrix for OpenMatrix {
    fn n_rows(&self) -> u64 {
        self.matrix.shape[0] as u64
    }

    fn prepare(&self, report: &(dyn Fn(u64) + Sync)) -> Result<(), SourceError> {
        match &self.matrix.stored {
            Stored::Columns(of) => self.transpose(of, report).map(|_| ()),
            Stored::Rows(_) | Stored::Dense(_) => Ok(()),
        }
    }

    fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        match &self.matrix.stored {
            Stored::Rows(of) => of.offsets(&self.place, rows).map(Some),
            Stored::Columns(_) | Stored::Dense(_) => Ok(None),
        }
    }

    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        let data = self.matrix.data();
        Self::places(data.len(), |range| {
            visit(&self.part(data, range)?);
            Ok(())
        })
    }

    fn sample_rows(&self, visit: &mut dyn FnMut(SampledRows<'_>)) -> Result<(), SourceError> {
        match &self.matrix.stored {
            Stored::Columns(of) => Self::places(of.data.len(), |range| {
                let rows = self.part(&of.indices, range.clone())?;
                let values = self.part(&of.data, range)?;
                visit(SampledRows::Entries {
                    rows: &rows,
                    values: &values,
                });
                Ok(())
            }),
            _ => crate::source::sampled_rows::at_places(self.n_rows(), visit, |rows, budget| {
                self.chunks(rows, budget)
            }),
        }
    }

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        match &self.matrix.stored {
            Stored::Columns(of) => Ok(self.transpose(of, &|_| ())?.chunks(rows, budget)),
            Stored::Rows(of) => Ok(Box::new(RowChunker {
                matrix: self,
                of,
                rows,
                budget,
                block: 0..0,
                offsets: Vec::new(),
            })),
            Stored::Dense(data) => {
                let (width, size) = (
                    self.matrix.shape[1] as u64,
                    data.number_type().size() as u64,
                );
                let row = width.saturating_mul(2 * size + 4 + EXPANDED_BYTES).max(1);
                let step = (budget.bytes / row).clamp(1, budget.cells.max(1));
                let count = (rows.end - rows.start).div_ceil(step);
                Ok(Box::new((0..count).map(move |number| {
                    let start = rows.start + number * step;
                    let chunk = start..start.saturating_add(step).min(rows.end);
                    let most = (chunk.end - chunk.start).saturating_mul(width);
                    Ok(PendingChunk::new(chunk.clone(), most, move || {
                        self.dense_rows(data, chunk)
                    }))
                })))
            }
        }
    }
}

fn is_some<T: bytemuck::Zeroable + PartialEq>(value: T) -> bool {
    value != T::zeroed()
}

/// Cuts compressed rows into chunks within a budget.
struct RowChunker<'a> {
    matrix: &'a OpenMatrix,
    of: &'a Compressed,
    rows: Range<u64>,
    budget: ChunkBudget,
    /// Rows of which the offsets are known.
    block: Range<u64>,
    offsets: Vec<u64>,
}

impl<'a> RowChunker<'a> {
    fn cut(&mut self) -> Result<PendingChunk<'a>, SourceError> {
        let start = self.rows.start;
        if start >= self.block.end {
            self.block = start..(start + POINTERS as u64).min(self.rows.end);
            self.offsets = self.of.offsets(&self.matrix.place, self.block.clone())?;
        }
        let offset = |row: u64| self.offsets[(row - self.block.start) as usize];
        let each = self.of.entry_bytes();
        let mut end = start + 1;
        while end < self.block.end
            && end - start < self.budget.cells
            && (offset(end + 1) - offset(start)).saturating_mul(each) <= self.budget.bytes
        {
            end += 1;
        }
        let entries = offset(end) - offset(start);
        self.rows.start = end;
        let (matrix, of) = (self.matrix, self.of);
        Ok(PendingChunk::new(start..end, entries, move || {
            matrix.rows(of, start..end)
        }))
    }
}

impl<'a> Iterator for RowChunker<'a> {
    type Item = Result<PendingChunk<'a>, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.is_empty() {
            return None;
        }
        let chunk = self.cut();
        if chunk.is_err() {
            self.rows.start = self.rows.end;
        }
        Some(chunk)
    }
}
