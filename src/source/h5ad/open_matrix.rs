//! Matrices of an h5ad file.

use std::ops::Range;

use crate::source::error::ErrorContext;
use crate::source::hdf5::matrix::StoredMatrix;
use crate::source::sampled_rows;
use crate::source::{
    ChunkBudget, Chunks, Matrix, Part, PendingChunk, Reindex, SampledRows, SourceError, TypedVec,
};

/// A matrix, with the positions of its genes in var if their order differs.
pub(super) struct OpenMatrix {
    /// Context for errors.
    pub place: ErrorContext,
    /// Number of rows.
    pub rows: u64,
    /// The part it belongs to and its name there, if it can be left out.
    pub member: Option<(Part, String)>,
    /// The matrix as stored.
    pub stored: StoredMatrix,
    /// Moves each of its genes to its position in var.
    pub genes: Reindex,
}

impl OpenMatrix {
    /// Adds the flag that leaves out the matrix to an error.
    fn or_skip<T>(&self, read: Result<T, SourceError>) -> Result<T, SourceError> {
        match &self.member {
            Some((part, key)) => read.map_err(|error| error.or_skip(*part, key)),
            None => read,
        }
    }
}

impl Matrix for OpenMatrix {
    fn n_rows(&self) -> u64 {
        self.rows
    }

    fn prepare(&self, report: &(dyn Fn(u64) + Sync)) -> Result<(), SourceError> {
        self.or_skip(self.stored.prepare(report))
    }

    fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        self.or_skip(self.stored.offsets(rows))
    }

    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        self.or_skip(self.stored.sample(visit))
    }

    fn sample_rows(&self, visit: &mut dyn FnMut(SampledRows<'_>)) -> Result<(), SourceError> {
        match &self.stored {
            StoredMatrix::Columns(columns) => self.or_skip(columns.sample_entries(visit)),
            StoredMatrix::Absent => Ok(()),
            StoredMatrix::Rows(_) | StoredMatrix::Dense(_) => {
                sampled_rows::at_places(self.rows, visit, |rows, budget| self.chunks(rows, budget))
            }
        }
    }

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        let chunks = self.or_skip(self.stored.chunks(rows, budget))?;
        let chunks = self.genes.over(chunks, &self.place, "genes");
        let Some((part, key)) = &self.member else {
            return Ok(chunks);
        };
        Ok(Box::new(chunks.map(move |pending| {
            let pending = pending.map_err(|error| error.or_skip(*part, key))?;
            let (rows, entries) = (pending.rows.clone(), pending.entries);
            Ok(PendingChunk::new(rows, entries, move || {
                pending.read().map_err(|error| error.or_skip(*part, key))
            }))
        })))
    }
}
