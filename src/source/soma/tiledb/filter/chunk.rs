//! The chunks into which a tile is divided.

use crate::source::soma::tiledb::cursor::Cursor;
use crate::source::soma::tiledb::fault::Checked;

/// The header of one of the chunks into which a tile is divided.
#[derive(Debug, Clone, Copy)]
pub(in crate::source::soma) struct ChunkHeader {
    /// Bytes before and after the filters, and of what the filters say.
    pub original: usize,
    pub filtered: usize,
    pub metadata: usize,
}

impl ChunkHeader {
    /// Bytes of a header.
    pub const SIZE: u64 = 12;

    pub(super) fn read(cursor: &mut Cursor<'_>) -> Checked<Self> {
        Ok(ChunkHeader {
            original: cursor.length32()?,
            filtered: cursor.length32()?,
            metadata: cursor.length32()?,
        })
    }

    pub fn parse(bytes: &[u8]) -> Checked<Self> {
        ChunkHeader::read(&mut Cursor::new(bytes))
    }
}
