//! Texts as they are stored: how long they are is known before libhdf5 reads them.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use super::NumberArray;
use super::container::Container;
use super::heap::{Heaps, REFERENCE};
use crate::source::error::ErrorContext;
use crate::source::{SourceError, TypedVec};

/// Where texts lie in each element of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TextLayout {
    /// The dataset that holds them: the object itself, or the one of which it is a field.
    pub dataset: String,
    /// Bytes of an element as stored.
    pub element: u64,
    /// References to texts in it: the first one's byte, and how many; `None` for texts of a fixed
    /// length.
    pub references: Option<(u64, u64)>,
    /// All elements, where they lie in the header of the dataset.
    pub in_header: Option<Vec<u8>>,
    /// Bytes of the file before its HDF5 part, from which addresses are counted.
    pub base: u64,
}

/// Rows that are looked at together.
const ROWS: u64 = 1 << 15;

/// Bytes of elements that are read together.
const BLOCK: u64 = 1 << 20;

/// Chunks of elements up to this size are worth keeping.
const KEPT: u64 = 1 << 20;

/// The elements of a dataset, or field, of texts.
pub(super) struct StoredTexts {
    place: ErrorContext,
    file: Arc<File>,
    /// Where they lie; `None` where only libhdf5 knows.
    elements: Option<Elements>,
    lengths: Lengths,
}

enum Elements {
    Array(NumberArray),
    InHeader(Vec<u8>),
}

/// How long texts are.
enum Lengths {
    /// All texts of a row are stored in so many bytes.
    Fixed(u64),
    /// References tell, which lie here in each element of so many bytes.
    Referred {
        element: usize,
        references: Range<usize>,
        base: u64,
    },
    /// Only reading tells.
    Unknown,
}

impl StoredTexts {
    /// Looks at the dataset, or field, `object`.
    pub fn open(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        object: &str,
        memory: u64,
    ) -> Result<Self, SourceError> {
        let header = container.array(object)?;
        let layout = container.text_layout(object)?;
        let elements = match &layout {
            Some(layout) => Elements::open(container, file, layout, memory)?,
            None => None,
        };
        let mut across = header.shape.iter().skip(1);
        let across = across.try_fold(1u64, |all, &side| all.checked_mul(side));
        let fixed = header.text_size.zip(across);
        let fixed = fixed.and_then(|(size, across)| size.checked_mul(across));
        let lengths = match (fixed, &layout, &elements) {
            (Some(bytes), ..) => Lengths::Fixed(bytes),
            (None, Some(layout), Some(_)) => layout.lengths(),
            _ => Lengths::Unknown,
        };
        Ok(StoredTexts {
            place: ErrorContext::new(container.path(), object),
            file: file.clone(),
            elements,
            lengths,
        })
    }

    /// Whether all of them were written.
    pub fn is_whole(&self) -> bool {
        match &self.elements {
            Some(Elements::Array(array)) => array.is_whole(),
            _ => true,
        }
    }

    /// Whether what it keeps is small enough to be kept.
    pub fn is_small(&self) -> bool {
        match &self.elements {
            Some(Elements::Array(array)) => {
                let width = array.shape().get(1).copied().unwrap_or(1);
                array.rows_together().saturating_mul(width) <= KEPT
            }
            _ => true,
        }
    }

    /// Shows the bytes of the texts of each row of a range to `show`, which may end it by `false`.
    /// Returns whether they are known.
    ///
    /// # Errors
    /// Where a heap does not have what a text claims.
    pub fn each(
        &self,
        rows: Range<u64>,
        mut show: impl FnMut(u64) -> bool,
    ) -> Result<bool, SourceError> {
        let (element, references, base) = match &self.lengths {
            Lengths::Unknown => return Ok(false),
            Lengths::Fixed(bytes) => {
                for _ in rows {
                    if !show(*bytes) {
                        break;
                    }
                }
                return Ok(true);
            }
            Lengths::Referred {
                element,
                references,
                base,
            } => (*element, references.clone(), *base),
        };
        let Some(elements) = &self.elements else {
            return Ok(false);
        };
        let mut heaps = Heaps::of(&self.file, base);
        let (all, width) = elements.shape(element);
        let end = rows.end.min(all);
        // Of rows with many texts each, fewer are read together.
        let step = (BLOCK / width.max(1)).clamp(1, ROWS);
        for start in (rows.start..end).step_by(step as usize) {
            let block = start..(start + step).min(end);
            let bytes = elements.read(block, width, &self.place)?;
            // The file fits its own numbers.
            for (row, bytes) in (start..).zip(bytes.chunks_exact(width.max(1) as usize)) {
                let mut texts = 0u64;
                for element in bytes.chunks_exact(element.max(1)) {
                    let references = element.get(references.clone()).unwrap_or_default();
                    let bytes = heaps.measure(
                        references,
                        || format!("the text of row {row}"),
                        &self.place,
                    )?;
                    texts = texts.saturating_add(bytes);
                }
                if !show(texts) {
                    return Ok(true);
                }
            }
        }
        Ok(true)
    }
}

impl TextLayout {
    fn lengths(&self) -> Lengths {
        let places = self.references.and_then(|(first, count)| {
            let end = count.checked_mul(REFERENCE as u64)?.checked_add(first)?;
            let places = usize::try_from(first).ok()?..usize::try_from(end).ok()?;
            Some((usize::try_from(self.element).ok()?, places))
        });
        match places {
            Some((element, references)) => Lengths::Referred {
                element,
                references,
                base: self.base,
            },
            None => Lengths::Unknown,
        }
    }
}

impl Elements {
    fn open(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        layout: &TextLayout,
        memory: u64,
    ) -> Result<Option<Self>, SourceError> {
        if let Some(bytes) = &layout.in_header {
            return Ok(Some(Elements::InHeader(bytes.clone())));
        }
        let array = NumberArray::records(container, file, &layout.dataset, layout.element, memory)?;
        Ok(array.map(Elements::Array))
    }

    /// Rows, and bytes of each; of those in a header, which have one dimension, by the bytes of an
    /// element.
    fn shape(&self, element: usize) -> (u64, u64) {
        match self {
            Elements::Array(array) => {
                let width = array.shape().get(1).copied().unwrap_or(1);
                (array.rows(), width)
            }
            Elements::InHeader(bytes) => {
                let rows = bytes.len() / element.max(1);
                (rows as u64, element as u64)
            }
        }
    }

    fn read(
        &self,
        rows: Range<u64>,
        width: u64,
        place: &ErrorContext,
    ) -> Result<Vec<u8>, SourceError> {
        match self {
            Elements::Array(array) => match array.read(rows)? {
                TypedVec::UInt8(bytes) => Ok(bytes),
                _ => Err(place.damaged("its elements are no bytes")),
            },
            Elements::InHeader(bytes) => {
                let part = (rows.start * width) as usize..(rows.end * width) as usize;
                let part = bytes.get(part);
                let part = part.ok_or_else(|| place.damaged("its elements are cut short"))?;
                Ok(part.to_vec())
            }
        }
    }
}
