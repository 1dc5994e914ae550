//! First pass over the obs and var columns, before anything is written.

use super::gene_lists::{ColumnDigest, Digested, STABLE_IDS};
use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::{CellSource, SourceError};

/// Reads and discards all columns, so that a frame that cannot be read is not discovered after
/// hours of writing the matrix. Returns the digest of the genes' stable identifiers.
pub(super) fn check(source: &dyn CellSource) -> Result<Digested, SourceError> {
    let description = source.description();
    let mut blocks = RowBlocks::new(0..description.n_obs, description.obs.len());
    while let Some((_, obs)) = blocks.read(|rows| source.obs(rows))? {
        blocks.held(bytes_of(obs.columns()));
    }
    let mut stable_ids = ColumnDigest::of(&description.var, STABLE_IDS);
    let mut blocks = RowBlocks::new(0..description.n_vars, description.var.len());
    while let Some((_, var)) = blocks.read(|rows| source.var(rows))? {
        stable_ids.add(var.columns());
        blocks.held(bytes_of(var.columns()));
    }
    Ok(stable_ids.finish())
}
