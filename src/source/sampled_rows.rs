//! Samples rows from all over a matrix.

use std::ops::Range;

use super::{ChunkBudget, Chunks, CsrChunk, SourceError, TypedVec};

/// Part of a matrix, as passed to a caller that wants to see some of its rows.
#[derive(Debug, Clone, Copy)]
pub enum SampledRows<'a> {
    /// Complete rows.
    Rows(&'a CsrChunk),
    /// Entries in storage order, with the row of each.
    Entries {
        /// Row of each entry.
        rows: &'a TypedVec,
        /// Value of each entry.
        values: &'a TypedVec,
    },
}

/// Number of places at which to read, and rows at each of them.
const PLACES: u64 = 8;
const ROWS: u64 = 16;

/// Limits for the rows at one place: smaller than chunks that are read for speed.
const BUDGET: ChunkBudget = ChunkBudget {
    bytes: 2 << 20,
    cells: ROWS,
};

/// Visits chunks of a matrix with this many rows.
pub(super) fn at_places<'a>(
    rows: u64,
    visit: &mut dyn FnMut(SampledRows<'_>),
    chunks: impl Fn(Range<u64>, ChunkBudget) -> Result<Chunks<'a>, SourceError>,
) -> Result<(), SourceError> {
    if rows <= PLACES * ROWS {
        for chunk in chunks(0..rows, BUDGET)? {
            visit(SampledRows::Rows(&chunk?.read()?));
        }
        return Ok(());
    }
    for place in 0..PLACES {
        let start = u128::from(rows - ROWS) * u128::from(place) / u128::from(PLACES - 1);
        let start = start as u64;
        // Rows beyond the budget are not needed.
        if let Some(chunk) = chunks(start..start + ROWS, BUDGET)?.next() {
            visit(SampledRows::Rows(&chunk?.read()?));
        }
    }
    Ok(())
}
