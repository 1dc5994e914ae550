//! Checks stored text before libhdf5 reads it.
//!
//! A variable-length text is stored as its length and a reference into a heap. libhdf5 allocates
//! that many bytes before it looks into the heap, so that one damaged byte can make it allocate 4
//! GiB. (HDF5 file format, "Variable-Length" datatypes and "Global Heap".)

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::NumberArray;
use super::container::Container;
use crate::source::error::Place;
use crate::source::{Numbers, SourceError};

/// Location of text within each element of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextLayout {
    /// The dataset that holds the text: the object itself, or the dataset of which it is a field.
    pub dataset: String,
    /// Size of a stored element in bytes.
    pub element: u64,
    /// Byte offset of the first reference within an element, and number of references; `None` for
    /// fixed-length text.
    pub references: Option<(u64, u64)>,
    /// Number of bytes in the file before its HDF5 part; addresses are relative to that.
    pub base: u64,
}

/// Size of a reference in bytes: a 32-bit length, a 64-bit address and a 32-bit index.
pub(crate) const REFERENCE: u64 = 16;

/// Text longer than this is looked up in its heap. Shorter text is harmless, whatever it refers to.
const LONG: u64 = 1 << 16;

/// Number of bytes of references checked at once.
const BLOCK: u64 = 1 << 20;

/// The elements of a text dataset.
pub(super) struct StoredTexts {
    place: Place,
    elements: NumberArray,
    layout: TextLayout,
    file: Arc<File>,
}

impl StoredTexts {
    /// Opens the dataset or field `object`; `None` if only libhdf5 can read its elements.
    pub fn open(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        object: &str,
        memory: u64,
    ) -> Result<Option<Self>, SourceError> {
        let Some(layout) = container.text_layout(object)? else {
            return Ok(None);
        };
        let elements =
            NumberArray::records(container, file, &layout.dataset, layout.element, memory)?;
        Ok(elements.map(|elements| StoredTexts {
            place: Place::new(container.path(), object),
            elements,
            layout,
            file: file.clone(),
        }))
    }

    /// Whether all of them were written.
    pub fn is_whole(&self) -> bool {
        self.elements.is_whole()
    }

    /// Checks that the heaps contain as many bytes as the text in these rows claims.
    pub fn check(&self, rows: Range<u64>) -> Result<(), SourceError> {
        let Some((first, count)) = self.layout.references else {
            return Ok(());
        };
        let width = self.elements.shape().get(1).copied().unwrap_or(1).max(1);
        let step = (BLOCK / width).max(1);
        // These numbers describe data that fits in the file.
        let (width, element) = (width as usize, self.layout.element as usize);
        let references = first as usize..(first + count * REFERENCE) as usize;
        let mut heap = None;
        let mut start = rows.start;
        while start < rows.end {
            let end = start.saturating_add(step).min(rows.end);
            let Numbers::UInt8(elements) = self.elements.read(start..end)? else {
                return Err(self.place.damaged("its elements are no bytes"));
            };
            for (row, bytes) in (start..).zip(elements.chunks_exact(width)) {
                for element in bytes.chunks_exact(element.max(1)) {
                    let references = element.get(references.clone()).unwrap_or_default();
                    for reference in references.as_chunks::<{ REFERENCE as usize }>().0 {
                        self.check_one(row, reference, &mut heap)?;
                    }
                }
            }
            start = end;
        }
        Ok(())
    }

    /// Checks one text. `heap` is the heap looked at last, with its size.
    fn check_one(
        &self,
        row: u64,
        reference: &[u8; REFERENCE as usize],
        heap: &mut Option<(u64, u64)>,
    ) -> Result<(), SourceError> {
        let [l0, l1, l2, l3, a0, a1, a2, a3, a4, a5, a6, a7, ..] = *reference;
        let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        if length <= LONG {
            return Ok(());
        }
        let address = u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
        let size = match *heap {
            Some((known, size)) if known == address => size,
            _ => self.heap_size(address),
        };
        *heap = Some((address, size));
        match length <= size {
            true => Ok(()),
            false => Err(self.place.damaged(format!(
                "the text of row {row} claims {length} bytes, but its heap at byte {address} has {size}"
            ))),
        }
    }

    /// Number of bytes of a heap that are within the file; 0 if there is no heap.
    fn heap_size(&self, address: u64) -> u64 {
        let mut head = [0; 16];
        let Some(at) = address.checked_add(self.layout.base) else {
            return 0;
        };
        let room = self.elements.file_length().saturating_sub(at);
        if self.file.read_exact_at(&mut head, at).is_err() || !head.starts_with(b"GCOL") {
            return 0;
        }
        let [.., s0, s1, s2, s3, s4, s5, s6, s7] = head;
        u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]).min(room)
    }
}
