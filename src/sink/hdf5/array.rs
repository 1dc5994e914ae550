//! Arrays of numbers that grow along their first axis.
//!
//! Rows come in order, in pieces of any length. A piece is cut at the borders of chunks: what fills a
//! chunk is compressed by whoever brings it, without a lock; what is left at both ends is joined with
//! its neighbours when the pieces are written, one after the other.

use std::sync::{Mutex, PoisonError};

use super::Filters;
use super::ffi::{self, Element, Handle};
use super::place::{Group, encoding};
use crate::sink::SinkError;
use crate::source::TypedVec;

/// Bytes of a chunk before compression, at most.
const CHUNK: u64 = 256 << 10;
/// Arrays up to this size are stored without chunks and filters, whose index would take more.
const SMALL: u64 = 4 << 10;

/// What an array is.
#[derive(Debug, Clone, Copy)]
pub(in crate::sink) struct ArrayOptions {
    pub element: Element,
    /// Elements of a row, of a two-dimensional array.
    pub width: Option<u64>,
    pub filters: Filters,
    /// What anndata calls it; nothing where it is a part of something else that has a name.
    pub kind: [&'static str; 2],
}

/// An array that is being written.
pub(in crate::sink) struct ArrayWriter {
    parent: Group,
    name: String,
    options: ArrayOptions,
    /// Rows of a chunk.
    chunk: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    array: Option<Handle>,
    /// Chunks written.
    chunks: u64,
    /// Rows after the last whole chunk.
    rest: Vec<u8>,
}

/// Rows that were cut and compressed, and can be written when it is their turn.
pub(in crate::sink) struct Piece {
    head: Vec<u8>,
    chunks: Vec<Vec<u8>>,
    tail: Vec<u8>,
}

impl ArrayWriter {
    pub(super) fn new(parent: Group, name: &str, options: ArrayOptions) -> Self {
        let row = options.element.size() as u64 * options.width.unwrap_or(1);
        ArrayWriter {
            parent,
            name: name.to_string(),
            options,
            chunk: (CHUNK / row.max(1)).max(1),
            state: Mutex::default(),
        }
    }

    fn row_bytes(&self) -> usize {
        self.options.element.size() * self.options.width.unwrap_or(1) as usize
    }

    fn filtered(&self, bytes: &[u8]) -> Result<Vec<u8>, SinkError> {
        let filtered = self
            .options
            .filters
            .applied(bytes, self.options.element.size());
        filtered.map_err(|problem| self.error(problem))
    }

    pub fn error(&self, problem: String) -> SinkError {
        self.parent.error(&self.name, problem)
    }

    /// Cuts rows, of which the first is row `start` of the array, and compresses the chunks that they
    /// fill.
    ///
    /// # Errors
    /// If a chunk cannot be compressed.
    pub fn piece(&self, start: u64, bytes: &[u8]) -> Result<Piece, SinkError> {
        let row = self.row_bytes().max(1);
        let whole = row * self.chunk as usize;
        let before = (start % self.chunk) as usize * row;
        let head = match before {
            0 => 0,
            before => (whole - before).min(bytes.len()),
        };
        let (head, bytes) = bytes.split_at(head);
        let chunks = bytes.chunks_exact(whole);
        let tail = chunks.remainder().to_vec();
        let filtered = chunks.map(|chunk| self.filtered(chunk));
        Ok(Piece {
            head: head.to_vec(),
            chunks: filtered.collect::<Result<_, _>>()?,
            tail,
        })
    }

    /// Writes the next piece.
    pub fn write(&self, piece: Piece) -> Result<(), SinkError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let whole = self.row_bytes() * self.chunk as usize;
        state.rest.extend_from_slice(&piece.head);
        if state.rest.len() == whole && whole > 0 {
            let rest = std::mem::take(&mut state.rest);
            let filled = self.filtered(&rest)?;
            self.put(&mut state, &filled)?;
        }
        for chunk in &piece.chunks {
            self.put(&mut state, chunk)?;
        }
        if !piece.tail.is_empty() {
            state.rest = piece.tail;
        }
        Ok(())
    }

    /// Cuts and writes the next rows on this thread.
    pub fn push(&self, numbers: &mut TypedVec) -> Result<(), SinkError> {
        debug_assert_eq!(Element::Number(numbers.number_type()), self.options.element);
        self.push_bytes(numbers.as_bytes_mut())
    }

    /// Likewise, of elements as they are stored.
    pub fn push_bytes(&self, bytes: &[u8]) -> Result<(), SinkError> {
        self.write(self.piece(self.rows(), bytes)?)
    }

    fn rows(&self) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.chunks * self.chunk + (state.rest.len() / self.row_bytes().max(1)) as u64
    }

    fn shape(&self, rows: u64) -> Vec<u64> {
        std::iter::once(rows).chain(self.options.width).collect()
    }

    fn create(&self, rows: u64, chunk: Option<u64>) -> Result<Handle, SinkError> {
        let element = self.options.element;
        let chunks = chunk.map(|rows| (self.shape(rows), self.options.filters));
        let array = self
            .parent
            .create(&self.name, element, &self.shape(rows), chunks)?;
        encoding(&array, self.options.kind).map_err(|problem| self.error(problem))?;
        Ok(array)
    }

    fn put(&self, state: &mut State, chunk: &[u8]) -> Result<(), SinkError> {
        let array = match state.array.take() {
            Some(array) => array,
            None => self.create(self.chunk, Some(self.chunk))?,
        };
        let start = state.chunks * self.chunk;
        let written = ffi::set_extent(&array, &self.shape(start + self.chunk))
            .and_then(|()| ffi::write_chunk(&array, &self.offset(start), chunk));
        written.map_err(|problem| self.error(problem))?;
        state.chunks += 1;
        state.array = Some(array);
        Ok(())
    }

    fn offset(&self, row: u64) -> Vec<u64> {
        std::iter::once(row)
            .chain(self.options.width.map(|_| 0))
            .collect()
    }

    /// Writes what is left, and returns the number of rows.
    pub fn finish(self) -> Result<u64, SinkError> {
        let rows = self.rows();
        let mut state = {
            let mut held = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *held)
        };
        let failed = |problem| self.error(problem);
        if let Some(array) = state.array {
            if !state.rest.is_empty() {
                // Chunks at the edge are stored whole.
                state.rest.resize(self.row_bytes() * self.chunk as usize, 0);
                let start = state.chunks * self.chunk;
                ffi::set_extent(&array, &self.shape(rows)).map_err(failed)?;
                let chunk = self.filtered(&state.rest)?;
                ffi::write_chunk(&array, &self.offset(start), &chunk).map_err(failed)?;
            }
        } else if rows == 0 || state.rest.len() as u64 <= SMALL {
            let array = self.create(rows, None)?;
            if !state.rest.is_empty() {
                ffi::write_all(&array, self.options.element, &state.rest).map_err(failed)?;
            }
        } else {
            let array = self.create(rows, Some(rows))?;
            let chunk = self.filtered(&state.rest)?;
            ffi::write_chunk(&array, &self.offset(0), &chunk).map_err(failed)?;
        }
        Ok(rows)
    }
}
