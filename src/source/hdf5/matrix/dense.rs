//! Dense matrices: two-dimensional datasets.

use std::ops::Range;

use super::pieces;
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::error::ErrorContext;
use crate::source::hdf5::{Hdf5File, NumberArray};
use crate::source::{
    ChunkBudget, Chunks, CsrChunk, PendingChunk, ScalarType, SourceError, TypedVec,
};
use crate::with_numbers;

/// A sample consists of this many single rows spread over the matrix.
const SAMPLE_ROWS: u64 = 16;

/// A dense matrix.
pub(crate) struct DenseMatrix {
    place: ErrorContext,
    array: NumberArray,
    genes: u64,
    memory: u64,
}

impl DenseMatrix {
    /// Opens the dataset `object` and checks its shape.
    pub fn open(file: &Hdf5File, object: &str, shape: [u64; 2]) -> Result<Self, SourceError> {
        let place = file.place(object);
        let array = file.numbers(object)?;
        if array.shape() != shape {
            return Err(place.damaged(format!(
                "its shape is {:?}, where {} × {} is expected",
                array.shape(),
                shape[0],
                shape[1]
            )));
        }
        Ok(DenseMatrix {
            place,
            array,
            genes: shape[1],
            memory: file.memory(),
        })
    }

    /// Stored type of the values.
    pub fn number_type(&self) -> ScalarType {
        self.array.number_type()
    }

    /// Passes rows spread over the whole matrix to `visit`.
    pub fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        for piece in pieces(self.array.rows(), SAMPLE_ROWS, 1, 1) {
            visit(&self.array.read(piece)?);
        }
        Ok(())
    }

    /// Returns chunks of `cells`; see [`crate::source::Matrix::chunks`].
    pub fn chunks(&self, cells: Range<u64>, budget: ChunkBudget) -> Chunks<'_> {
        let step = self.rows_a_chunk(budget);
        let mut start = cells.start;
        Box::new(std::iter::from_fn(move || {
            if start >= cells.end {
                return None;
            }
            // Align the ends of chunks with the rows that are stored together.
            let end = ((start / step + 1) * step).min(cells.end);
            let range = start..end;
            start = end;
            let entries = (range.end - range.start) * self.genes;
            Some(self.check_size(&range).map(|()| {
                let rows = range.clone();
                PendingChunk::new(range, entries, move || self.read(rows))
            }))
        }))
    }

    /// Bytes per row as read, as CSR and as columns, if no value is zero.
    fn row_bytes(&self) -> u64 {
        let size = self.array.number_type().size() as u64;
        self.genes
            .saturating_mul(2 * size + 4 + EXPANDED_BYTES)
            .max(1)
    }

    fn rows_a_chunk(&self, budget: ChunkBudget) -> u64 {
        let rows = (budget.bytes / self.row_bytes()).clamp(1, budget.cells.max(1));
        let together = self.array.rows_together();
        if rows >= together {
            return rows / together * together;
        }
        // Reading rows that are stored together twice costs more than a somewhat larger chunk.
        let larger = together.saturating_mul(self.row_bytes());
        if together <= budget.cells && larger <= budget.bytes.saturating_mul(3) {
            together
        } else {
            rows
        }
    }

    fn check_size(&self, rows: &Range<u64>) -> Result<(), SourceError> {
        let bytes = (rows.end - rows.start).saturating_mul(self.row_bytes());
        if bytes > self.memory {
            return Err(self.place.too_large(
                format!("a row of {} genes", self.genes),
                bytes,
                bytes.saturating_mul(2),
            ));
        }
        Ok(())
    }

    fn read(&self, cells: Range<u64>) -> Result<CsrChunk, SourceError> {
        let numbers = self.array.read(cells.clone())?;
        let width = usize::try_from(self.genes)
            .map_err(|_| self.place.damaged("it has absurdly many genes"))?;
        let rows = (cells.end - cells.start) as usize;
        let mut sparse = Rows {
            indptr: vec![0; rows + 1],
            genes: Vec::new(),
        };
        let values = with_numbers!(numbers, values => sparse.compress(&values, width).into());
        Ok(CsrChunk {
            rows: cells,
            indptr: sparse.indptr,
            indices: TypedVec::UInt32(sparse.genes),
            data: retyped(values, self.array.number_type()),
            strays: 0,
        })
    }
}

/// Restores the type of booleans, whose bytes are processed as `u8`.
fn retyped(values: TypedVec, number_type: ScalarType) -> TypedVec {
    match (values, number_type) {
        (TypedVec::UInt8(values), ScalarType::Bool) => TypedVec::Bool(values),
        (values, _) => values,
    }
}

struct Rows {
    indptr: Vec<usize>,
    genes: Vec<u32>,
}

impl Rows {
    /// Keeps the non-zero values, including NaN.
    fn compress<T: bytemuck::Zeroable + PartialEq + Copy>(
        &mut self,
        dense: &[T],
        width: usize,
    ) -> Vec<T> {
        let zero = T::zeroed();
        let nonzero = dense.iter().filter(|&&value| value != zero).count();
        let mut values = Vec::with_capacity(nonzero);
        self.genes.reserve_exact(nonzero);
        for (row, end) in self.indptr[1..].iter_mut().enumerate() {
            // `chunks_exact` would panic if there are no columns.
            let row = &dense[row * width..(row + 1) * width];
            for (gene, &value) in (0u32..).zip(row) {
                if value != zero {
                    self.genes.push(gene);
                    values.push(value);
                }
            }
            *end = values.len();
        }
        values
    }
}

macro_rules! into_numbers {
    ($($type:ty => $variant:ident),*) => {$(
        impl From<Vec<$type>> for TypedVec {
            fn from(values: Vec<$type>) -> Self {
                TypedVec::$variant(values)
            }
        }
    )*};
}

into_numbers!(
    i8 => Int8, i16 => Int16, i32 => Int32, i64 => Int64,
    u8 => UInt8, u16 => UInt16, u32 => UInt32, u64 => UInt64,
    half::f16 => Float16, f32 => Float32, f64 => Float64
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_not_zero() {
        let mut rows = Rows {
            indptr: vec![0; 4],
            genes: Vec::new(),
        };
        let values = rows.compress(&[0.0, 1.5, 0.0, 0.0, -0.0, 0.0, f32::NAN, 0.0, 2.0], 3);
        assert_eq!(rows.indptr, [0, 1, 1, 3]);
        assert_eq!(rows.genes, [1, 0, 2]);
        assert_eq!((values[0], values[2]), (1.5, 2.0));
        assert!(values[1].is_nan());
    }

    #[test]
    fn no_genes_are_fine() {
        let mut rows = Rows {
            indptr: vec![0; 3],
            genes: Vec::new(),
        };
        assert!(rows.compress::<u8>(&[], 0).is_empty());
        assert_eq!(rows.indptr, [0, 0, 0]);
    }
}
