//! Tiles of a dense fragment.

use std::ops::Range;

use super::super::cursor::Cursor;
use super::super::fault::{Checked, Fault, reserved};
use super::super::filter::{ChunkHeader, Scratch};
use super::ColumnFile;
use crate::source::SourceError;

/// The tiles of a dense fragment, from which ranges of cells are read.
pub(in crate::source::soma) struct DenseTiles(ColumnFile);

impl DenseTiles {
    /// Treats a column as one of a dense fragment.
    pub fn new(column: ColumnFile) -> Self {
        DenseTiles(column)
    }

    /// Reads some of the cells of a tile with `cells` cells, decoding only the chunks that are
    /// needed.
    pub fn read(
        &self,
        tile: usize,
        cells: u64,
        wanted: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<Vec<u8>, SourceError> {
        let column = &self.0;
        let mut buffer = Vec::new();
        column.fixed.read(&column.folder, tile, &mut buffer)?;
        self.decode(&buffer, cells, wanted, scratch)
            .map_err(|fault| fault.at(&column.place()))
    }

    fn decode(
        &self,
        tile: &[u8],
        cells: u64,
        wanted: Range<u64>,
        scratch: &mut Scratch,
    ) -> Checked<Vec<u8>> {
        let column = &self.0;
        let width = column.cell.unwrap_or(1);
        let position = |cell: u64| cell.saturating_mul(width as u64);
        let (all, start, end) = (
            position(cells),
            position(wanted.start),
            position(wanted.end),
        );
        let length = column.bytes(wanted.end - wanted.start, width)?;
        let mut out = reserved(length)?;
        let mut decoded = Vec::new();
        let mut cursor = Cursor::new(tile);
        let chunks = cursor.u64()?;
        let chunks = cursor.count(chunks, ChunkHeader::SIZE as usize)?;
        let mut at = 0u64;
        for _ in 0..chunks {
            let header = ChunkHeader::parse(cursor.take(ChunkHeader::SIZE as usize)?)?;
            let metadata = cursor.take(header.metadata)?;
            let data = cursor.take(header.filtered)?;
            let chunk = at..at.saturating_add(header.original as u64);
            at = chunk.end;
            if at > all {
                return Err(Fault::damaged("a tile holds more than its cells"));
            }
            let from = start.max(chunk.start);
            let to = end.min(chunk.end);
            if from >= to {
                continue;
            }
            decoded.clear();
            column.filters.decode_chunk(
                header,
                metadata,
                data,
                column.datatype,
                &mut decoded,
                scratch,
            )?;
            out.extend_from_slice(
                &decoded[(from - chunk.start) as usize..(to - chunk.start) as usize],
            );
        }
        if at != all || out.len() != length {
            return Err(Fault::damaged(format!(
                "a tile holds {at} bytes where {all} are expected"
            )));
        }
        Ok(out)
    }
}
