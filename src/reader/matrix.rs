//! Reading rows of a matrix.

use std::ops::{Bound, Range, RangeBounds};

use sprs::CsMat;

use super::within;
use crate::error::Error;
use crate::source::{CellSource, ChunkBudget, CsrChunk, MatrixName, Reindex};

/// Bytes of a chunk, unless others are asked for.
const CHUNK_BYTES: u64 = 8 << 20;

/// A matrix of an open dataset, and which of its rows are read.
#[must_use]
#[derive(Clone)]
pub struct MatrixReader<'a> {
    source: &'a dyn CellSource,
    name: MatrixName,
    n_columns: u64,
    rows: (Bound<u64>, Bound<u64>),
    budget: ChunkBudget,
}

impl<'a> MatrixReader<'a> {
    pub(super) fn new(source: &'a dyn CellSource, name: MatrixName, n_columns: u64) -> Self {
        MatrixReader {
            source,
            name,
            n_columns,
            rows: (Bound::Unbounded, Bound::Unbounded),
            budget: ChunkBudget {
                bytes: CHUNK_BYTES,
                cells: u64::MAX,
            },
        }
    }

    /// Reads a range of the rows; by default all.
    pub fn rows(mut self, rows: impl RangeBounds<u64>) -> Self {
        self.rows = (rows.start_bound().cloned(), rows.end_bound().cloned());
        self
    }

    /// Bytes of a chunk in memory, at most; a chunk has at least one row. 8 MiB by default.
    pub fn chunk_bytes(mut self, bytes: u64) -> Self {
        self.budget.bytes = bytes;
        self
    }

    /// Rows of a chunk, at most.
    pub fn chunk_rows(mut self, rows: u64) -> Self {
        self.budget.cells = rows.max(1);
        self
    }

    /// The rows in order, chunk by chunk, as compressed sparse rows in the types in which they are
    /// stored. Each chunk is read when the iterator comes to it.
    ///
    /// # Errors
    /// If there is no such matrix, or the rows are outside of it.
    pub fn chunks(&self) -> Result<impl Iterator<Item = Result<CsrChunk, Error>> + use<'a>, Error> {
        let matrix = self.source.matrix(&self.name)?;
        let rows = within(self.rows, matrix.n_rows(), "rows")?;
        matrix.prepare(&|_| ())?;
        let chunks = matrix.chunks(rows, self.budget)?;
        Ok(chunks.map(|chunk| Ok(chunk?.read()?)))
    }

    /// The rows and some columns, in the order in which these are given, as one matrix in memory.
    ///
    /// # Errors
    /// As [`MatrixReader::chunks`]; and if a column is given twice, is outside of the matrix, or
    /// a value is not exact as `f64`.
    pub fn to_csr(&self, columns: impl IntoIterator<Item = u64>) -> Result<CsMat<f64>, Error> {
        let (reindex, width) = self.reindex(columns)?;
        let (mut indptr, mut indices, mut data) = (vec![0], Vec::new(), Vec::new());
        let mut row: Vec<(usize, f64)> = Vec::new();
        for chunk in self.chunks()? {
            let chunk = reindex.apply(chunk?);
            let chunk = chunk.map_err(|_| outside(self.n_columns))?;
            let places = chunk.indices.to_i64();
            let places = places.map_err(|_| outside(self.n_columns))?;
            let values = chunk.data.to_f64();
            let values = values.map_err(|entry| not_exact(&chunk, entry))?;
            for bounds in chunk.indptr.windows(2) {
                let entries: Range<usize> = bounds[0]..bounds[1];
                row.clear();
                // Positions are of 32 bits.
                let places = places[entries.clone()].iter().map(|&place| place as usize);
                row.extend(places.zip(values[entries].iter().copied()));
                row.sort_unstable_by_key(|(place, _)| *place);
                if row.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                    return Err(Error::Usage(
                        "a row has two entries in one column; convert the input first".into(),
                    ));
                }
                indices.extend(row.iter().map(|(place, _)| place));
                data.extend(row.iter().map(|(_, value)| value));
                indptr.push(indices.len());
            }
        }
        let shape = (indptr.len() - 1, width);
        CsMat::try_new(shape, indptr, indices, data)
            .map_err(|(_, _, _, error)| Error::Usage(format!("rows of a matrix: {error}")))
    }

    /// Moves the columns that are wanted to their places among these, and drops the others; and
    /// how many are wanted.
    fn reindex(&self, columns: impl IntoIterator<Item = u64>) -> Result<(Reindex, usize), Error> {
        let n_columns = usize::try_from(self.n_columns).map_err(|_| outside(self.n_columns))?;
        let mut places = vec![Reindex::DROPPED; n_columns];
        let mut width = 0u32;
        for column in columns {
            let place = usize::try_from(column).ok();
            let Some(place) = place.and_then(|column| places.get_mut(column)) else {
                return Err(outside(self.n_columns));
            };
            if std::mem::replace(place, width) != Reindex::DROPPED {
                return Err(Error::Usage(format!("column {column} was asked for twice")));
            }
            // Each is one of the columns, which are counted by 32 bits.
            width += 1;
        }
        Ok((Reindex::Moved(places), width as usize))
    }
}

fn outside(n_columns: u64) -> Error {
    Error::Usage(format!(
        "a column is outside of the matrix, which has {n_columns}"
    ))
}

fn not_exact(chunk: &CsrChunk, entry: usize) -> Error {
    Error::Usage(format!(
        "entry {entry} of rows {}..{} is not exact as float64; read the matrix in chunks",
        chunk.rows.start, chunk.rows.end
    ))
}
