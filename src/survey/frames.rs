//! The columns of cells and genes, read once before anything is written.

use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::{CellSource, SourceError};

/// Reads all columns and forgets them: a frame that cannot be read must not be found out after
/// hours of writing the matrix.
pub(super) fn check(source: &dyn CellSource) -> Result<(), SourceError> {
    let description = source.description();
    let mut blocks = RowBlocks::new(0..description.cells, description.obs.len());
    while let Some(rows) = blocks.next() {
        blocks.held(bytes_of(source.obs(rows)?.columns()));
    }
    let mut blocks = RowBlocks::new(0..description.genes, description.var.len());
    while let Some(rows) = blocks.next() {
        blocks.held(bytes_of(source.var(rows)?.columns()));
    }
    Ok(())
}
