//! Reads text line by line.

use std::io::{BufRead, BufReader, Read};

use crate::source::SourceError;
use crate::source::error::ErrorContext;

/// Maximum length of a line in bytes; a longer line is not part of a table.
const LONGEST: u64 = 1 << 20;

/// Reads text line by line; lines end with LF or CRLF.
pub(crate) struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    place: ErrorContext,
    line: String,
    number: u64,
    /// Whether to return the current line once more.
    again: bool,
}

impl Lines {
    /// Reads the lines of `input`; `place` names the file.
    pub fn new(input: Box<dyn Read + Send>, place: ErrorContext) -> Self {
        Lines {
            input: BufReader::with_capacity(64 << 10, input),
            place,
            line: String::new(),
            number: 0,
            again: false,
        }
    }

    /// Advances to the next line, if there is one.
    ///
    /// # Errors
    /// If the line is absurdly long or not UTF-8.
    pub fn advance(&mut self) -> Result<bool, SourceError> {
        if std::mem::take(&mut self.again) {
            return Ok(true);
        }
        let mut line = std::mem::take(&mut self.line).into_bytes();
        line.clear();
        let mut limited = Read::take(&mut self.input, LONGEST);
        let read = limited
            .read_until(b'\n', &mut line)
            .map_err(|e| self.place.io("read", e))?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        } else if read as u64 == LONGEST {
            return Err(self.place.line(self.number).damaged(format!(
                "it is longer than {LONGEST} bytes: this is no list"
            )));
        }
        if self.number == 1 && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        self.line = String::from_utf8(line).map_err(|_| {
            self.place
                .line(self.number)
                .damaged("it is not valid UTF-8")
        })?;
        Ok(true)
    }

    /// Returns the number of the current line, starting at 1, and its text without the line ending.
    pub fn current(&self) -> (u64, &str) {
        (self.number, &self.line)
    }

    /// Makes the current line come once more.
    pub fn again(&mut self) {
        self.again = true;
    }
}
