//! Reads a file's text in blocks of whole lines; reading and decompression run on a separate
//! thread.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::header::{Header, HeaderReader};
use crate::source::SourceError;
use crate::source::error::ErrorContext;
use crate::source::text::TextFile;

/// Size of a block in bytes.
pub(super) const BLOCK: usize = 256 << 10;

/// Number of blocks that may wait to be taken.
const WAITING: usize = 4;

/// Maximum length of a line in bytes; comments may be long.
const LONGEST_LINE: usize = 1 << 22;

/// Whole lines of a file.
#[derive(Debug)]
pub(super) struct Block {
    /// The text of the lines.
    pub text: Vec<u8>,
    /// Number of its first line, starting at 1.
    first_line: u64,
}

impl Block {
    /// Returns the number of the line at this offset.
    pub fn line_at(&self, at: usize) -> u64 {
        self.first_line + memchr::memchr_iter(b'\n', &self.text[..at]).count() as u64
    }
}

/// A part of a block, consisting of whole lines.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// The block.
    pub block: Arc<Block>,
    /// Offset of the first byte in the block.
    pub start: usize,
    /// Offset of the end in the block (exclusive).
    pub end: usize,
}

impl Segment {
    /// Creates a segment from a range of text whose position in its file is irrelevant.
    pub fn alone(text: Vec<u8>, range: Range<usize>) -> Self {
        Segment {
            block: Arc::new(Block {
                text,
                first_line: 1,
            }),
            start: range.start,
            end: range.end,
        }
    }

    /// The text of the lines.
    pub fn text(&self) -> &[u8] {
        &self.block.text[self.start..self.end]
    }

    /// Length in bytes.
    pub fn bytes(&self) -> usize {
        self.end - self.start
    }

    /// Returns the number of the line at this offset of the segment.
    pub fn line_at(&self, at: usize) -> u64 {
        self.block.line_at(self.start + at)
    }
}

/// The blocks of a file that follow its header.
pub(super) struct Blocks {
    receiver: Receiver<Result<Block, SourceError>>,
    place: ErrorContext,
    ended: bool,
}

impl Blocks {
    /// Starts to read a file. Returns its header, and what follows it in the same block.
    pub fn open(file: &TextFile, size: usize) -> Result<(Header, Segment, Self), SourceError> {
        let input = file.open()?;
        let place = file.place();
        let (sender, receiver) = sync_channel(WAITING);
        let cutter = BlockCutter {
            input,
            place: place.clone(),
            size,
            rest: Vec::new(),
            next_line: 1,
        };
        std::thread::Builder::new()
            .name("slaf-inflate".into())
            .spawn(move || cutter.run(&sender))
            .map_err(|e| place.io("start a thread for", e))?;
        let mut blocks = Blocks {
            receiver,
            place,
            ended: false,
        };
        let (header, rest) = blocks.header()?;
        Ok((header, rest, blocks))
    }

    fn header(&mut self) -> Result<(Header, Segment), SourceError> {
        let mut reader = HeaderReader::default();
        while let Some(segment) = self.next()? {
            let mut start = 0;
            let text = &segment.block.text;
            let mut number = segment.block.first_line;
            while start < text.len() {
                let length = memchr::memchr(b'\n', &text[start..]);
                let end = length.map_or(text.len(), |length| start + length + 1);
                let header = reader.add(&text[start..end], &self.place.line(number))?;
                start = end;
                number += 1;
                if let Some(header) = header {
                    return Ok((header, Segment { start, ..segment }));
                }
            }
        }
        Err(self
            .place
            .damaged("it ends before its sizes: there is no line of rows, columns and entries"))
    }

    /// Returns the next block; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Segment>, SourceError> {
        if self.ended {
            return Ok(None);
        }
        match self.receiver.recv() {
            Ok(Ok(block)) if block.text.is_empty() => {
                self.ended = true;
                Ok(None)
            }
            Ok(Ok(block)) => Ok(Some(Segment {
                start: 0,
                end: block.text.len(),
                block: Arc::new(block),
            })),
            Ok(Err(error)) => {
                self.ended = true;
                Err(error)
            }
            // The thread never goes without a last word, unless it panicked.
            Err(_) => Err(self.place.died()),
        }
    }
}

/// Cuts text into blocks. Where blocks end depends only on the text.
struct BlockCutter {
    input: Box<dyn Read + Send>,
    place: ErrorContext,
    size: usize,
    /// The beginning of a line whose end has not been read yet.
    rest: Vec<u8>,
    next_line: u64,
}

impl BlockCutter {
    /// Sends all blocks, followed by an empty one or an error.
    fn run(mut self, sender: &SyncSender<Result<Block, SourceError>>) {
        loop {
            let block = self.next();
            let last = block.as_ref().map_or(true, |block| block.text.is_empty());
            // If the receiver is gone, no more blocks are needed.
            if sender.send(block).is_err() || last {
                return;
            }
        }
    }

    fn next(&mut self) -> Result<Block, SourceError> {
        let mut text = std::mem::take(&mut self.rest);
        text.reserve_exact(self.size.saturating_sub(text.len()) + 1);
        let mut searched = 0;
        loop {
            // At least one byte more than there is, up to a multiple of the block size.
            let wanted = (text.len() / self.size + 1) * self.size - text.len();
            let read = self
                .input
                .by_ref()
                .take(wanted as u64)
                .read_to_end(&mut text)
                .map_err(|e| self.place.io("read", e))?;
            if read < wanted {
                // At the end of the file, the last line may lack a line ending.
                if text.last().is_some_and(|&byte| byte != b'\n') {
                    text.push(b'\n');
                }
                return Ok(self.block(text));
            }
            if let Some(end) = memchr::memrchr(b'\n', &text[searched..]) {
                self.rest = text.split_off(searched + end + 1);
                return Ok(self.block(text));
            }
            searched = text.len();
            if searched > LONGEST_LINE {
                return Err(self.place.line(self.next_line).damaged(format!(
                    "it is longer than {LONGEST_LINE} bytes: this is no matrix"
                )));
            }
        }
    }

    fn block(&mut self, text: Vec<u8>) -> Block {
        let first_line = self.next_line;
        self.next_line += memchr::memchr_iter(b'\n', &text).count() as u64;
        Block { text, first_line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str, size: usize) -> Result<Vec<(u64, String)>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let opened = Blocks::open(&TextFile::new(file.path()), size);
        let (_, first, mut blocks) = opened.map_err(|e| e.to_string())?;
        let mut found = Vec::new();
        let mut next = Some(first);
        while let Some(segment) = next {
            let text = String::from_utf8(segment.text().to_vec()).unwrap();
            found.push((segment.line_at(0), text));
            next = blocks.next().map_err(|e| e.to_string())?;
        }
        Ok(found)
    }

    const HEAD: &str = "%%MatrixMarket matrix coordinate integer general\n%\n3 3 3\n";

    #[test]
    fn blocks_are_whole_lines() {
        let text = format!("{HEAD}1 1 1\n2 2 2\n3 3 3");
        for size in 1..100 {
            let found = blocks(&text, size).unwrap();
            let all: String = found.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(all, "1 1 1\n2 2 2\n3 3 3\n", "{size}");
            for (line, text) in found.iter().filter(|(_, text)| !text.is_empty()) {
                assert!(text.ends_with('\n'));
                let first = text.as_bytes()[0] - b'0';
                assert_eq!(*line, 3 + u64::from(first), "{size}");
            }
        }
    }

    #[test]
    fn lines_without_end_are_refused() {
        let text = format!("{HEAD}{}", "1".repeat(10 << 20));
        assert!(blocks(&text, BLOCK).unwrap_err().contains("line 4"));
        let message = blocks(&"x".repeat(10 << 20), BLOCK).unwrap_err();
        assert!(message.contains("line 1"), "{message}");
        let comment = format!(
            "%%MatrixMarket matrix coordinate integer general\n%{}\n1 1 0\n",
            "x".repeat(1 << 20)
        );
        assert_eq!(blocks(&comment, BLOCK).unwrap().len(), 1);
        assert!(
            blocks("%%MatrixMarket matrix coordinate integer general\n", BLOCK)
                .unwrap_err()
                .contains("ends before")
        );
        assert!(blocks("", BLOCK).unwrap_err().contains("ends before"));
    }
}
