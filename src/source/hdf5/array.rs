//! Arrays of numbers, read by ranges of rows.

use std::cell::RefCell;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::cache::ChunkCache;
use super::container::{ArrayHeader, Container, Element};
use super::ffi::RawStorage;
use super::pipeline::{Pipeline, Undo, Unknown};
use crate::source::error::{Place, SourceError};
use crate::source::{NumberType, Numbers};

/// Decoded chunks of one array that are kept for a second reader.
const CACHE_BYTES: usize = 4 << 20;

thread_local! {
    static UNDO: RefCell<Undo> = RefCell::new(Undo::new());
}

/// A written chunk: its number in row-major order of the chunk grid, and where it is.
#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    address: u64,
    size: u32,
    skipped: u32,
}

enum Storage {
    /// Rows lie one after the other from this place of the file.
    Contiguous(u64),
    Chunked(Chunked),
    /// Only libhdf5 can read it: compact layout, or one of its rare filters.
    Library,
    /// Nothing was written: every element is the fill value.
    Unwritten,
}

struct Chunked {
    /// Rows of a chunk.
    rows: u64,
    /// Bytes of a chunk's row.
    row_bytes: usize,
    /// Chunks side by side.
    across: u64,
    entries: Vec<Entry>,
    pipeline: Pipeline,
    partial_unfiltered: bool,
    cache: ChunkCache,
}

/// A one- or two-dimensional array of numbers. Reading takes `&self` and no global lock, so that
/// any number of threads can read different rows at once.
pub(crate) struct NumberArray {
    place: Place,
    container: Arc<dyn Container>,
    file: Arc<File>,
    file_length: u64,
    shape: Vec<u64>,
    number_type: NumberType,
    swapped: bool,
    /// Bytes of a row of the array.
    row_bytes: usize,
    fill: Vec<u8>,
    storage: Storage,
}

impl NumberArray {
    /// Opens the dataset `object`, which must hold numbers in one or two dimensions.
    pub fn open(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        object: &str,
        memory: u64,
    ) -> Result<Self, SourceError> {
        let place = Place::new(container.path(), object);
        let header = container.array(object)?;
        let Element::Number {
            number_type,
            swapped,
        } = header.element
        else {
            let what = match header.element {
                Element::Other(what) => what,
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
            storage: Storage::Unwritten,
            fill: header.fill.clone(),
            shape: header.shape.clone(),
        };
        array.storage = array.locate(&header, memory)?;
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

    fn chunked(
        &self,
        chunk: &[u64],
        pipeline: Pipeline,
        partial_unfiltered: bool,
        memory: u64,
    ) -> Result<Chunked, SourceError> {
        let size = self.number_type.size() as u64;
        let width = self.shape.get(1).copied().unwrap_or(1);
        let chunk_width = chunk.get(1).copied().unwrap_or(1);
        let chunk_bytes = chunk
            .iter()
            .try_fold(size, |bytes, &side| bytes.checked_mul(side));
        let (Some(chunk_bytes), true) = (chunk_bytes, chunk.iter().all(|&side| side > 0)) else {
            return Err(self
                .place
                .damaged(format!("its chunk shape {chunk:?} is absurd")));
        };
        // A thread holds a chunk as stored, half undone and undone; data and indices are both read.
        // What is stored as it is, side by side with nothing, is read in any piece.
        let needed = chunk_bytes.saturating_mul(6);
        let in_pieces = pipeline.is_plain(0) && chunk_width == width;
        if needed > memory && !in_pieces {
            return Err(self.place.too_large(
                format!(
                    "a compressed chunk of {}",
                    bytesize::ByteSize::b(chunk_bytes)
                ),
                needed,
                chunk_bytes.saturating_mul(8),
            ));
        }
        let across = width.div_ceil(chunk_width);
        let down = self.shape[0].div_ceil(chunk[0]);
        let mut entries = Vec::new();
        for raw in self.container.chunks(self.place.object())? {
            let row = raw.offset[0] / chunk[0];
            let column = raw.offset.get(1).map_or(0, |&first| first / chunk_width);
            // Chunks outside the shape remain where an array was made smaller.
            if row >= down || column >= across {
                continue;
            }
            self.check_inside(raw.address, raw.size)?;
            if raw.size > chunk_bytes.saturating_mul(2).saturating_add(1 << 16) {
                return Err(self
                    .place
                    .damaged("a chunk is stored in far more bytes than it holds"));
            }
            entries.push(Entry {
                number: row * across + column,
                address: raw.address,
                size: u32::try_from(raw.size)
                    .map_err(|_| self.place.damaged("a chunk is larger than 4 GiB"))?,
                skipped: raw.skipped_filters,
            });
        }
        entries.sort_unstable_by_key(|entry| entry.number);
        if entries
            .windows(2)
            .any(|pair| pair[0].number == pair[1].number)
        {
            return Err(self.place.damaged("its index names a chunk twice"));
        }
        let bytes = |n: u64| {
            usize::try_from(n).map_err(|_| self.place.damaged("its chunks are absurdly large"))
        };
        Ok(Chunked {
            rows: chunk[0],
            row_bytes: bytes(chunk_width * size)?,
            across,
            entries,
            pipeline,
            partial_unfiltered,
            cache: ChunkCache::new(CACHE_BYTES, bytes(chunk_bytes)?),
        })
    }

    /// Rows and, in two dimensions, columns.
    pub fn shape(&self) -> &[u64] {
        &self.shape
    }

    /// The number of rows.
    pub fn rows(&self) -> u64 {
        self.shape[0]
    }

    /// The stored type.
    pub fn number_type(&self) -> NumberType {
        self.number_type
    }

    /// Rows that are stored together: ranges that begin and end at multiples of it are read fastest.
    pub fn rows_together(&self) -> u64 {
        match &self.storage {
            Storage::Chunked(chunked) => chunked.rows,
            _ => 1,
        }
    }

    /// Whether less than half of the chunks were ever written: a doubt about the shape.
    pub fn is_mostly_unwritten(&self) -> bool {
        match &self.storage {
            Storage::Unwritten => self.rows() > 0,
            Storage::Chunked(chunked) => {
                let total = self
                    .rows()
                    .div_ceil(chunked.rows)
                    .saturating_mul(chunked.across);
                (chunked.entries.len() as u64) < total / 2
            }
            _ => false,
        }
    }

    /// The length of the file in bytes.
    pub fn file_length(&self) -> u64 {
        self.file_length
    }

    /// Reads rows: `rows.len() × columns` numbers, row after row.
    pub fn read(&self, rows: Range<u64>) -> Result<Numbers, SourceError> {
        if rows.start > rows.end || rows.end > self.rows() {
            return Err(self.place.damaged(format!(
                "rows {} to {} are asked for, but it has {}",
                rows.start,
                rows.end,
                self.rows()
            )));
        }
        let length = usize::try_from(rows.end - rows.start)
            .ok()
            .and_then(|rows| rows.checked_mul(self.row_bytes / self.number_type.size()));
        let mut numbers = length
            .and_then(|length| Numbers::zeroed(self.number_type, length))
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
        if let Numbers::Bool(values) = &numbers
            && values.iter().any(|&value| value > 1)
        {
            return Err(self.place.damaged("a boolean is neither true nor false"));
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

    fn fill_from_chunks(
        &self,
        chunked: &Chunked,
        rows: Range<u64>,
        out: &mut [u8],
    ) -> Result<(), SourceError> {
        for row in rows.start / chunked.rows..rows.end.div_ceil(chunked.rows) {
            let first = row * chunked.rows;
            let wanted = first.max(rows.start)..(first + chunked.rows).min(rows.end);
            for column in 0..chunked.across {
                let left = column as usize * chunked.row_bytes;
                let part = Part {
                    skip: (wanted.start - first) as usize,
                    rows: (wanted.end - wanted.start) as usize,
                    at: (wanted.start - rows.start) as usize * self.row_bytes + left,
                    width: chunked.row_bytes.min(self.row_bytes - left),
                    // The rest of the chunk lies outside the array, or will not be asked for again.
                    whole: wanted.start == first
                        && (wanted.end == first + chunked.rows || wanted.end == self.rows()),
                };
                self.fill_from_chunk(chunked, row * chunked.across + column, &part, out)?;
            }
        }
        Ok(())
    }

    fn fill_from_chunk(
        &self,
        chunked: &Chunked,
        number: u64,
        part: &Part,
        out: &mut [u8],
    ) -> Result<(), SourceError> {
        let chunk_rows = chunked.rows as usize;
        let one_piece =
            chunked.across == 1 && part.width == self.row_bytes && part.width == chunked.row_bytes;
        let Ok(found) = chunked
            .entries
            .binary_search_by_key(&number, |entry| entry.number)
        else {
            for row in 0..part.rows {
                let at = part.at + row * self.row_bytes;
                self.fill(&mut out[at..at + part.width]);
            }
            return Ok(());
        };
        let entry = chunked.entries[found];
        let bytes = chunk_rows * chunked.row_bytes;
        let edge = (number / chunked.across + 1) * chunked.rows > self.rows()
            || (number % chunked.across + 1) as usize * chunked.row_bytes > self.row_bytes;
        let plain =
            chunked.pipeline.is_plain(entry.skipped) || (chunked.partial_unfiltered && edge);
        if plain && entry.size as usize != bytes {
            return Err(self.place.damaged(format!(
                "an uncompressed chunk holds {} bytes where {bytes} are expected",
                entry.size
            )));
        }
        if plain && one_piece {
            let out = &mut out[part.at..part.at + part.rows * part.width];
            return self.pread(out, entry.address + (part.skip * part.width) as u64);
        }
        if one_piece && part.rows == chunk_rows {
            let out = &mut out[part.at..part.at + bytes];
            return self
                .decode(chunked, entry, plain, out)
                .map_err(|e| self.place.damaged(e));
        }
        let decode = || {
            let mut decoded = vec![0; bytes];
            self.decode(chunked, entry, plain, &mut decoded)?;
            Ok(decoded)
        };
        let decoded = if part.whole {
            decode().map(Arc::new)
        } else {
            chunked.cache.get(number, decode)
        };
        let decoded = decoded.map_err(|e: String| self.place.damaged(e))?;
        for row in 0..part.rows {
            let from = (part.skip + row) * chunked.row_bytes;
            let at = part.at + row * self.row_bytes;
            out[at..at + part.width].copy_from_slice(&decoded[from..from + part.width]);
        }
        Ok(())
    }

    fn decode(
        &self,
        chunked: &Chunked,
        entry: Entry,
        plain: bool,
        out: &mut [u8],
    ) -> Result<(), String> {
        if plain {
            return self
                .file
                .read_exact_at(out, entry.address)
                .map_err(|e| e.to_string());
        }
        UNDO.with_borrow_mut(|undo| {
            undo.stored.resize(entry.size as usize, 0);
            self.file
                .read_exact_at(&mut undo.stored, entry.address)
                .map_err(|e| e.to_string())?;
            let done = undo.run(&chunked.pipeline, entry.skipped, out);
            undo.shrink();
            done.map_err(|problem| {
                format!(
                    "{problem} (chunk {} at byte {})",
                    entry.number, entry.address
                )
            })
        })
    }
}

fn unknown_filter(place: &Place, filter: String) -> SourceError {
    place.unsupported(filter, "rewrite the file with gzip, lzf or no compression")
}

fn elsewhere(place: &Place, what: &'static str) -> SourceError {
    place.unsupported(
        what,
        "copy it into one plain file (h5repack, or rewrite it with anndata)",
    )
}

/// Checks that what libhdf5 is to read is in this file and that it knows the filters: its own
/// messages would speak of missing folders.
pub(crate) fn check_readable(place: &Place, header: &ArrayHeader) -> Result<(), SourceError> {
    if let RawStorage::Elsewhere(what) = header.storage {
        return Err(elsewhere(place, what));
    }
    match Pipeline::new(&header.filters, 1) {
        Err(Unknown::Named(filter)) => Err(unknown_filter(place, filter)),
        Ok(_) | Err(Unknown::KnownToLibrary) => Ok(()),
    }
}

/// The part of a chunk that a reader wants, and where it goes.
struct Part {
    /// Rows of the chunk before the wanted ones.
    skip: usize,
    /// Wanted rows.
    rows: usize,
    /// Byte of the output where the first goes.
    at: usize,
    /// Bytes of each row that lie inside the array.
    width: usize,
    /// Nobody else will want this chunk.
    whole: bool,
}
