//! Chunked arrays: the chunk index, and reading rows from chunks.

use std::cell::RefCell;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::super::cache::ChunkCache;
use super::super::memory_gate::GATE;
use super::super::pipeline::{FilterBuffers, Pipeline};
use super::NumberArray;
use crate::source::SourceError;

thread_local! {
    static UNDO: RefCell<FilterBuffers> = RefCell::new(FilterBuffers::new());
}

/// A written chunk: its number in row-major order of the chunk grid, and its location.
#[derive(Debug, Clone, Copy)]
struct Entry {
    number: u64,
    address: u64,
    size: u32,
    skipped: u32,
}

pub(super) struct Chunked {
    /// Rows per chunk.
    pub rows: u64,
    /// Bytes per row of a chunk.
    row_bytes: usize,
    /// Number of chunks side by side.
    pub across: u64,
    entries: Vec<Entry>,
    pipeline: Pipeline,
    partial_unfiltered: bool,
    cache: ChunkCache,
}

/// The part of a chunk that is needed, and where to copy it.
struct Part {
    /// Rows of the chunk before the first one needed.
    skip: usize,
    /// Number of rows needed.
    rows: usize,
    /// Byte offset of the first row in the output.
    at: usize,
    /// Bytes of each row that are inside the array.
    width: usize,
    /// Whether nobody else will need this chunk.
    whole: bool,
}

impl Chunked {
    /// Number of chunks that were written.
    pub fn written(&self) -> u64 {
        self.entries.len() as u64
    }
}

/// Checks that no two chunks overlap in the file, as they would if an address is damaged.
fn check_apart(entries: &[Entry]) -> Result<(), String> {
    let mut places: Vec<(u64, u64)> = entries
        .iter()
        .map(|entry| (entry.address, u64::from(entry.size)))
        .collect();
    places.sort_unstable();
    let mut pairs = places.iter().zip(places.iter().skip(1));
    match pairs.find(|(a, b)| a.0.saturating_add(a.1) > b.0) {
        Some((_, b)) => Err(format!("its index has two chunks at byte {}", b.0)),
        None => Ok(()),
    }
}

impl NumberArray {
    pub(super) fn chunked(
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
        // A thread holds a chunk as stored, partly decoded and decoded, and both data and indices
        // are read. Unfiltered chunks that span the full width can be read piecemeal.
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
            // When an array shrinks, libhdf5 removes the chunks that are cut off.
            let first = raw.offset.first().copied().unwrap_or(0);
            let left = raw
                .offset
                .get(1)
                .map_or(Some(0), |left| left.checked_mul(self.unit));
            let on_grid = |at: u64, side: u64| at.is_multiple_of(side).then_some(at / side);
            let (row, column) = (
                on_grid(first, chunk[0]),
                left.and_then(|left| on_grid(left, chunk_width)),
            );
            let (Some(row), Some(column)) = (
                row.filter(|&row| row < down),
                column.filter(|&column| column < across),
            ) else {
                return Err(self.place.damaged(format!(
                    "its index names a chunk at {:?}, where it can have none: the index is damaged",
                    raw.offset
                )));
            };
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
        check_apart(&entries).map_err(|problem| self.place.damaged(problem))?;
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
            cache: ChunkCache::new(self.cache_bytes, bytes(chunk_bytes)?),
        })
    }

    pub(super) fn fill_from_chunks(
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
                    // The rest of the chunk is outside the array or will not be read again.
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
        // As stored, partly decoded and decoded.
        let bytes = (out.len() as u64)
            .saturating_mul(2)
            .saturating_add(entry.size.into());
        let _pass = GATE.enter(bytes, self.memory / 8);
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
