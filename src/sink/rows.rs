//! Chunks in canonical form.

use std::ops::Range;
use std::path::Path;

use arrow::array::StringArray;
use bytemuck::Zeroable;

use super::SinkError;
use super::exact::exactly;
use crate::chunk::{ChunkError, Digest, IdHash, canonicalized};
use crate::source::{CsrChunk, ScalarType, TypedVec};
use crate::with_numbers;

/// Rows of a matrix: columns ascend in each, none occurs twice, and no value is zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Rows {
    /// The rows, by their position in the matrix.
    pub rows: Range<u64>,
    /// `rows.len() + 1` offsets into `indices` and `data`, starting at 0.
    pub indptr: Vec<usize>,
    /// Column of each entry.
    pub indices: Vec<u32>,
    /// Value of each entry.
    pub data: TypedVec,
    /// Names of the cells, of X.
    pub names: Option<StringArray>,
}

/// Which matrix rows are of, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Of<'a> {
    pub path: &'a Path,
    pub matrix: &'a str,
    pub columns: u64,
}

impl Rows {
    /// Checks a chunk and brings it into canonical form.
    pub(super) fn of(chunk: CsrChunk, of: Of<'_>) -> Result<Self, SinkError> {
        let rows = if Self::as_they_are(&chunk, of.columns) {
            chunk
        } else {
            canonicalized(&chunk, of.path, of.matrix, of.columns)?
        };
        let indices = match rows.indices {
            TypedVec::UInt32(indices) => indices,
            other => {
                let narrow = |indices: Vec<i64>| -> Option<Vec<u32>> {
                    let indices = indices.into_iter();
                    indices.map(|index| u32::try_from(index).ok()).collect()
                };
                let indices = other.to_i64().ok().and_then(narrow);
                indices.ok_or_else(|| ChunkError::GeneOutOfRange {
                    path: of.path.to_path_buf(),
                    matrix: of.matrix.to_string(),
                    cell: rows.rows.start,
                    gene: "beyond 2^32".into(),
                    genes: of.columns,
                })?
            }
        };
        Ok(Rows {
            rows: rows.rows,
            indptr: rows.indptr,
            indices,
            data: rows.data,
            names: None,
        })
    }

    /// Whether a chunk is in canonical form already.
    fn as_they_are(chunk: &CsrChunk, columns: u64) -> bool {
        fn some<T: Zeroable + PartialEq>(values: &[T]) -> bool {
            let zero = T::zeroed();
            values.iter().all(|value| *value != zero)
        }
        let TypedVec::UInt32(indices) = &chunk.indices else {
            return false;
        };
        let ascend = |row: &[u32]| {
            row.windows(2).all(|pair| pair[0] < pair[1])
                && row.last().is_none_or(|&last| u64::from(last) < columns)
        };
        let mut rows = chunk.indptr.windows(2);
        rows.all(|row| ascend(&indices[row[0]..row[1]]))
            && with_numbers!(&chunk.data, values => some(values))
    }

    /// Converts the values to another type, exactly.
    pub(super) fn with_values(self, wanted: ScalarType, of: Of<'_>) -> Result<Self, SinkError> {
        if self.data.number_type() == wanted {
            return Ok(self);
        }
        let data = exactly(&self.data, wanted).map_err(|at| {
            let row = self.indptr.partition_point(|&start| start <= at) as u64 - 1;
            let value = self.data.picked(&[at]).to_f64().map_or_else(
                |_| "a value".to_string(),
                |value| value.first().map(f64::to_string).unwrap_or_default(),
            );
            SinkError::unsupported(
                of.path,
                format!(
                    "{}: the value {value} in row {}, column {} is not exact as {wanted}",
                    of.matrix,
                    self.rows.start + row,
                    self.indices[at]
                ),
                "export to h5ad, which holds every value, or choose a matrix of counts with --matrix",
            )
        })?;
        Ok(Rows { data, ..self })
    }

    /// The digest of the rows, by the hashes of the names of their cells and of all genes.
    pub(super) fn digest(&self, cells: &[IdHash], genes: &[IdHash]) -> Digest {
        let mut digest = Digest::default();
        // Every value of a dataset is exact as f64, as those of other inputs must be.
        let Ok(values) = self.data.to_f64() else {
            return digest;
        };
        for (cell, row) in cells.iter().zip(self.indptr.windows(2)) {
            for entry in row[0]..row[1] {
                if let Some(gene) = genes.get(self.indices[entry] as usize) {
                    digest.add_entry(*cell, *gene, values[entry]);
                }
            }
        }
        digest
    }
}
