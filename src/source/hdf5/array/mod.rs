//! Numeric arrays, read by ranges of rows.

mod chunks;

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::container::{ArrayHeader, Container, Element};
use super::ffi::RawStorage;
use super::pipeline::{Pipeline, Unknown};
use crate::source::error::{ErrorContext, SourceError};
use crate::source::{ScalarType, TypedVec};
use chunks::Chunked;

/// Total size of the decoded chunks of one array that are kept for another reader, in bytes.
const CACHE_BYTES: usize = 4 << 20;

enum Storage {
    /// Rows are stored consecutively from this file offset.
    Contiguous(u64),
    Chunked(Chunked),
    /// Only libhdf5 can read it: compact layout, or a filter that is rarely used.
    Library,
    /// Nothing was written: every element is the fill value.
    Unwritten,
}

/// A one- or two-dimensional array of numbers. Reading takes `&self` and no global lock, so any
/// number of threads can read different rows at the same time.
pub(crate) struct NumberArray {
    place: ErrorContext,
    container: Arc<dyn Container>,
    file: Arc<File>,
    file_length: u64,
    shape: Vec<u64>,
    number_type: ScalarType,
    swapped: bool,
    /// Bytes per row of the array.
    row_bytes: usize,
    /// How many numbers make up one element of the dataset; see [`NumberArray::records`].
    unit: u64,
    fill: Vec<u8>,
    storage: Storage,
    /// Total size of the decoded chunks that are kept, in bytes.
    cache_bytes: usize,
    /// Memory that reading may use, in bytes, for all threads together.
    memory: u64,
}

impl NumberArray {
    /// Opens the dataset `object`, which must contain numbers in one or two dimensions.
    pub fn open(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        object: &str,
        memory: u64,
    ) -> Result<Self, SourceError> {
        let header = container.array(object)?;
        Self::with_header(container, file, object, &header, memory, CACHE_BYTES, 1)
    }

    /// Opens a dataset whose elements are records of `bytes` bytes as an array of bytes with one
    /// row per record. Returns `None` if only libhdf5 can read it.
    pub fn records(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        object: &str,
        bytes: u64,
        memory: u64,
    ) -> Result<Option<Self>, SourceError> {
        let mut header = container.array(object)?;
        let across = |sides: &[u64]| {
            let mut sides = sides.iter().skip(1);
            sides.try_fold(bytes, |width, &side| width.checked_mul(side))
        };
        let Some(width) = across(&header.shape) else {
            return Ok(None);
        };
        if let RawStorage::Chunked { chunk, .. } = &mut header.storage {
            let (Some(&first), Some(side), true) = (chunk.first(), across(chunk), chunk.len() <= 2)
            else {
                return Ok(None);
            };
            *chunk = vec![first, side];
        }
        header.shape = vec![header.shape.first().copied().unwrap_or(1), width];
        header.fill = vec![0];
        header.element = Element::Number {
            number_type: ScalarType::UInt8,
            swapped: false,
        };
        match Self::with_header(container, file, object, &header, memory, 0, bytes) {
            // libhdf5 may still be able to read it.
            Err(SourceError::TooLarge { .. }) => Ok(None),
            other => other.map(|array| match array.storage {
                Storage::Library => None,
                _ => Some(array),
            }),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn with_header(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        object: &str,
        header: &ArrayHeader,
        memory: u64,
        cache_bytes: usize,
        unit: u64,
    ) -> Result<Self, SourceError> {
        let place = ErrorContext::new(container.path(), object);
        let Element::Number {
            number_type,
            swapped,
        } = header.element
        else {
            let what = match &header.element {
                Element::Other(what) => what.clone(),
                _ => "text".into(),
            };
            return Err(place.unsupported(
                format!("{what} where numbers are expected"),
                "rewrite the file with a current anndata",
            ));
        };
        if !(1..=2).contains(&header.shape.len()) {
            return Err(place.damaged(format!(
                "it has {} dimensions where one or two are expected",
                header.shape.len()
            )));
        }
        let file_length = file.metadata().map_err(|e| place.io("read", e))?.len();
        let width = header.shape.get(1).copied().unwrap_or(1);
        let row_bytes = usize::try_from(width)
            .ok()
            .and_then(|width| width.checked_mul(number_type.size()))
            .filter(|&bytes| {
                u64::try_from(bytes).is_ok_and(|b| b.checked_mul(header.shape[0]).is_some())
            })
            .ok_or_else(|| place.damaged(format!("its shape {:?} is absurd", header.shape)))?;
        let mut array = NumberArray {
            place,
            container: container.clone(),
            file: file.clone(),
            file_length,
            number_type,
            swapped,
            row_bytes,
            unit,
            storage: Storage::Unwritten,
            fill: header.fill.clone(),
            shape: header.shape.clone(),
            cache_bytes,
            memory,
        };
        array.storage = array.locate(header, memory)?;
        Ok(array)
    }

    fn locate(&self, header: &ArrayHeader, memory: u64) -> Result<Storage, SourceError> {
        let whole = self.shape[0].saturating_mul(self.row_bytes as u64);
        match &header.storage {
            RawStorage::Compact => Ok(Storage::Library),
            RawStorage::Elsewhere(what) => Err(elsewhere(&self.place, what)),
            RawStorage::Contiguous(_) | RawStorage::Chunked { .. } if whole == 0 => {
                Ok(Storage::Unwritten)
            }
            RawStorage::Contiguous(None) => Ok(Storage::Unwritten),
            RawStorage::Contiguous(Some(offset)) => {
                self.check_inside(*offset, whole)?;
                Ok(Storage::Contiguous(*offset))
            }
            RawStorage::Chunked {
                chunk,
                partial_unfiltered,
            } => match Pipeline::new(&header.filters, self.number_type.size()) {
                Ok(pipeline) => self
                    .chunked(chunk, pipeline, *partial_unfiltered, memory)
                    .map(Storage::Chunked),
                Err(Unknown::KnownToLibrary) => Ok(Storage::Library),
                Err(Unknown::Named(filter)) => Err(unknown_filter(&self.place, filter)),
            },
        }
    }

    fn check_inside(&self, address: u64, bytes: u64) -> Result<(), SourceError> {
        match address.checked_add(bytes) {
            Some(end) if end <= self.file_length => Ok(()),
            _ => Err(self.place.damaged(format!(
                "{bytes} bytes at {address} lie past the end of the file ({} bytes): it was cut short",
                self.file_length
            ))),
        }
    }

    /// Number of rows and, in two dimensions, of columns.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.shape[0]
    }

    /// Stored type of the numbers.
    pub fn number_type(&self) -> ScalarType {
        self.number_type
    }

    /// Number of rows that are stored together. Ranges that begin and end at multiples of it are
    /// read fastest.
    pub fn rows_together(&self) -> u64 {
        match &self.storage {
            Storage::Chunked(chunked) => chunked.rows,
            _ => 1,
        }
    }

    /// Whether all elements were written; others would read as the fill value.
    pub fn is_whole(&self) -> bool {
        match &self.storage {
            Storage::Unwritten => self.rows() == 0 || self.row_bytes == 0,
            Storage::Chunked(chunked) => {
                let down = self.rows().div_ceil(chunked.rows);
                chunked.written() == down.saturating_mul(chunked.across)
            }
            Storage::Contiguous(_) | Storage::Library => true,
        }
    }

    /// Reads rows: `rows.len() × columns` numbers, row after row.
    pub fn read(&self, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        if rows.start > rows.end || rows.end > self.rows() {
            return Err(self.place.damaged(format!(
                "rows {} to {} were requested, but it has {}",
                rows.start,
                rows.end.saturating_sub(1),
                self.rows()
            )));
        }
        let length = usize::try_from(rows.end - rows.start)
            .ok()
            .and_then(|rows| rows.checked_mul(self.row_bytes / self.number_type.size()));
        let mut numbers = length
            .and_then(|length| TypedVec::zeroed(self.number_type, length))
            .ok_or_else(|| {
                self.place
                    .damaged("its rows are too large for the memory of this machine")
            })?;
        if numbers.is_empty() {
            return Ok(numbers);
        }
        self.fill_rows(rows, numbers.as_bytes_mut())?;
        if self.swapped {
            numbers.swap_bytes();
        }
        if let TypedVec::Bool(values) = &numbers
            && let Some(value) = values.iter().find(|&&value| value > 1)
        {
            return Err(self.place.damaged(format!(
                "it has the value {value} where booleans (0 or 1) are expected"
            )));
        }
        Ok(numbers)
    }

    fn fill_rows(&self, rows: Range<u64>, out: &mut [u8]) -> Result<(), SourceError> {
        match &self.storage {
            Storage::Library => self.container.read_bytes(self.place.object(), rows, out),
            Storage::Contiguous(offset) => {
                self.pread(out, offset + rows.start * self.row_bytes as u64)
            }
            Storage::Unwritten => {
                self.fill(out);
                Ok(())
            }
            Storage::Chunked(chunked) => self.fill_from_chunks(chunked, rows, out),
        }
    }

    fn pread(&self, out: &mut [u8], at: u64) -> Result<(), SourceError> {
        self.file
            .read_exact_at(out, at)
            .map_err(|e| self.place.io("read", e))
    }

    fn fill(&self, out: &mut [u8]) {
        if self.fill.iter().any(|&byte| byte != 0) {
            out.chunks_exact_mut(self.fill.len())
                .for_each(|element| element.copy_from_slice(&self.fill));
        }
    }
}

fn unknown_filter(place: &ErrorContext, filter: String) -> SourceError {
    place.unsupported(filter, "rewrite the file with gzip, lzf or no compression")
}

fn elsewhere(place: &ErrorContext, what: &'static str) -> SourceError {
    place.unsupported(
        what,
        "copy it into one plain file (h5repack, or rewrite it with anndata)",
    )
}

/// Checks that an object libhdf5 will read is stored in this file and that its filters are
/// supported. libhdf5's own messages would complain about missing folders.
pub(super) fn check_readable(
    place: &ErrorContext,
    header: &ArrayHeader,
) -> Result<(), SourceError> {
    if let RawStorage::Elsewhere(what) = header.storage {
        return Err(elsewhere(place, what));
    }
    match Pipeline::new(&header.filters, 1) {
        Err(Unknown::Named(filter)) => Err(unknown_filter(place, filter)),
        Ok(_) | Err(Unknown::KnownToLibrary) => Ok(()),
    }
}
