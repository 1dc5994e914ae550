//! Cuts rows into slabs whose height depends on the number of entries.

use std::ops::Range;
use std::sync::Arc;

use super::tile::{SharedTile, Tile, TiledRows};
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::{ChunkBudget, PendingChunk, SourceError};

/// Iterates over the rows. Tiles that extend over a cut are kept until the slab in which they end
/// has been read, so that each is decoded only once.
pub(super) struct TileChunker<'a, M> {
    matrix: &'a M,
    /// Rows that have not been cut yet.
    rows: Range<u64>,
    /// Tiles that begin later, in descending order of their first rows.
    later: Vec<Tile>,
    /// Tiles that have begun but not ended.
    open: Vec<Arc<SharedTile>>,
    entries: u64,
    cells: u64,
    failed: bool,
}

impl<'a, M: TiledRows> TileChunker<'a, M> {
    /// Cuts a range of rows into slabs within the budget.
    pub fn new(matrix: &'a M, rows: Range<u64>, budget: ChunkBudget) -> Result<Self, SourceError> {
        let mut tiles = matrix.tiles()?;
        tiles.retain(|tile| tile.start < rows.end && tile.end > rows.start);
        tiles.reverse();
        // As stored, as sorted and as expanded.
        let entry = matrix.entry_bytes() * 2 + EXPANDED_BYTES;
        Ok(TileChunker {
            matrix,
            rows,
            later: tiles,
            open: Vec::new(),
            entries: (budget.bytes / entry).max(1),
            cells: budget.cells.max(1),
            failed: false,
        })
    }

    /// Opens the tiles that begin before a row.
    fn begin(&mut self, before: u64) {
        while let Some(tile) = self.later.pop_if(|tile| tile.start < before) {
            self.open.push(Arc::new(SharedTile::new(tile)));
        }
    }

    /// Determines where the next slab ends: as far as the entries of the tiles, assumed to be
    /// spread evenly over their rows, stay within the budget.
    fn height(&mut self) -> (u64, u64) {
        let limit = self.entries as f64;
        let last = self
            .rows
            .end
            .min(self.rows.start.saturating_add(self.cells));
        let (mut row, mut entries) = (self.rows.start, 0.0);
        while row < last {
            self.begin(row + 1);
            let here = self.open.iter().filter(|shared| shared.tile.end > row);
            let (mut density, mut event) = (0.0, last);
            for SharedTile { tile, .. } in here.map(|shared| &**shared) {
                density += tile.cells as f64 / (tile.end - tile.start) as f64;
                event = event.min(tile.end);
            }
            if let Some(next) = self.later.last() {
                event = event.min(next.start);
            }
            // Tiles that begin at this row are already open.
            let event = event.max(row + 1);
            let room = if density > 0.0 {
                ((limit - entries) / density) as u64
            } else {
                u64::MAX
            };
            if room < event - row {
                row += room;
                entries += density * room as f64;
                break;
            }
            entries += density * (event - row) as f64;
            row = event;
        }
        let end = row.clamp(self.rows.start + 1, last);
        (end, entries.max(0.0) as u64)
    }

    fn cut(&mut self) -> Result<PendingChunk<'a>, SourceError> {
        let (end, entries) = self.height();
        self.begin(end);
        let rows = self.rows.start..end;
        self.rows.start = end;
        // A tile may have been opened for a row that the slab did not reach.
        let mut tiles: Vec<_> = self
            .open
            .iter()
            .filter(|shared| shared.tile.start < end)
            .cloned()
            .collect();
        tiles.sort_by_key(|shared| (shared.tile.fragment, shared.tile.number));
        self.open.retain(|shared| shared.tile.end > end);
        let kept = self.open.iter().map(|shared| shared.tile.cells);
        let kept = kept
            .fold(0, u64::saturating_add)
            .saturating_mul(self.matrix.entry_bytes());
        if kept > self.matrix.memory() / 4 {
            return Err(self.matrix.place().too_large(
                format!(
                    "holding the {} tiles that row {end} goes through",
                    self.open.len()
                ),
                kept,
                kept.saturating_mul(8),
            ));
        }
        let matrix = self.matrix;
        let slab = rows.clone();
        Ok(PendingChunk::new(rows, entries, move || {
            matrix.read(slab, &tiles)
        }))
    }
}

impl<'a, M: TiledRows> Iterator for TileChunker<'a, M> {
    type Item = Result<PendingChunk<'a>, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.rows.is_empty() {
            return None;
        }
        let chunk = self.cut();
        self.failed = chunk.is_err();
        Some(chunk)
    }
}
