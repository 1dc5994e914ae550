//! Tiles of a sparse array, and reading rows from them.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::entries::Entries;
use crate::source::error::ErrorContext;
use crate::source::{CsrChunk, SourceError};

/// A tile and the positions of the rows it spans.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tile {
    /// First row.
    pub start: u64,
    /// End of the rows (exclusive).
    pub end: u64,
    /// Index of the fragment.
    pub fragment: usize,
    /// Index of the tile in its fragment.
    pub number: usize,
    /// Number of cells.
    pub cells: u64,
}

/// The entries of a tile. The first caller decodes them; they are kept as long as anyone holds
/// this.
pub(super) struct SharedTile {
    /// The tile.
    pub tile: Tile,
    entries: Mutex<Option<Arc<Entries>>>,
}

impl SharedTile {
    /// Creates a tile that has not been decoded yet.
    pub fn new(tile: Tile) -> Self {
        SharedTile {
            tile,
            entries: Mutex::new(None),
        }
    }

    /// Returns the entries, decoding them only once.
    pub fn entries(
        &self,
        decode: impl FnOnce(&Tile) -> Result<Entries, SourceError>,
    ) -> Result<Arc<Entries>, SourceError> {
        // A panic in another thread cannot have left this half-written.
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entries) = &*entries {
            return Ok(entries.clone());
        }
        let decoded = Arc::new(decode(&self.tile)?);
        *entries = Some(decoded.clone());
        Ok(decoded)
    }
}

/// Rows whose entries are stored in tiles.
pub(super) trait TiledRows: Sync {
    /// Returns all tiles, sorted by the first row they span.
    fn tiles(&self) -> Result<Vec<Tile>, SourceError>;

    /// Bytes per entry of a decoded tile.
    fn entry_bytes(&self) -> u64;

    /// Bytes that reading may hold in memory.
    fn memory(&self) -> u64;

    /// Where the rows are, for messages.
    fn place(&self) -> ErrorContext;

    /// Reads a slab: a range of rows, from the tiles that contain any of them.
    fn read(&self, rows: Range<u64>, tiles: &[Arc<SharedTile>]) -> Result<CsrChunk, SourceError>;
}
