//! CSC matrices, read row by row.

use std::ops::Range;
use std::sync::Arc;

use super::CompressedMatrix;
use crate::source::transpose::{ExternalTranspose, TransposeOptions, Transposed, TransposedOnce};
use crate::source::{ChunkBudget, Chunks, SampledRows, ScalarType, SourceError, TypedVec};

/// A matrix stored in CSC. It is transposed completely before its first rows are read.
pub(crate) struct TransposedMatrix {
    columns: CompressedMatrix,
    shape: [u64; 2],
    options: TransposeOptions,
    transposed: TransposedOnce,
}

impl TransposedMatrix {
    /// Creates a matrix of `shape` (rows × columns) whose columns are compressed.
    pub fn new(columns: CompressedMatrix, shape: [u64; 2], options: TransposeOptions) -> Self {
        TransposedMatrix {
            columns,
            shape,
            options,
            transposed: TransposedOnce::default(),
        }
    }

    /// Stored type of the values.
    pub fn number_type(&self) -> ScalarType {
        self.columns.number_type()
    }

    /// Number of stored entries.
    pub fn entries(&self) -> u64 {
        self.columns.entries()
    }

    /// Passes values spread over the whole matrix to `visit`.
    pub fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        self.columns.sample(visit)
    }

    /// Passes entries spread over the whole matrix, together with their rows, to `visit`.
    pub fn sample_entries(
        &self,
        visit: &mut dyn FnMut(SampledRows<'_>),
    ) -> Result<(), SourceError> {
        self.columns.sample_entries(&mut |rows, values| {
            visit(SampledRows::Entries {
                rows,
                values: &values,
            });
        })
    }

    /// Transposes the matrix if that has not been done yet.
    pub fn transpose(&self, report: &(dyn Fn(u64) + Sync)) -> Result<Arc<Transposed>, SourceError> {
        self.transposed.get_or_make(|| {
            let external = ExternalTranspose::new(
                self.columns.place().clone(),
                self.shape,
                self.columns.entries(),
                self.columns.number_type(),
                &self.options,
            )?;
            let pieces = self.columns.pieces(external.block_entries());
            external.fill(pieces.map(|piece| {
                piece.map(|piece| {
                    move || {
                        report(piece.entries());
                        self.columns.read_piece(&piece)
                    }
                })
            }))?;
            Ok(external.finish())
        })
    }

    /// Returns chunks of rows; see [`crate::source::Matrix::chunks`].
    pub fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        Ok(self.transpose(&|_| ())?.chunks(rows, budget))
    }
}
