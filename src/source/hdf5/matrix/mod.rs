//! Matrices of any layout in an HDF5 file, read row by row.

mod compressed;
mod dense;
mod pieces;
mod transposed;

use std::ops::Range;

pub(crate) use compressed::CompressedMatrix;
pub(crate) use dense::DenseMatrix;
use pieces::pieces;
pub(crate) use transposed::TransposedMatrix;

use crate::source::chunk::no_entries;
use crate::source::{ChunkBudget, Chunks, Layout, ScalarType, SourceError, TypedVec};

/// A stored matrix.
pub(crate) enum StoredMatrix {
    /// CSR.
    Rows(CompressedMatrix),
    /// CSC.
    Columns(TransposedMatrix),
    Dense(DenseMatrix),
    Absent,
}

impl StoredMatrix {
    /// How the matrix is stored.
    pub fn layout(&self) -> Layout {
        match self {
            StoredMatrix::Rows(_) => Layout::Csr,
            StoredMatrix::Columns(_) => Layout::Csc,
            StoredMatrix::Dense(_) => Layout::Dense,
            StoredMatrix::Absent => Layout::Absent,
        }
    }

    /// Stored type of the values.
    pub fn number_type(&self) -> ScalarType {
        match self {
            StoredMatrix::Rows(rows) => rows.number_type(),
            StoredMatrix::Columns(columns) => columns.number_type(),
            StoredMatrix::Dense(dense) => dense.number_type(),
            StoredMatrix::Absent => ScalarType::Float32,
        }
    }

    /// Number of stored entries, if the headers determine it.
    pub fn entries(&self) -> Option<u64> {
        match self {
            StoredMatrix::Rows(rows) => Some(rows.entries()),
            StoredMatrix::Columns(columns) => Some(columns.entries()),
            StoredMatrix::Dense(_) => None,
            StoredMatrix::Absent => Some(0),
        }
    }

    /// See [`crate::source::Matrix::prepare`].
    pub fn prepare(&self, report: &(dyn Fn(u64) + Sync)) -> Result<(), SourceError> {
        match self {
            StoredMatrix::Columns(columns) => columns.transpose(report).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// See [`crate::source::Matrix::offsets`].
    pub fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        match self {
            StoredMatrix::Rows(matrix) => matrix.offsets(rows).map(Some),
            StoredMatrix::Columns(_) | StoredMatrix::Dense(_) => Ok(None),
            StoredMatrix::Absent => Ok(Some(rows.chain([0]).map(|_| 0).collect())),
        }
    }

    /// See [`crate::source::Matrix::sample`].
    pub fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        match self {
            StoredMatrix::Rows(matrix) => matrix.sample(visit),
            StoredMatrix::Columns(matrix) => matrix.sample(visit),
            StoredMatrix::Dense(matrix) => matrix.sample(visit),
            StoredMatrix::Absent => Ok(()),
        }
    }

    /// See [`crate::source::Matrix::chunks`].
    pub fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        match self {
            StoredMatrix::Rows(matrix) => Ok(matrix.chunks(rows, budget)),
            StoredMatrix::Columns(matrix) => matrix.chunks(rows, budget),
            StoredMatrix::Dense(matrix) => Ok(matrix.chunks(rows, budget)),
            StoredMatrix::Absent => Ok(no_entries(rows, budget)),
        }
    }
}
