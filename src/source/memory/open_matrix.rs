//! A matrix in memory, read as those of any other input.

use std::ops::Range;
use std::sync::Arc;

use super::buffer::NumberBuffer;
use super::compressed::{Compressed, POINTERS};
use super::matrix::{MemoryMatrix, Stored};
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::row_chunker::{StoredRows, row_chunks};
use crate::source::sampled_rows::at_places;
use crate::source::transpose::{
    Entries, ExternalTranspose, TransposeOptions, Transposed, TransposedOnce,
};
use crate::source::{
    ChunkBudget, Chunks, CsrChunk, ErrorContext, Matrix, PendingChunk, SampledRows, SourceError,
    TypedVec,
};
use crate::with_numbers;

/// Values are sampled at so many places, so many at each.
const PLACES: usize = 32;
const SAMPLED: usize = 1 << 12;

/// A matrix as an input has it.
pub(super) struct OpenMatrix {
    pub matrix: MemoryMatrix,
    pub place: ErrorContext,
    pub options: TransposeOptions,
    pub transposed: TransposedOnce,
}

impl OpenMatrix {
    fn part(&self, buffer: &NumberBuffer, range: Range<u64>) -> Result<TypedVec, SourceError> {
        let part = buffer.part(range.start as usize..range.end as usize);
        part.ok_or_else(|| self.place.damaged("it has not the numbers that it had"))
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
        self.transposed.get_or_make(|| self.external(of, report))
    }

    fn external(
        &self,
        of: &Compressed,
        report: &(dyn Fn(u64) + Sync),
    ) -> Result<Transposed, SourceError> {
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
        Ok(external.finish())
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
            _ => at_places(self.n_rows(), visit, |rows, budget| {
                self.chunks(rows, budget)
            }),
        }
    }

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        match &self.matrix.stored {
            Stored::Columns(of) => Ok(self.transpose(of, &|_| ())?.chunks(rows, budget)),
            Stored::Rows(of) => {
                let rows_of = RowsOf { matrix: self, of };
                Ok(row_chunks(rows_of, rows, budget))
            }
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

/// Compressed rows of a matrix.
#[derive(Clone, Copy)]
struct RowsOf<'a> {
    matrix: &'a OpenMatrix,
    of: &'a Compressed,
}

impl StoredRows for RowsOf<'_> {
    fn entry_bytes(self) -> u64 {
        self.of.entry_bytes()
    }

    fn step(self) -> u64 {
        POINTERS as u64
    }

    fn offsets(self, rows: Range<u64>) -> Result<Vec<u64>, SourceError> {
        self.of.offsets(&self.matrix.place, rows)
    }

    fn read(self, rows: Range<u64>, offsets: &[u64]) -> Result<CsrChunk, SourceError> {
        let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
        let distance = |offset: &u64| (offset - first) as usize;
        Ok(CsrChunk {
            rows,
            indptr: offsets.iter().map(distance).collect(),
            indices: self.matrix.part(&self.of.indices, first..last)?,
            data: self.matrix.part(&self.of.data, first..last)?,
            strays: 0,
        })
    }
}
