//! CSR and CSC matrices: the datasets `indptr`, `indices` and `data` of a group.

use std::collections::VecDeque;
use std::ops::Range;

use super::pieces;
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::error::ErrorContext;
use crate::source::hdf5::{Hdf5File, NumberArray};
use crate::source::row_chunker::{StoredRows, row_chunks};
use crate::source::transpose::Entries;
use crate::source::{ChunkBudget, Chunks, CsrChunk, ScalarType, SourceError, TypedVec};

/// Number of `indptr` values read at once.
const POINTERS: u64 = 1 << 14;

/// Number of pieces of a sample, spread over the matrix, and maximum number of values in each.
const SAMPLE_PIECES: u64 = 64;
const SAMPLE_VALUES: u64 = 1 << 14;

/// A matrix with one compressed dimension, the major one: rows in CSR, columns in CSC.
pub(crate) struct CompressedMatrix {
    place: ErrorContext,
    indptr: NumberArray,
    indices: NumberArray,
    data: NumberArray,
    majors: u64,
    memory: u64,
}

impl CompressedMatrix {
    /// Opens the group `object` and checks that its parts are consistent with each other and with
    /// `majors`.
    pub fn open(file: &Hdf5File, object: &str, majors: u64) -> Result<Self, SourceError> {
        let place = file.place(object);
        let part = |name: &str| file.numbers(&format!("{object}/{name}"));
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
        if Some(indptr.rows()) != majors.checked_add(1) {
            return Err(place.damaged(format!(
                "indptr has {} entries where {majors} rows or columns need one more than that",
                indptr.rows()
            )));
        }
        if indices.rows() != data.rows() {
            return Err(place.damaged(format!(
                "indices has {} entries but data has {}",
                indices.rows(),
                data.rows()
            )));
        }
        // HDF5 returns the fill value for anything that was never written. No writer leaves out
        // entries of a sparse matrix, but a damaged chunk index does.
        for (array, name) in [(&indptr, "indptr"), (&indices, "indices"), (&data, "data")] {
            if data.rows() > 0 && !array.is_whole() {
                return Err(place.damaged(format!(
                    "a part of {name} was never written, or its index of chunks is damaged"
                )));
            }
        }
        let matrix = CompressedMatrix {
            place,
            indptr,
            indices,
            data,
            majors,
            memory: file.memory(),
        };
        let ends = [
            matrix.pointers(0..1)?[0],
            matrix.pointers(majors..majors + 1)?[0],
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

    /// Stored type of the values.
    pub fn number_type(&self) -> ScalarType {
        self.data.number_type()
    }

    /// Number of stored entries.
    pub fn entries(&self) -> u64 {
        self.data.rows()
    }

    /// Context for errors about the matrix.
    pub fn place(&self) -> &ErrorContext {
        &self.place
    }

    /// Reads `indptr` values and checks that they are within the range of the entries.
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

    /// Returns the `indptr` values of the rows and of their end, checked not to decrease.
    pub fn offsets(&self, cells: Range<u64>) -> Result<Vec<u64>, SourceError> {
        if cells.end > self.majors || cells.start > cells.end {
            return Err(self.place.damaged(format!(
                "rows {} to {} were requested, but the matrix has {}",
                cells.start,
                cells.end.saturating_sub(1),
                self.majors
            )));
        }
        let pointers = self.pointers(cells.start..cells.end + 1)?;
        if let Some(cell) = pointers.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(self.place.damaged(format!(
                "indptr decreases after position {} (from {} to {})",
                cells.start + cell as u64,
                pointers[cell],
                pointers[cell + 1]
            )));
        }
        Ok(pointers)
    }

    /// Passes values spread over the whole matrix to `visit`.
    pub fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
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

    /// Passes the minor indices and values of entries spread over the whole matrix to `visit`.
    pub fn sample_entries(
        &self,
        visit: &mut dyn FnMut(&TypedVec, TypedVec),
    ) -> Result<(), SourceError> {
        let together = self.data.rows_together();
        for piece in pieces(self.data.rows(), SAMPLE_PIECES, SAMPLE_VALUES, together) {
            visit(&self.indices.read(piece.clone())?, self.data.read(piece)?);
        }
        Ok(())
    }

    /// Returns chunks of `cells`; see [`crate::source::Matrix::chunks`].
    pub fn chunks(&self, cells: Range<u64>, budget: ChunkBudget) -> Chunks<'_> {
        row_chunks(self, cells, budget)
    }

    /// Splits all entries into pieces of about `most` entries, regardless of row boundaries.
    pub fn pieces(&self, most: u64) -> impl Iterator<Item = Result<Piece, SourceError>> + '_ {
        // Align the ends of pieces with the entries that are stored together.
        let together = self.data.rows_together();
        let step = (most / together).max(1) * together;
        let mut majors = Majors {
            matrix: self,
            next: 0,
            ends: VecDeque::new(),
        };
        let total = self.entries();
        (0..total.div_ceil(step)).map(move |number| {
            let entries = number * step..((number + 1) * step).min(total);
            majors.over(entries)
        })
    }

    /// Reads the entries of a piece.
    pub fn read_piece(&self, piece: &Piece) -> Result<Entries, SourceError> {
        let length = usize::try_from(piece.entries()).unwrap_or(usize::MAX);
        let mut columns = Vec::with_capacity(length);
        for &(major, count) in &piece.majors {
            columns.resize(columns.len() + count as usize, major);
        }
        Ok(Entries {
            rows: self.indices.read(piece.range.clone())?,
            columns,
            values: self.data.read(piece.range.clone())?,
        })
    }
}

impl StoredRows for &CompressedMatrix {
    fn entry_bytes(self) -> u64 {
        let stored = self.data.number_type().size() + self.indices.number_type().size();
        stored as u64 + EXPANDED_BYTES
    }

    fn step(self) -> u64 {
        POINTERS
    }

    fn offsets(self, rows: Range<u64>) -> Result<Vec<u64>, SourceError> {
        CompressedMatrix::offsets(self, rows)
    }

    fn read(self, cells: Range<u64>, pointers: &[u64]) -> Result<CsrChunk, SourceError> {
        let (first, last) = (pointers[0], pointers[pointers.len() - 1]);
        let bytes = (last - first).saturating_mul(self.entry_bytes());
        if bytes > self.memory {
            return Err(self.place.too_large(
                format!("row {} with its {} entries", cells.start, last - first),
                bytes,
                bytes.saturating_mul(2),
            ));
        }
        Ok(CsrChunk {
            rows: cells,
            indptr: pointers
                .iter()
                .map(|&pointer| (pointer - first) as usize)
                .collect(),
            indices: self.indices.read(first..last)?,
            data: self.data.read(first..last)?,
            strays: 0,
        })
    }
}

/// A range of entries, and how many of them belong to each major.
pub(crate) struct Piece {
    range: Range<u64>,
    majors: Vec<(u32, u64)>,
}

impl Piece {
    /// Number of entries.
    pub fn entries(&self) -> u64 {
        self.range.end - self.range.start
    }
}

/// Iterates over the majors while pieces are cut.
struct Majors<'a> {
    matrix: &'a CompressedMatrix,
    /// The next major whose end will be read.
    next: u64,
    /// Majors with remaining entries, and their ends.
    ends: VecDeque<(u64, u64)>,
}

impl Majors<'_> {
    fn over(&mut self, entries: Range<u64>) -> Result<Piece, SourceError> {
        let mut majors = Vec::new();
        let mut at = entries.start;
        while at < entries.end {
            let Some(&(major, end)) = self.ends.front() else {
                self.refill()?;
                continue;
            };
            let taken = end.min(entries.end).saturating_sub(at);
            if taken > 0 {
                let major = u32::try_from(major)
                    .map_err(|_| self.matrix.place.damaged("it has absurdly many columns"))?;
                majors.push((major, taken));
                at += taken;
            }
            if end <= at {
                self.ends.pop_front();
            }
        }
        Ok(Piece {
            range: entries,
            majors,
        })
    }

    fn refill(&mut self) -> Result<(), SourceError> {
        let last = self.matrix.majors.min(self.next + POINTERS);
        if last == self.next {
            let entries = self.matrix.data.rows();
            return Err(self.matrix.place.damaged(format!(
                "indptr ends before the {entries} entries do: the last ones belong to nothing"
            )));
        }
        let pointers = self.matrix.offsets(self.next..last)?;
        self.ends
            .extend((self.next..last).zip(pointers[1..].iter().copied()));
        self.next = last;
        Ok(())
    }
}
