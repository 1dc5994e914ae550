//! The entries of a file as a stream of text that is cut at cell boundaries.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::blocks::{Blocks, Segment};
use super::entries::{Cell, Fault, cell_at};
use crate::source::SourceError;
use crate::source::error::ErrorContext;

/// Number of entries read from a stream, by all threads together.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Number of entries read.
    entries: AtomicU64,
    /// Number of pieces of text still to be read, plus one until the end has been reached.
    open: AtomicU64,
}

impl Tally {
    /// Records that a piece with this many entries has been read. Returns the total if it was the
    /// last one.
    pub fn done(&self, entries: u64) -> Option<u64> {
        self.entries.fetch_add(entries, Ordering::AcqRel);
        let open = self.open.fetch_sub(1, Ordering::AcqRel);
        (open == 1).then(|| self.entries.load(Ordering::Acquire))
    }
}

/// The text of a file after its header, starting at some cell.
pub(super) struct Stream {
    blocks: Blocks,
    segments: VecDeque<Segment>,
    bytes: usize,
    order: Cell,
    place: ErrorContext,
    /// The last cell of the last segment.
    last: u64,
    ended: bool,
    /// Counts the entries that have been read.
    pub tally: Arc<Tally>,
}

impl Stream {
    /// Creates a stream at the beginning of a file; the first segment is what followed the header.
    pub fn new(
        first: Segment,
        blocks: Blocks,
        order: Cell,
        place: ErrorContext,
    ) -> Result<Self, SourceError> {
        let mut stream = Stream {
            blocks,
            segments: VecDeque::new(),
            bytes: 0,
            order,
            place,
            last: 0,
            ended: false,
            tally: Arc::new(Tally {
                entries: AtomicU64::new(0),
                open: AtomicU64::new(1),
            }),
        };
        stream.push(first)?;
        Ok(stream)
    }

    /// Number of bytes of text that are buffered.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether all text has been buffered.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Cell of the last entry that is buffered; 0 if there is none.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Reads more text.
    pub fn more(&mut self) -> Result<(), SourceError> {
        match self.blocks.next()? {
            Some(segment) => self.push(segment),
            None => {
                self.ended = true;
                Ok(())
            }
        }
    }

    fn push(&mut self, segment: Segment) -> Result<(), SourceError> {
        // A segment of blank lines and comments belongs to whatever precedes it.
        if let Some(first) = self.cell_from(&segment, 0)? {
            let last = self.last_cell(&segment)?.unwrap_or(first.1);
            if first.1 < self.last || last < first.1 {
                return Err(self.place.order_lost());
            }
            self.last = last;
        }
        if segment.bytes() > 0 {
            self.bytes += segment.bytes();
            self.segments.push_back(segment);
        }
        Ok(())
    }

    fn fault(&self, segment: &Segment, fault: Fault) -> SourceError {
        match fault {
            Fault::Line(at, problem) => self.place.line(segment.line_at(at)).damaged(problem),
            Fault::Order => self.place.order_lost(),
        }
    }

    /// Returns the first entry at or after the beginning of a line: the offset of its line, and its
    /// cell.
    fn cell_from(
        &self,
        segment: &Segment,
        start: usize,
    ) -> Result<Option<(usize, u64)>, SourceError> {
        let text = segment.text();
        let mut at = start;
        while at < text.len() {
            let cell = cell_at(text, at, self.order).map_err(|fault| self.fault(segment, fault))?;
            if let Some(cell) = cell {
                return Ok(Some((at, cell)));
            }
            at = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end + 1);
        }
        Ok(None)
    }

    fn last_cell(&self, segment: &Segment) -> Result<Option<u64>, SourceError> {
        let text = segment.text();
        let mut end = text.len();
        while end > 0 {
            let start = memchr::memrchr(b'\n', &text[..end - 1]).map_or(0, |newline| newline + 1);
            let cell =
                cell_at(text, start, self.order).map_err(|fault| self.fault(segment, fault))?;
            if cell.is_some() {
                return Ok(cell);
            }
            end = start;
        }
        Ok(None)
    }

    /// Binary search in a sorted segment for the first line whose cell is at least `cell`.
    fn search(&self, segment: &Segment, cell: u64) -> Result<usize, SourceError> {
        let text = segment.text();
        // Every entry before `low` has a smaller cell, and none from `high` on does.
        let (mut low, mut high) = (0, text.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let line = memchr::memrchr(b'\n', &text[low..middle]).map_or(low, |at| low + at + 1);
            match self.cell_from(segment, line)? {
                Some((at, found)) if at < high && found < cell => {
                    low = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |end| at + end + 1);
                }
                _ => high = line,
            }
        }
        Ok(low)
    }

    /// Likewise, but line by line. The result does not depend on where the segment begins or on its
    /// order.
    fn scan(&self, segment: &Segment, cell: u64) -> Result<usize, SourceError> {
        let text = segment.text();
        let mut at = 0;
        while let Some((start, found)) = self.cell_from(segment, at)? {
            if found >= cell {
                return Ok(start);
            }
            at = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |end| start + end + 1);
        }
        Ok(text.len())
    }

    /// Returns the cell of the entry at, or next after, an offset in the text.
    pub fn cell_near(&self, mut at: usize) -> Result<Option<u64>, SourceError> {
        for segment in &self.segments {
            if at < segment.bytes() {
                let text = segment.text();
                let line = memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1);
                if let Some((_, cell)) = self.cell_from(segment, line)? {
                    return Ok(Some(cell));
                }
                at = 0;
            } else {
                at -= segment.bytes();
            }
        }
        Ok(None)
    }

    /// Returns the first cell after `cell` that has an entry in the buffered text.
    pub fn next_cell(&self, cell: u64) -> Result<Option<u64>, SourceError> {
        for segment in &self.segments {
            if self.last_cell(segment)?.is_some_and(|last| last > cell) {
                let at = self.search(segment, cell + 1)?;
                if let Some((_, found)) = self.cell_from(segment, at)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    /// Takes the text of all cells before `end`. With `exactly`, the cut depends only on the file,
    /// so that a reader that begins there neither misses an entry nor reads one twice.
    pub fn take(&mut self, end: u64, exactly: bool) -> Result<Vec<Segment>, SourceError> {
        let mut taken = Vec::new();
        while let Some(segment) = self.segments.front() {
            let whole = match self.last_cell(segment)? {
                Some(last) => last < end,
                None => true,
            };
            let cut = match (whole, exactly) {
                (true, _) => segment.bytes(),
                (false, true) => self.scan(segment, end)?,
                (false, false) => self.search(segment, end)?,
            };
            let cut = segment.start + cut;
            self.bytes -= cut - segment.start;
            if cut > segment.start {
                taken.push(Segment {
                    end: cut,
                    ..segment.clone()
                });
            }
            if whole {
                self.segments.pop_front();
            } else {
                if let Some(segment) = self.segments.front_mut() {
                    segment.start = cut;
                }
                break;
            }
        }
        self.tally.open.fetch_add(1, Ordering::AcqRel);
        Ok(taken)
    }

    /// Takes all buffered text.
    pub fn take_all(&mut self) -> Vec<Segment> {
        self.bytes = 0;
        self.tally.open.fetch_add(1, Ordering::AcqRel);
        self.segments.drain(..).collect()
    }

    /// Skips the cells before `cell` and counts their entries.
    pub fn skip_to(&mut self, cell: u64) -> Result<(), SourceError> {
        loop {
            let passed = self.take(cell, true)?;
            let lines = passed.iter().map(|segment| self.count(segment)).sum();
            self.tally.done(lines);
            if !self.segments.is_empty() || self.ended {
                return Ok(());
            }
            self.more()?;
        }
    }

    /// Number of lines with an entry.
    fn count(&self, segment: &Segment) -> u64 {
        let text = segment.text();
        let mut start = 0;
        let mut lines = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            let first = text[start];
            let entry = first.is_ascii_digit() || {
                let line = text[start..end].trim_ascii();
                !line.is_empty() && line[0] != b'%'
            };
            lines += u64::from(entry);
            start = end + 1;
        }
        lines
    }
}
