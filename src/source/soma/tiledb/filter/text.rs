//! Variable-length text, run-length or dictionary encoded
//! (format_spec/filters/dictionary_encoding.md; the third number of a chunk's header, the size of
//! its offsets in bytes, is only documented in libtiledb's source). Integers are big-endian.

use super::super::cursor::{Cursor, big_endian};
use super::super::fault::{Checked, Fault};

/// How text is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::soma) enum TextEncoding {
    /// Repeat count, length and bytes of each value.
    RunLength,
    /// Indices into a list of values.
    Dictionary,
}

/// Concatenated text values and the start of each.
#[derive(Debug, Default, PartialEq)]
pub(in crate::source::soma) struct Texts {
    /// The values, concatenated.
    pub bytes: Vec<u8>,
    /// Start of each value in `bytes`.
    pub offsets: Vec<u64>,
}

/// Limits for the decoded text.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Number of bytes.
    pub expected: usize,
    /// Number of values.
    pub count: usize,
}

impl Texts {
    fn push(&mut self, text: &[u8], limits: Limits) -> Checked<()> {
        if self.offsets.len() >= limits.count || text.len() > limits.expected - self.bytes.len() {
            return Err(Fault::damaged("a tile holds more text than is expected"));
        }
        self.offsets.push(self.bytes.len() as u64);
        self.bytes.extend_from_slice(text);
        Ok(())
    }
}

/// Reads the width of integers: 1, 2, 4 or 8 bytes.
fn width(cursor: &mut Cursor<'_>) -> Checked<usize> {
    match cursor.u8()? {
        width @ (1 | 2 | 4 | 8) => Ok(width.into()),
        other => Err(Fault::damaged(format!("integers of {other} bytes"))),
    }
}

fn take_integer(cursor: &mut Cursor<'_>, width: usize) -> Checked<usize> {
    usize::try_from(big_endian(cursor.take(width)?))
        .map_err(|_| Fault::damaged("a length that cannot be"))
}

/// Appends the text values of one chunk.
pub(super) fn decode(
    encoding: TextEncoding,
    metadata: &[u8],
    data: &[u8],
    limits: Limits,
    texts: &mut Texts,
) -> Checked<()> {
    let mut cursor = Cursor::new(metadata);
    let (inner, _parts) = (cursor.u32()?, cursor.u32()?);
    // Lengths of the inner metadata and of the data, before and after, and of the offsets.
    let inner = cursor.count(u64::from(inner) + 1, 8)?;
    cursor.take(inner * 8)?;
    cursor.u32()?;
    match encoding {
        TextEncoding::RunLength => {
            let (count_width, length_width) = (width(&mut cursor)?, width(&mut cursor)?);
            let mut data = Cursor::new(data);
            while !data.rest().is_empty() {
                let times = take_integer(&mut data, count_width)?;
                let length = take_integer(&mut data, length_width)?;
                let text = data.take(length)?;
                for _ in 0..times {
                    texts.push(text, limits)?;
                }
            }
        }
        TextEncoding::Dictionary => {
            let (key_width, length_width) = (width(&mut cursor)?, width(&mut cursor)?);
            let size = cursor.length32()?;
            let mut entries = Cursor::new(cursor.take(size)?);
            let mut dictionary = Vec::new();
            while !entries.rest().is_empty() {
                let length = take_integer(&mut entries, length_width)?;
                dictionary.push(entries.take(length)?);
            }
            let keys = data.chunks_exact(key_width);
            if !keys.remainder().is_empty() {
                return Err(Fault::damaged("a position in a dictionary is cut short"));
            }
            for key in keys {
                let key = usize::try_from(big_endian(key)).unwrap_or(usize::MAX);
                let text = dictionary.get(key).ok_or_else(|| {
                    Fault::damaged(format!(
                        "position {key} of a dictionary of {} texts",
                        dictionary.len()
                    ))
                })?;
                texts.push(text, limits)?;
            }
        }
    }
    Ok(())
}
