//! Cuts a range of cells into chunks.

use std::ops::Range;

use super::blocks::Segment;
use super::matrix::MtxMatrix;
use super::stream::Stream;
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::{ChunkBudget, PendingChunk, SourceError};

/// Typical number of bytes of text per entry.
const TEXT: u64 = 11;

/// Bytes that a cell without entries takes in a chunk and afterwards.
const CELL_BYTES: u64 = 64;

/// Cuts a range of cells into chunks within the budget.
pub(super) struct LineChunker<'a> {
    matrix: &'a MtxMatrix,
    stream: Option<Stream>,
    /// Cells that have not been cut yet.
    cells: Range<u64>,
    /// Limits for a chunk: bytes of text, and number of cells.
    text: usize,
    most_cells: u64,
    failed: bool,
}

impl<'a> LineChunker<'a> {
    /// Cuts a range of cells into chunks within the budget.
    pub fn new(matrix: &'a MtxMatrix, cells: Range<u64>, budget: ChunkBudget) -> Self {
        let entry = TEXT + matrix.entry_bytes() + EXPANDED_BYTES;
        // Regardless of the budget: larger chunks are not faster, but take more memory.
        let most = budget.bytes.min(matrix.memory() / 4);
        let cells_that_fit = (budget.bytes / CELL_BYTES).clamp(1, 1 << 20);
        LineChunker {
            matrix,
            stream: None,
            cells,
            text: ((most / entry * TEXT) as usize).max(1),
            most_cells: budget.cells.clamp(1, cells_that_fit),
            failed: false,
        }
    }

    fn cut(&mut self) -> Result<PendingChunk<'a>, SourceError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.matrix.stream(self.cells.start)?,
        };
        let end = self.end(&mut stream)?;
        let total = self.matrix.cells();
        let cells = self.cells.start..end;
        let segments = if end == total {
            stream.take_all()
        } else {
            stream.take(end, end == self.cells.end)?
        };
        self.cells.start = end;
        let tally = stream.tally.clone();
        if end == total {
            // Whichever reader finishes last checks the number of entries.
            self.matrix.check_count(tally.done(0))?;
        } else if self.cells.is_empty() {
            self.matrix.park(end, stream);
        } else {
            self.stream = Some(stream);
        }
        let matrix = self.matrix;
        let lines: usize = segments.iter().map(lines).sum();
        Ok(PendingChunk::new(cells.clone(), lines as u64, move || {
            matrix.read(cells, &segments, lines, &tally)
        }))
    }

    /// Returns the end of the next chunk. All text before that cell has been read by then.
    fn end(&self, stream: &mut Stream) -> Result<u64, SourceError> {
        let start = self.cells.start;
        let total = self.matrix.cells();
        let limit = self.cells.end.min(start + self.most_cells);
        while !stream.ended()
            && stream.bytes() <= self.text
            && (stream.last() < limit || limit == total)
        {
            stream.more()?;
        }
        if stream.bytes() <= self.text && (stream.ended() || stream.last() >= limit) {
            return Ok(limit);
        }
        loop {
            // The cell in which the text becomes too long ends the chunk.
            let cell = match stream.cell_near(self.text)? {
                Some(cell) if cell > start => Some(cell),
                _ => stream.next_cell(start)?,
            };
            match cell {
                Some(cell) => return Ok(cell.min(limit)),
                None if stream.ended() => return Ok(limit),
                None => self.check_size(stream)?,
            }
            stream.more()?;
        }
    }

    /// Checks that a single cell fits in memory.
    fn check_size(&self, stream: &Stream) -> Result<(), SourceError> {
        let entry = self.matrix.entry_bytes() + EXPANDED_BYTES;
        let needed = stream.bytes() as u64 / TEXT * (TEXT + entry);
        if needed > self.matrix.memory() {
            return Err(self.matrix.place().too_large(
                format!("cell {} with its entries", self.cells.start + 1),
                needed,
                needed.saturating_mul(2),
            ));
        }
        Ok(())
    }
}

fn lines(segment: &Segment) -> usize {
    memchr::memchr_iter(b'\n', segment.text()).count()
}

impl<'a> Iterator for LineChunker<'a> {
    type Item = Result<PendingChunk<'a>, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.cells.is_empty() {
            return None;
        }
        let chunk = self.cut().map_err(|error| self.matrix.noticed(error));
        self.failed = chunk.is_err();
        Some(chunk)
    }
}
