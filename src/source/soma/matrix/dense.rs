//! Dense arrays as matrices: their non-zero values are read as rows.

use std::ops::Range;

use bytemuck::Pod;

use super::dense_array::DenseArray;
use super::{Axes, number_attribute};
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::soma::joinids::Joinids;
use crate::source::soma::tiledb::Array;
use crate::source::soma::tiledb::fault::Fault;
use crate::source::{
    ChunkBudget, Chunks, CsrChunk, PendingChunk, ScalarType, SourceError, TypedVec,
};
use crate::with_numbers;

/// A sample consists of this many single rows spread over the matrix.
const SAMPLE_ROWS: u64 = 16;

/// A dense array as a matrix.
pub(in crate::source::soma) struct DenseMatrix {
    array: DenseArray,
    axes: Axes,
    memory: u64,
}

impl DenseMatrix {
    /// Opens an array that is large enough for all rows and columns.
    pub fn open(array: Array, axes: Axes) -> Result<Self, SourceError> {
        let place = array.place();
        number_attribute(&array.schema, &place)?;
        let memory = array.folder.memory();
        let array = DenseArray::open(array)?;
        let both: [&Joinids; 2] = [&axes.rows, axes.columns.joinids()];
        for (ids, length) in both.into_iter().zip(array.shape()) {
            let last = ids.span(0..ids.len()).map_or(-1, |span| span[1]);
            if u64::try_from(last).is_ok_and(|last| last >= length) {
                return Err(place.damaged(format!(
                    "it has no room for the joinid {last}: its shape is {:?}",
                    array.shape()
                )));
            }
        }
        Ok(DenseMatrix {
            array,
            axes,
            memory,
        })
    }

    /// Stored type of the values.
    pub fn number_type(&self) -> ScalarType {
        self.array.number_type()
    }

    /// Whether anything was ever written.
    pub fn is_written(&self) -> bool {
        self.array.is_written()
    }

    /// The rows and columns that were written of joinids which the frames do not have.
    pub fn of_nobody(&self) -> [u64; 2] {
        let written = self.array.written();
        let both: [&Joinids; 2] = [&self.axes.rows, self.axes.columns.joinids()];
        [0, 1].map(|at| {
            let end = i64::try_from(written[at]).unwrap_or(i64::MAX);
            written[at].saturating_sub(both[at].below(end))
        })
    }

    /// Passes rows spread over the whole matrix to `visit`.
    pub fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        let rows = self.axes.rows.len();
        let count = rows.min(SAMPLE_ROWS);
        for number in 0..count {
            let row = u128::from(rows - 1) * u128::from(number) / u128::from((count - 1).max(1));
            let row = row as u64;
            visit(&self.dense_rows(row..row + 1)?);
        }
        Ok(())
    }

    /// Returns all values of a range of rows.
    pub fn dense_rows(&self, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        let columns = self.axes.columns.joinids().len();
        let length = (rows.end - rows.start).saturating_mul(columns);
        let too_large = || {
            Fault::TooLarge(length.saturating_mul(self.number_type().size() as u64))
                .at(&self.array.place())
        };
        let length = usize::try_from(length).map_err(|_| too_large())?;
        let mut numbers = TypedVec::zeroed(self.number_type(), length).ok_or_else(too_large)?;
        let size = self.number_type().size();
        let width = columns as usize * size;
        let out = numbers.as_bytes_mut();
        let mut row_at = 0;
        for (row, height) in self.axes.rows.runs(rows) {
            let mut column_at = 0;
            for (column, count) in self.axes.columns.joinids().runs(0..columns) {
                // Joinids are not negative.
                let (row, column) = (row as u64, column as u64);
                let mut block = self.array.read(row..row + height, column..column + count)?;
                let bytes = count as usize * size;
                let from = block.as_bytes_mut().chunks_exact(bytes.max(1));
                for (number, from) in from.enumerate() {
                    out[(row_at + number) * width + column_at..][..bytes].copy_from_slice(from);
                }
                column_at += bytes;
            }
            row_at += height as usize;
        }
        Ok(numbers)
    }

    /// See [`crate::source::Matrix::chunks`].
    pub fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Chunks<'_> {
        let columns = self.axes.columns.joinids().len();
        let size = self.number_type().size() as u64;
        // As read, as assembled, and as CSR if no value is zero.
        let row = columns.saturating_mul(3 * size + 4 + EXPANDED_BYTES).max(1);
        let step = (budget.bytes / row).clamp(1, budget.cells.max(1));
        let mut start = rows.start;
        Box::new(std::iter::from_fn(move || {
            if start >= rows.end {
                return None;
            }
            // A slab lower than a tile does not extend beyond the end of the tile.
            let together = self.array.extents[0].max(1) as u64;
            let aligned = (start / together + 1) * together;
            let end = start.saturating_add(step);
            let end = if end > aligned && step < together {
                aligned
            } else {
                end
            };
            let slab = start..end.min(rows.end);
            start = slab.end;
            if row > self.memory {
                let what = format!("a row of {columns} columns");
                return Some(Err(self.array.place().too_large(
                    what,
                    row,
                    row.saturating_mul(2),
                )));
            }
            let entries = (slab.end - slab.start).saturating_mul(columns);
            let cells = slab.clone();
            Some(Ok(PendingChunk::new(slab, entries, move || {
                self.read(cells)
            })))
        }))
    }

    fn read(&self, rows: Range<u64>) -> Result<CsrChunk, SourceError> {
        let dense = self.dense_rows(rows.clone())?;
        let width = self.axes.columns.joinids().len() as usize;
        let height = (rows.end - rows.start) as usize;
        let mut sparse = Sparse {
            indptr: vec![0; height + 1],
            genes: Vec::new(),
        };
        let number_type = self.number_type();
        let values = with_numbers!(&dense, dense => {
            let kept = sparse.compress(dense, width);
            TypedVec::of_bytes(number_type, bytemuck::cast_slice(&kept))
        });
        let too_large = || Fault::TooLarge(sparse.genes.len() as u64).at(&self.array.place());
        let values = values.ok_or_else(too_large)?;
        Ok(CsrChunk {
            rows,
            indptr: sparse.indptr,
            indices: TypedVec::UInt32(sparse.genes),
            data: values,
            strays: 0,
        })
    }
}

struct Sparse {
    indptr: Vec<usize>,
    genes: Vec<u32>,
}

impl Sparse {
    /// Keeps the non-zero values, including NaN.
    fn compress<T: Pod + PartialEq>(&mut self, dense: &[T], width: usize) -> Vec<T> {
        let zero = T::zeroed();
        let mut values = Vec::with_capacity(dense.iter().filter(|&&value| value != zero).count());
        self.genes.reserve_exact(values.capacity());
        for (row, end) in self.indptr[1..].iter_mut().enumerate() {
            for (column, &value) in (0u32..).zip(&dense[row * width..(row + 1) * width]) {
                if value != zero {
                    self.genes.push(column);
                    values.push(value);
                }
            }
            *end = values.len();
        }
        values
    }
}
