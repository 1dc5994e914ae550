//! A subset of the rows and columns of a matrix.

use std::ops::Range;
use std::sync::Arc;

use super::kept::KeptRows;
use crate::source::error::ErrorContext;
use crate::source::{
    CellSource, ChunkBudget, Chunks, Layout, Matrix, MatrixDescription, PendingChunk, SampledRows,
    SourceError, TypedVec,
};

/// Number of places at which values are sampled, and of rows at each of them.
const PLACES: u64 = 32;
const CELLS: u64 = 64;
const SAMPLE: ChunkBudget = ChunkBudget {
    bytes: 1 << 18,
    cells: CELLS,
};

/// A matrix of which some rows and columns are kept.
pub(super) struct SubsetMatrix {
    source: Arc<dyn CellSource>,
    /// Its description in the source.
    of: MatrixDescription,
    place: ErrorContext,
    rows: Arc<KeptRows>,
    columns: Arc<KeptRows>,
}

impl SubsetMatrix {
    /// Keeps these rows and columns of a matrix of the source.
    pub fn new(
        source: Arc<dyn CellSource>,
        of: &MatrixDescription,
        rows: Arc<KeptRows>,
        columns: Arc<KeptRows>,
    ) -> Self {
        SubsetMatrix {
            place: ErrorContext::new(&source.description().path, &of.object),
            of: of.clone(),
            source,
            rows,
            columns,
        }
    }

    fn inner(&self) -> Result<&dyn Matrix, SourceError> {
        self.source.matrix(&self.of.name)
    }

    /// Checks the order of the entries if not all rows are read: an entry that is out of order
    /// might be among rows that are not kept, and would be missed.
    fn check_part(&self) -> Result<(), SourceError> {
        if self.rows.is_all() {
            Ok(())
        } else {
            self.check_order()
        }
    }
}

impl Matrix for SubsetMatrix {
    fn n_rows(&self) -> u64 {
        self.rows.kept.len()
    }

    fn prepare(&self, report: &(dyn Fn(u64) + Sync)) -> Result<(), SourceError> {
        self.check_part()?;
        self.inner()?.prepare(report)
    }

    fn check_order(&self) -> Result<(), SourceError> {
        self.inner()?.check_order()
    }

    fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        if !self.columns.is_all() {
            return Ok(None);
        }
        let inner = self.inner()?;
        let mut offsets = vec![0];
        let mut before = 0u64;
        for stretch in self.rows.kept.stretches(rows) {
            let Some(stored) = inner.offsets(stretch.rows)? else {
                return Ok(None);
            };
            for row in stretch.kept.into_iter().map(|row| row as usize) {
                before = before.saturating_add(stored[row + 1].saturating_sub(stored[row]));
                offsets.push(before);
            }
        }
        Ok(Some(offsets))
    }

    fn entries_at_most(&self) -> Option<u64> {
        let bound = || self.inner().ok()?.entries_at_most();
        let entries = self.of.entries.or_else(bound)?;
        // The number expected if all rows and columns were alike, and a little more.
        let share = self.rows.share() * self.columns.share();
        Some((entries as f64 * share * 1.125) as u64)
    }

    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        // Other layouts would have to be transposed first, or read from the beginning.
        if self.of.layout != Layout::Csr {
            return self.inner()?.sample(visit);
        }
        let rows = self.n_rows();
        let step = (rows / PLACES).max(CELLS);
        for start in (0..rows).step_by(step as usize) {
            let here = start..(start + CELLS).min(rows);
            if let Some(chunk) = self.chunks(here, SAMPLE)?.next() {
                visit(&chunk?.read()?.data);
            }
        }
        Ok(())
    }

    fn sample_rows(&self, visit: &mut dyn FnMut(SampledRows<'_>)) -> Result<(), SourceError> {
        // Rows with all their genes are more informative.
        self.inner()?.sample_rows(visit)
    }

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        if rows.is_empty() {
            return Ok(Box::new(std::iter::empty()));
        }
        let kept = &self.rows.kept;
        let all = kept.at(rows.start)..kept.at(rows.end - 1) + 1;
        self.check_part()?;
        let chunks = self.inner()?.chunks(all, budget)?;
        Ok(Box::new(chunks.filter_map(move |chunk| {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Some(Err(error)),
            };
            let positions = kept.before(chunk.rows.start)..kept.before(chunk.rows.end);
            if positions.is_empty() {
                return None;
            }
            let (range, entries) = (positions.clone(), chunk.entries);
            Some(Ok(PendingChunk::new(positions, entries, move || {
                let chunk = chunk.read()?;
                let first = chunk.rows.start;
                let count = (range.end - range.start) as usize;
                let rows =
                    (0..count).map(|row| (kept.at(range.start + row as u64) - first) as usize);
                let chunk = chunk.with_rows(range.clone(), rows);
                let moved = self.columns.reindex().apply(chunk);
                moved.map_err(|outside| self.place.damaged(outside.among("columns")))
            })))
        })))
    }
}
