//! Lines of a text, one by one.

use std::io::{BufRead, BufReader, Read};

use crate::source::SourceError;
use crate::source::error::Place;

/// Bytes of a line at most: a longer one is no line of a table.
const LONGEST: u64 = 1 << 20;

/// Reads a text line by line, whatever ends a line: LF or CRLF.
pub(crate) struct Lines {
    input: BufReader<Box<dyn Read + Send>>,
    place: Place,
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Lines of `input`; `place` names the file.
    pub fn new(input: Box<dyn Read + Send>, place: Place) -> Self {
        Lines {
            input: BufReader::with_capacity(64 << 10, input),
            place,
            line: Vec::new(),
            number: 0,
        }
    }

    /// The next line with its number, from 1, without what ends it.
    ///
    /// # Errors
    /// A line that is absurdly long or not UTF-8.
    pub fn next(&mut self) -> Result<Option<(u64, &str)>, SourceError> {
        self.line.clear();
        let mut limited = Read::take(&mut self.input, LONGEST);
        let read = limited
            .read_until(b'\n', &mut self.line)
            .map_err(|e| self.place.io("read", e))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        let place = self.place.line(self.number);
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
            if self.line.last() == Some(&b'\r') {
                self.line.pop();
            }
        } else if read as u64 == LONGEST {
            return Err(place.damaged(format!(
                "it is longer than {} bytes: this is no list",
                LONGEST
            )));
        }
        let start = if self.number == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        match std::str::from_utf8(&self.line[start..]) {
            Ok(line) => Ok(Some((self.number, line))),
            Err(_) => Err(place.damaged("it is not valid UTF-8")),
        }
    }
}
