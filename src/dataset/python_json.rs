//! JSON as Python writes it: `NaN`, `Infinity` and `-Infinity` are numbers there.

use std::io::{BufRead, Read, Result};

/// Reads JSON, and in place of numbers that it does not have texts that nobody else writes.
pub(super) struct PythonJson<R> {
    inner: R,
    within: Within,
    /// What is still to be given out, the last byte first.
    pending: Vec<u8>,
}

/// Where the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Structure,
    Text,
    /// In a text, after a backslash.
    Escape,
}

impl<R: BufRead> PythonJson<R> {
    pub fn of(inner: R) -> Self {
        PythonJson {
            inner,
            within: Within::Structure,
            pending: Vec::new(),
        }
    }

    fn take(&mut self) -> Result<Option<u8>> {
        if let Some(byte) = self.pending.pop() {
            return Ok(Some(byte));
        }
        let Some(byte) = self.read_one()? else {
            return Ok(None);
        };
        self.within = match (self.within, byte) {
            (Within::Structure, b'"') => Within::Text,
            (Within::Structure, b'N' | b'I') => return self.number(byte),
            (Within::Structure, b'-') if self.next_is(b'I')? => return self.number(byte),
            (Within::Text, b'"') => Within::Structure,
            (Within::Text, b'\\') => Within::Escape,
            (Within::Escape, _) => Within::Text,
            (within, _) => within,
        };
        Ok(Some(byte))
    }

    /// The text that stands for a number; what only begins like one is left as it is.
    fn number(&mut self, first: u8) -> Result<Option<u8>> {
        let names: &[u8] = match first {
            b'N' => b"NaN",
            b'I' => b"Infinity",
            _ => b"-Infinity",
        };
        for &wanted in &names[1..] {
            if !self.next_is(wanted)? {
                // No value begins like this.
                return Ok(Some(b'!'));
            }
            self.inner.consume(1);
        }
        let text = [b"\"\\u0000", names, b"\""].concat();
        self.pending.extend(text.iter().rev());
        Ok(self.pending.pop())
    }

    fn next_is(&mut self, wanted: u8) -> Result<bool> {
        Ok(self.inner.fill_buf()?.first() == Some(&wanted))
    }

    fn read_one(&mut self) -> Result<Option<u8>> {
        let byte = self.inner.fill_buf()?.first().copied();
        self.inner.consume(usize::from(byte.is_some()));
        Ok(byte)
    }
}

impl<R: BufRead> Read for PythonJson<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut read = 0;
        while read < buffer.len()
            && let Some(byte) = self.take()?
        {
            buffer[read] = byte;
            read += 1;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_lacks_become_texts() {
        let json = |text: &str| {
            serde_json::from_reader::<_, serde_json::Value>(PythonJson::of(text.as_bytes()))
        };
        let read =
            json(r#"{"NaN": [NaN, -Infinity, Infinity, -1, "\"NaN\\"], "I": -2.5}"#).unwrap();
        let texts = &read["NaN"];
        assert_eq!(texts[0], "\0NaN");
        assert_eq!(texts[1], "\0-Infinity");
        assert_eq!(texts[2], "\0Infinity");
        assert_eq!(texts[3], -1);
        assert_eq!(texts[4], "\"NaN\\");
        assert_eq!(read["I"], -2.5);
        for wrong in ["[Na]", "[N", "[-Inf]", "[Infinitely]"] {
            assert!(json(wrong).is_err(), "{wrong}");
        }
    }
}
