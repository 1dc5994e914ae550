//! Rows from all over a matrix.

use std::ops::Range;

use super::{ChunkBudget, Chunks, CsrChunk, Numbers, SourceError};

/// What is shown of a matrix, of which rows are wanted.
#[derive(Debug, Clone, Copy)]
pub enum SampledRows<'a> {
    /// Whole rows.
    Rows(&'a CsrChunk),
    /// Entries as they lie, each with the position of its row.
    Entries {
        rows: &'a Numbers,
        values: &'a Numbers,
    },
}

/// Places at which rows are read, and rows at each.
const PLACES: u64 = 8;
const ROWS: u64 = 16;

/// Rows at one place: less than chunks have where speed is wanted.
const BUDGET: ChunkBudget = ChunkBudget {
    bytes: 2 << 20,
    cells: ROWS,
};

/// Shows chunks of a matrix of so many rows.
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
        // What does not fit the budget is not needed.
        if let Some(chunk) = chunks(start..start + ROWS, BUDGET)?.next() {
            visit(SampledRows::Rows(&chunk?.read()?));
        }
    }
    Ok(())
}
