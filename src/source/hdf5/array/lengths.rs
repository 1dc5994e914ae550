//! How long texts are, before they are read.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::{NumberArray, Storage};
use crate::source::hdf5::container::{ArrayHeader, Container, Element};
use crate::source::hdf5::ffi::RawStorage;
use crate::source::{NumberType, SourceError};

/// Bytes of a text of variable length where it is stored: its length in four bytes, then where it
/// lies in the file (HDF5 file format, "Variable-length" datatypes and "Global Heap").
const REFERENCE: usize = 16;

/// Rows that are looked at together.
const ROWS: u64 = 1 << 15;

/// Bytes of references that are read together.
const BLOCK: u64 = 1 << 20;

/// Chunks of references up to this size are worth keeping.
const KEPT: u64 = 1 << 20;

/// The lengths of the texts of a dataset.
pub(crate) enum TextLengths {
    /// All texts of a row are stored in so many bytes.
    Fixed(u64),
    /// The references to texts of variable length, as an array of pairs of numbers.
    Variable(Box<NumberArray>),
    /// Only reading tells.
    Unknown,
}

impl TextLengths {
    /// Looks at a dataset of texts.
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

    /// Whether what it keeps is small enough to be kept.
    pub fn is_small(&self) -> bool {
        match self {
            TextLengths::Variable(array) => {
                array.rows_together().saturating_mul(array.row_bytes as u64) <= KEPT
            }
            _ => true,
        }
    }

    /// Shows the bytes of the texts of each row of a range to `show`, which may end it by `false`.
    /// Returns whether they are known.
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
        // Of rows with many texts each, fewer are read together.
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

/// Whether places in this file take eight bytes, as [`REFERENCE`] has it; `false` where the
/// superblock is not at the beginning.
pub(in crate::source::hdf5) fn has_wide_addresses(file: &File) -> bool {
    use std::os::unix::fs::FileExt;
    let mut head = [0u8; 16];
    if file.read_exact_at(&mut head, 0).is_err() || &head[..8] != b"\x89HDF\r\n\x1a\n" {
        return false;
    }
    // The size of offsets, in the superblocks of versions 0 and 1, and in later ones.
    let size = if head[8] < 2 { head[13] } else { head[9] };
    size == 8
}
