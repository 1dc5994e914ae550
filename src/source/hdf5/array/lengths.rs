//! Determines the lengths of text before reading it.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::{NumberArray, Storage};
use crate::source::hdf5::container::{ArrayHeader, Container, Element};
use crate::source::hdf5::ffi::RawStorage;
use crate::source::{NumberType, SourceError};

/// Size of a reference to variable-length text in bytes: a 4-byte length, followed by the location
/// in the file (HDF5 file format, "Variable-length" datatypes and "Global Heap").
const REFERENCE: usize = 16;

/// Number of rows processed at once.
const ROWS: u64 = 1 << 15;

/// Number of bytes of references read at once.
const BLOCK: u64 = 1 << 20;

/// Chunks of references up to this size are worth caching.
const KEPT: u64 = 1 << 20;

/// Lengths of the text in a dataset.
pub(crate) enum TextLengths {
    /// The text of each row takes this many bytes.
    Fixed(u64),
    /// References to variable-length text, as an array of pairs of numbers.
    Variable(Box<NumberArray>),
    /// Only known after reading the text.
    Unknown,
}

impl TextLengths {
    /// Determines how the lengths of a text dataset can be found.
    pub fn open(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        object: &str,
        memory: u64,
    ) -> Result<Self, SourceError> {
        let header = container.array(object)?;
        let rows = header.shape.first().copied().unwrap_or(1);
        let each = header.shape.iter().skip(1);
        let Some(each) = each.copied().try_fold(1, u64::checked_mul) else {
            return Ok(TextLengths::Unknown);
        };
        if let Some(size) = header.text_size {
            return Ok(TextLengths::Fixed(each.saturating_mul(size)));
        }
        let storage = match header.storage {
            RawStorage::Contiguous(place) => RawStorage::Contiguous(place),
            RawStorage::Chunked {
                chunk,
                partial_unfiltered,
            } if chunk.len() == 1 && header.shape.len() == 1 => RawStorage::Chunked {
                chunk: vec![chunk[0], 2],
                partial_unfiltered,
            },
            _ => return Ok(TextLengths::Unknown),
        };
        let (Some(width), Some(_)) = (each.checked_mul(2), rows.checked_mul(each)) else {
            return Ok(TextLengths::Unknown);
        };
        let header = ArrayHeader {
            shape: vec![rows, width],
            element: Element::Number {
                number_type: NumberType::UInt64,
                swapped: false,
            },
            filters: header.filters,
            storage,
            fill: vec![0; 8],
            text_size: None,
        };
        let opened = NumberArray::with_header(container, file, object, &header, memory, 0, 1);
        Ok(match opened {
            // libhdf5 may still be able to read it.
            Err(SourceError::TooLarge { .. }) => TextLengths::Unknown,
            other => match other? {
                array if matches!(array.storage, Storage::Library) => TextLengths::Unknown,
                array => TextLengths::Variable(Box::new(array)),
            },
        })
    }

    /// Whether the memory it takes is small enough to keep it.
    pub fn is_small(&self) -> bool {
        match self {
            TextLengths::Variable(array) => {
                array.rows_together().saturating_mul(array.row_bytes as u64) <= KEPT
            }
            _ => true,
        }
    }

    /// Calls `show` with the number of bytes of text in each row of a range, until it returns
    /// `false`. Returns whether the lengths are known.
    pub fn each(
        &self,
        rows: Range<u64>,
        mut show: impl FnMut(u64) -> bool,
    ) -> Result<bool, SourceError> {
        let array = match self {
            TextLengths::Unknown => return Ok(false),
            TextLengths::Fixed(bytes) => {
                let _ = rows.map(|_| show(*bytes)).all(|more| more);
                return Ok(true);
            }
            TextLengths::Variable(array) => array,
        };
        let end = rows.end.min(array.rows());
        // If rows have many values each, fewer rows are read at once.
        let step = (BLOCK / (array.row_bytes as u64).max(1)).clamp(1, ROWS);
        for start in (rows.start..end).step_by(step as usize) {
            let block = start..(start + step).min(end);
            let mut bytes = vec![0; (block.end - block.start) as usize * array.row_bytes];
            array.fill_rows(block, &mut bytes)?;
            for row in bytes.chunks_exact(array.row_bytes.max(1)) {
                let texts = row.chunks_exact(REFERENCE);
                let lengths =
                    texts.map(|text| u32::from_le_bytes([text[0], text[1], text[2], text[3]]));
                if !show(lengths.map(u64::from).sum()) {
                    return Ok(true);
                }
            }
        }
        Ok(true)
    }
}

/// Whether addresses in this file have eight bytes, as [`REFERENCE`] assumes; `false` if the
/// superblock is not at the beginning of the file.
pub(in crate::source::hdf5) fn has_wide_addresses(file: &File) -> bool {
    use std::os::unix::fs::FileExt;
    let mut head = [0u8; 16];
    if file.read_exact_at(&mut head, 0).is_err() || &head[..8] != b"\x89HDF\r\n\x1a\n" {
        return false;
    }
    // The size of offsets, in superblock versions 0 and 1, and in later versions.
    let size = if head[8] < 2 { head[13] } else { head[9] };
    size == 8
}
