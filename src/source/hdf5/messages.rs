//! Messages of an object's header, read without libhdf5: what is stored in the header itself.
//!
//! libhdf5 gives the texts of an attribute or of a small dataset, never the references to them, and by
//! then has allocated what they claim. (HDF5 file format, "Data Object Headers".)

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Bytes and blocks of a header that are looked at, at most.
const MOST_BYTES: u64 = 16 << 20;
const MOST_BLOCKS: usize = 4096;

/// Types of messages.
const LAYOUT: u16 = 0x08;
const ATTRIBUTE: u16 = 0x0c;
const CONTINUATION: u16 = 0x10;
const ATTRIBUTE_INFO: u16 = 0x15;

/// The flag of a message that lies elsewhere.
const SHARED: u8 = 2;

/// Classes of types, and the kind of variable length that is text.
const VARIABLE_LENGTH: u8 = 9;
const TEXT: u8 = 1;

/// The messages in the header of an object.
pub(super) struct Messages(Vec<(u16, Vec<u8>)>);

impl Messages {
    /// Reads the header at `address`, counted from `base`. `None` where it is none that is understood.
    pub fn read(file: &File, base: u64, address: u64) -> Option<Self> {
        let start = base.checked_add(address)?;
        let mut head = [0; 64];
        let length = file.metadata().ok()?.len();
        let there = usize::try_from(length.checked_sub(start)?).unwrap_or(usize::MAX);
        let there = there.min(head.len());
        file.read_exact_at(&mut head[..there], start).ok()?;
        let mut reader = Reader {
            file,
            base,
            left: MOST_BYTES,
            version: Version::of(&head)?,
            found: Vec::new(),
        };
        let (first, size) = reader.version.first_block(&head)?;
        let mut blocks = vec![(start.checked_add(first)?, size)];
        let mut at = 0;
        while let Some(&(start, size)) = blocks.get(at) {
            reader.block(start, size, &mut blocks)?;
            at += 1;
            if blocks.len() > MOST_BLOCKS {
                return None;
            }
        }
        Some(Messages(reader.found))
    }

    fn of_kind(&self, kind: u16) -> impl Iterator<Item = &[u8]> {
        let found = self.0.iter().filter(move |(other, _)| *other == kind);
        found.map(|(_, body)| body.as_slice())
    }

    /// The elements of a dataset that lie in its header.
    pub fn compact_data(&self) -> Option<&[u8]> {
        let body = self.of_kind(LAYOUT).next()?;
        // Versions 3 and 4, of the compact class.
        if !matches!(body, [3 | 4, 0, ..]) {
            return None;
        }
        let size = usize::from(u16_at(body, 2)?);
        body.get(4..)?.get(..size)
    }

    /// Where attributes that are not in the header lie: their heap, and the index of their names.
    pub fn dense_attributes(&self) -> Option<(u64, u64)> {
        const NOWHERE: u64 = u64::MAX;
        let body = self.of_kind(ATTRIBUTE_INFO).next()?;
        // The number of the last one precedes where the order is tracked.
        let at = if body.get(1)? & 1 != 0 { 4 } else { 2 };
        let (heap, names) = (u64_at(body, at)?, u64_at(body, at + 8)?);
        (heap != NOWHERE && names != NOWHERE).then_some((heap, names))
    }

    /// The elements of the attribute of a name, if they are texts of variable length.
    pub fn texts_of_attribute(&self, name: &str) -> Option<&[u8]> {
        self.of_kind(ATTRIBUTE)
            .find_map(|body| texts_of_attribute(body, name))
    }
}

/// The elements in the message of an attribute, if it has this name and they are texts of variable
/// length.
pub(super) fn texts_of_attribute<'a>(body: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let version = *body.first()?;
    // Version 1 pads what comes before the data; version 3 tells the encoding of the name.
    let padded = |size: usize| match version {
        1 => size.next_multiple_of(8),
        _ => size,
    };
    let head = if version == 3 { 9 } else { 8 };
    let size = |at| u16_at(body, at).map(usize::from);
    let [names, kinds, spaces] = [size(2)?, size(4)?, size(6)?];
    let rest = body.get(head..)?;
    let found = rest.get(..names)?.split(|&byte| byte == 0).next()?;
    let rest = rest.get(padded(names)..)?;
    let kind = rest.get(..kinds)?;
    let data = rest.get(padded(kinds)..)?.get(padded(spaces)..)?;
    let is_elsewhere = version > 1 && body[1] & 1 != 0;
    let is_text = matches!(kind, [class, bits, ..]
        if class & 0x0f == VARIABLE_LENGTH && bits & 0x0f == TEXT);
    (found == name.as_bytes() && is_text && !is_elsewhere).then_some(data)
}

/// How a header is written.
#[derive(Debug, Clone, Copy)]
enum Version {
    One,
    /// With the bytes that the flags of the header add to each message's head.
    Two {
        order: usize,
    },
}

impl Version {
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [b'O', b'H', b'D', b'R', 2, flags, ..] => Some(Version::Two {
                order: if flags & 4 != 0 { 2 } else { 0 },
            }),
            [1, ..] => Some(Version::One),
            _ => None,
        }
    }

    /// Where the messages begin, from the head on, and their bytes.
    fn first_block(self, head: &[u8]) -> Option<(u64, u64)> {
        match self {
            Version::One => Some((16, u64::from(u32_at(head, 8)?))),
            Version::Two { .. } => {
                let flags = *head.get(5)?;
                let times = if flags & 0x20 != 0 { 16 } else { 0 };
                let limits = if flags & 0x10 != 0 { 4 } else { 0 };
                let (at, bytes) = (6 + times + limits, 1 << (flags & 3));
                let mut size = [0; 8];
                size[..bytes].copy_from_slice(head.get(at..at + bytes)?);
                Some(((at + bytes) as u64, u64::from_le_bytes(size)))
            }
        }
    }
}

struct Reader<'a> {
    file: &'a File,
    base: u64,
    /// Bytes that may still be read.
    left: u64,
    version: Version,
    found: Vec<(u16, Vec<u8>)>,
}

impl Reader<'_> {
    fn block(&mut self, start: u64, size: u64, blocks: &mut Vec<(u64, u64)>) -> Option<()> {
        self.left = self.left.checked_sub(size)?;
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        self.file.read_exact_at(&mut bytes, start).ok()?;
        let mut rest = bytes.as_slice();
        loop {
            let (kind, size, flags, head) = match (self.version, rest) {
                (Version::One, [_, _, _, _, flags, _, _, _, ..]) => {
                    (u16_at(rest, 0)?, u16_at(rest, 2)?, *flags, 8)
                }
                (Version::Two { order }, [kind, _, _, flags, ..]) if rest.len() >= 4 + order => {
                    (u16::from(*kind), u16_at(rest, 1)?, *flags, 4 + order)
                }
                // What is left is a gap.
                _ => return Some(()),
            };
            let end = head + usize::from(size);
            let body = rest.get(head..end)?;
            rest = &rest[end..];
            match kind {
                CONTINUATION => blocks.push(self.continued(body)?),
                LAYOUT | ATTRIBUTE | ATTRIBUTE_INFO if flags & SHARED == 0 => {
                    self.found.push((kind, body.to_vec()));
                }
                _ => {}
            }
        }
    }

    /// The block that a message leads to.
    fn continued(&self, body: &[u8]) -> Option<(u64, u64)> {
        let (at, size) = (u64_at(body, 0)?, u64_at(body, 8)?);
        let start = self.base.checked_add(at)?;
        match self.version {
            Version::One => Some((start, size)),
            // A signature before, a checksum behind.
            Version::Two { .. } => Some((start.checked_add(4)?, size.checked_sub(8)?)),
        }
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_le_bytes(*bytes))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(
            bytes in prop::collection::vec(any::<u8>(), 0..400),
            signature in any::<bool>(),
        ) {
            let file = tempfile::NamedTempFile::new().unwrap();
            let start: &[u8] = if signature { b"OHDR\x02" } else { b"\x01" };
            std::fs::write(file.path(), [start, &bytes].concat()).unwrap();
            let file = File::open(file.path()).unwrap();
            if let Some(messages) = Messages::read(&file, 0, 0) {
                let _ = (messages.compact_data(), messages.texts_of_attribute("a"));
            }
            let _ = texts_of_attribute(&bytes, "");
        }
    }
}
