//! Compressed sparse rows: `indptr`, `indices` and `data` of a group.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::declared_shape;
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::error::Place;
use crate::source::hdf5::{Container, NumberArray};
use crate::source::{
    CellChunk, ChunkBudget, Chunks, NumberType, Numbers, PendingChunk, ReadBudget, SourceError,
};

/// Row pointers are read in blocks of this many.
const POINTERS: u64 = 1 << 14;

/// A sample has this many pieces, spread over the matrix, of at most as many values.
const SAMPLE_PIECES: u64 = 64;
const SAMPLE_VALUES: u64 = 1 << 14;

/// A CSR matrix of an h5ad file.
pub(super) struct CsrMatrix {
    place: Place,
    indptr: NumberArray,
    indices: NumberArray,
    data: NumberArray,
    cells: u64,
    budget: ReadBudget,
}

impl CsrMatrix {
    /// Opens the group `object` and checks that its parts fit each other and `shape`.
    pub fn open(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        object: &str,
        shape: [u64; 2],
        budget: ReadBudget,
    ) -> Result<Self, SourceError> {
        let place = Place::new(container.path(), object);
        if let Some(declared) = declared_shape(&**container, object)?
            && !declared
                .iter()
                .map(|&n| u64::try_from(n).ok())
                .eq(shape.map(Some))
        {
            return Err(place.damaged(format!(
                "its shape is {declared:?}, but obs and var have {} × {} rows",
                shape[0], shape[1]
            )));
        }
        let part =
            |name: &str| NumberArray::open(container, file, &format!("{object}/{name}"), budget);
        let (indptr, indices, data) = (part("indptr")?, part("indices")?, part("data")?);
        for (array, name) in [(&indptr, "indptr"), (&indices, "indices")] {
            if !array.number_type().is_integer() {
                return Err(place.damaged(format!(
                    "{name} is of type {}, where whole numbers are expected",
                    array.number_type()
                )));
            }
        }
        for array in [&indptr, &indices, &data] {
            if array.shape().len() != 1 {
                return Err(place.damaged("its parts are not one-dimensional"));
            }
        }
        if Some(indptr.rows()) != shape[0].checked_add(1) {
            return Err(place.damaged(format!(
                "indptr has {} entries for {} cells, which need one more than there are cells",
                indptr.rows(),
                shape[0]
            )));
        }
        if indices.rows() != data.rows() {
            return Err(place.damaged(format!(
                "indices has {} entries but data has {}",
                indices.rows(),
                data.rows()
            )));
        }
        // No filter shrinks data by more than about a thousand times; a longer array is a damaged
        // header, and reading its fill values would never end.
        for array in [&indices, &data] {
            if array.is_mostly_unwritten()
                && array.rows() > array.file_length().saturating_mul(1100)
            {
                return Err(
                    place.damaged(format!("{} entries cannot be in this file", array.rows()))
                );
            }
        }
        let matrix = CsrMatrix {
            place,
            indptr,
            indices,
            data,
            cells: shape[0],
            budget,
        };
        let ends = [
            matrix.pointers(0..1)?[0],
            matrix.pointers(shape[0]..shape[0] + 1)?[0],
        ];
        if ends != [0, matrix.data.rows()] {
            return Err(matrix.place.damaged(format!(
                "indptr runs from {} to {}, but there are {} entries",
                ends[0],
                ends[1],
                matrix.data.rows()
            )));
        }
        Ok(matrix)
    }

    pub fn number_type(&self) -> NumberType {
        self.data.number_type()
    }

    pub fn entries(&self) -> u64 {
        self.data.rows()
    }

    /// Row pointers as they are stored, checked to be in the range of the entries.
    fn pointers(&self, range: Range<u64>) -> Result<Vec<u64>, SourceError> {
        let start = range.start;
        let bad = |position: usize| {
            self.place.damaged(format!(
                "indptr at {} lies outside the entries (0 to {})",
                start + position as u64,
                self.data.rows()
            ))
        };
        let pointers = self.indptr.read(range)?.to_i64().map_err(bad)?;
        pointers
            .into_iter()
            .enumerate()
            .map(|(position, pointer)| {
                u64::try_from(pointer)
                    .ok()
                    .filter(|&pointer| pointer <= self.data.rows())
                    .ok_or_else(|| bad(position))
            })
            .collect()
    }

    /// Row pointers of the cells and of their end, checked not to decrease.
    pub fn offsets(&self, cells: Range<u64>) -> Result<Vec<u64>, SourceError> {
        if cells.end > self.cells || cells.start > cells.end {
            return Err(self.place.damaged(format!("it has no cells {cells:?}")));
        }
        let pointers = self.pointers(cells.start..cells.end + 1)?;
        if let Some(cell) = pointers.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(self.place.damaged(format!(
                "indptr decreases after cell {} (from {} to {})",
                cells.start + cell as u64,
                pointers[cell],
                pointers[cell + 1]
            )));
        }
        Ok(pointers)
    }

    /// Shows values from the whole length of the matrix.
    pub fn sample(&self, visit: &mut dyn FnMut(&Numbers)) -> Result<(), SourceError> {
        for piece in pieces(
            self.data.rows(),
            SAMPLE_PIECES,
            SAMPLE_VALUES,
            self.data.rows_together(),
        ) {
            visit(&self.data.read(piece)?);
        }
        Ok(())
    }

    /// Chunks of `cells`; see [`crate::source::CellSource::chunks`].
    pub fn chunks(&self, cells: Range<u64>, budget: ChunkBudget) -> Chunks<'_> {
        Box::new(Cutter {
            matrix: self,
            read_to: cells.start,
            cells,
            budget,
            pointers: VecDeque::new(),
            failed: false,
        })
    }

    fn bytes_per_entry(&self) -> u64 {
        let stored = self.data.number_type().size() + self.indices.number_type().size();
        stored as u64 + EXPANDED_BYTES
    }

    fn read(&self, cells: Range<u64>, pointers: &[u64]) -> Result<CellChunk, SourceError> {
        let (first, last) = (pointers[0], pointers[pointers.len() - 1]);
        let bytes = (last - first).saturating_mul(self.bytes_per_entry());
        if bytes > self.budget.memory {
            return Err(self.place.too_large(
                format!("cell {} with its {} entries", cells.start, last - first),
                bytes,
                bytes.saturating_mul(2),
            ));
        }
        Ok(CellChunk {
            cells,
            indptr: pointers
                .iter()
                .map(|&pointer| (pointer - first) as usize)
                .collect(),
            genes: self.indices.read(first..last)?,
            values: self.data.read(first..last)?,
        })
    }
}

/// `count` ranges of at most `size` rows spread evenly over `0..rows`, the first and the last row
/// among them; each begins where rows are stored together.
pub(super) fn pieces(rows: u64, count: u64, size: u64, together: u64) -> Vec<Range<u64>> {
    let together = together.max(1);
    let size = size.max(1);
    if rows <= count.saturating_mul(size) {
        return (0..rows.div_ceil(size))
            .map(|i| i * size..(i * size + size).min(rows))
            .collect();
    }
    let mut ranges: Vec<Range<u64>> = (0..count)
        .map(|i| {
            let start = u128::from(rows - size) * u128::from(i) / u128::from((count - 1).max(1));
            let start = u64::try_from(start).unwrap_or(0);
            let aligned = start / together * together;
            // The last piece must reach the end, whatever the alignment.
            let start = if i + 1 == count || aligned + size <= start {
                start
            } else {
                aligned
            };
            start..(start + size).min(rows)
        })
        .collect();
    ranges.dedup();
    ranges
}

/// Cuts a range of cells into chunks within the budget.
struct Cutter<'a> {
    matrix: &'a CsrMatrix,
    /// Cells that are still to be cut.
    cells: Range<u64>,
    budget: ChunkBudget,
    /// Pointers from the next cell on.
    pointers: VecDeque<u64>,
    /// The cell at whose beginning the last known pointer is.
    read_to: u64,
    failed: bool,
}

impl<'a> Cutter<'a> {
    fn refill(&mut self) -> Result<(), SourceError> {
        let end = self.cells.end.min(self.read_to + POINTERS);
        let pointers = self.matrix.offsets(self.read_to..end)?;
        let known = usize::from(!self.pointers.is_empty());
        self.pointers.extend(&pointers[known..]);
        self.read_to = end;
        Ok(())
    }

    fn cut(&mut self) -> Result<PendingChunk<'a>, SourceError> {
        let limit = (self.budget.bytes / self.matrix.bytes_per_entry()).max(1);
        let mut taken = 0usize;
        loop {
            // `pointers[taken + 1]` is the end of the next cell.
            if self.pointers.len() < taken + 2 {
                if self.read_to == self.cells.end {
                    break;
                }
                self.refill()?;
                continue;
            }
            let entries = self.pointers[taken + 1] - self.pointers[0];
            if taken > 0 && (entries > limit || taken as u64 >= self.budget.cells) {
                break;
            }
            taken += 1;
        }
        let pointers: Vec<u64> = self.pointers.iter().take(taken + 1).copied().collect();
        self.pointers.drain(..taken);
        let cells = self.cells.start..self.cells.start + taken as u64;
        self.cells.start = cells.end;
        let matrix = self.matrix;
        let entries = pointers[taken] - pointers[0];
        let range = cells.clone();
        Ok(PendingChunk::new(cells, entries, move || {
            matrix.read(range, &pointers)
        }))
    }
}

impl<'a> Iterator for Cutter<'a> {
    type Item = Result<PendingChunk<'a>, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.cells.is_empty() {
            return None;
        }
        let chunk = self.cut();
        self.failed = chunk.is_err();
        Some(chunk)
    }
}

/// Chunks of cells that have no entries.
pub(super) fn empty_chunks<'a>(cells: Range<u64>, budget: ChunkBudget) -> Chunks<'a> {
    let step = budget.cells.clamp(1, POINTERS);
    let starts = std::iter::successors(Some(cells.start), move |start| start.checked_add(step));
    Box::new(
        starts
            .take_while(move |&start| start < cells.end)
            .map(move |start| {
                let cells = start..(start + step).min(cells.end);
                let range = cells.clone();
                Ok(PendingChunk::new(cells, 0, move || {
                    Ok(CellChunk {
                        indptr: vec![0; (range.end - range.start) as usize + 1],
                        cells: range,
                        genes: Numbers::UInt32(Vec::new()),
                        values: Numbers::Float32(Vec::new()),
                    })
                }))
            }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_spans_the_whole_length() {
        assert_eq!(pieces(0, 4, 10, 1), vec![]);
        assert_eq!(pieces(25, 4, 10, 1), vec![0..10, 10..20, 20..25]);
        let ranges = pieces(1_000_003, 4, 10, 7);
        assert_eq!(ranges.len(), 4);
        assert_eq!(ranges[0], 0..10);
        assert_eq!(ranges[3], 999_993..1_000_003);
        assert_eq!(ranges[1].start % 7, 0);
    }
}
