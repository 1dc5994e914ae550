//! Chunks of a tile.

use crate::source::soma::tiledb::cursor::Cursor;
use crate::source::soma::tiledb::fault::Checked;

/// Header of a chunk of a tile.
#[derive(Debug, Clone, Copy)]
pub(in crate::source::soma) struct ChunkHeader {
    /// Size before filtering, in bytes.
    pub original: usize,
    /// Size after filtering, in bytes.
    pub filtered: usize,
    /// Size of the filters' metadata, in bytes.
    pub metadata: usize,
}

impl ChunkHeader {
    /// Size of a header in bytes.
    pub const SIZE: u64 = 12;

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Checked<Self> {
        Ok(ChunkHeader {
            original: cursor.length32()?,
            filtered: cursor.length32()?,
            metadata: cursor.length32()?,
        })
    }

    /// Parses a header.
    pub fn parse(bytes: &[u8]) -> Checked<Self> {
        ChunkHeader::read(&mut Cursor::new(bytes))
    }
}
