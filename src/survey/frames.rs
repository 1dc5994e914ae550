//! The columns of cells and genes, read once before anything is written.

use std::ops::Range;

use crate::source::{CellSource, SourceError};

/// Rows of a frame that are read at once, with few columns; with many, fewer.
const ROWS: u64 = 1 << 16;
const VALUES: u64 = 1 << 21;

/// Ranges that cover `rows` of a frame with so many columns, each small enough to be held whole.
pub(crate) fn blocks(rows: Range<u64>, columns: usize) -> impl Iterator<Item = Range<u64>> {
    let step = (VALUES / (columns as u64 + 1)).clamp(64, ROWS);
    let end = rows.end;
    rows.step_by(step as usize)
        .map(move |start| start..(start + step).min(end))
}

/// Reads all columns and forgets them: a frame that cannot be read must not be found out after
/// hours of writing the matrix.
pub(super) fn check(source: &dyn CellSource) -> Result<(), SourceError> {
    let description = source.description();
    for rows in blocks(0..description.cells, description.obs.len()) {
        source.obs(rows)?;
    }
    for rows in blocks(0..description.genes, description.var.len()) {
        source.var(rows)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_cover_all_rows_once() {
        for (rows, columns) in [(0..0, 0), (5..200_000, 3), (0..1000, 100_000)] {
            let covered: Vec<u64> = blocks(rows.clone(), columns).flatten().collect();
            assert_eq!(covered, rows.collect::<Vec<_>>());
        }
    }
}
