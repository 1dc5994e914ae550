//! Samples of a file's entries.

use std::os::unix::fs::FileExt;

use super::blocks::{Blocks, Segment};
use crate::source::SourceError;
use crate::source::text::TextFile;

/// Number of blocks to read from a compressed file; later parts cannot be accessed directly.
const FIRST_BLOCKS: usize = 8;

/// Number of pieces of a plain file, and size of each in bytes.
const PIECES: u64 = 64;
const PIECE: u64 = 32 << 10;

/// Visits segments of a file: its beginning and, if its text can be read at any position, pieces
/// from all over it.
pub(super) fn pieces(
    file: &TextFile,
    block: usize,
    visit: &mut dyn FnMut(&Segment) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let (_, first, mut blocks) = Blocks::open(file, block)?;
    visit(&first)?;
    for _ in 1..FIRST_BLOCKS {
        match blocks.next()? {
            Some(segment) => visit(&segment)?,
            None => return Ok(()),
        }
    }
    drop(blocks);
    let Some(plain) = file.plain()? else {
        return Ok(());
    };
    let io = |e| file.place().io("read", e);
    let length = plain.metadata().map_err(io)?.len();
    let skipped = (FIRST_BLOCKS * block) as u64;
    if length < skipped + PIECES * PIECE {
        return Ok(());
    }
    for piece in 0..PIECES {
        let at = skipped + (length - skipped - PIECE) / (PIECES - 1) * piece;
        let mut text = vec![0; PIECE as usize];
        let read = plain.read_at(&mut text, at).map_err(io)?;
        text.truncate(read);
        // Whole lines only.
        let start = memchr::memchr(b'\n', &text).map_or(text.len(), |end| end + 1);
        let end = memchr::memrchr(b'\n', &text).map_or(start, |end| end + 1);
        // Any error there is found again, and reported with its line, when it is read.
        let _ = visit(&Segment::alone(text, start..end.max(start)));
    }
    Ok(())
}
