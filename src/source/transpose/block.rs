//! A block of entries as stored in the temporary file: the start of each part, followed by the
//! rows, columns and values of all entries, sorted by part.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::Entries;
use crate::source::number::{scattered, with_integers};
use crate::source::{ScalarType, TypedVec};

/// Division of the rows into parts of `1 << shift` rows each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    /// Number of rows.
    pub rows: u64,
    /// Base-2 logarithm of the number of rows in a part.
    pub shift: u32,
}

impl Parts {
    /// Creates parts of about `wanted` entries.
    pub fn new(rows: u64, entries: u64, wanted: u64) -> Self {
        let parts = entries.div_ceil(wanted.max(1)).clamp(1, rows.max(1));
        let rows_each = rows.div_ceil(parts).max(1);
        // Rounding up to a power of two at worst halves the number of parts.
        Parts {
            rows,
            shift: rows_each.next_power_of_two().trailing_zeros(),
        }
    }

    /// Number of parts.
    pub fn count(self) -> usize {
        // At most a few thousand, because `wanted` is chosen accordingly.
        self.rows.div_ceil(1 << self.shift) as usize
    }

    /// Returns the rows of a part.
    pub fn rows_of(self, part: usize) -> Range<u64> {
        let start = (part as u64) << self.shift;
        start..(start + (1 << self.shift)).min(self.rows)
    }
}

/// A sorted block, ready to be written.
pub(super) struct Block {
    /// Start of each part, and the end of the last one.
    pub starts: Vec<u32>,
    rows: Vec<u32>,
    columns: Vec<u32>,
    values: TypedVec,
}

impl Block {
    /// Sorts entries by part, preserving their order within a part. On failure, returns the
    /// position of an entry whose row is out of bounds.
    pub fn sort(entries: &Entries, parts: Parts) -> Result<Self, usize> {
        let rows = checked_rows(&entries.rows, parts.rows)?;
        let mut starts = vec![0u32; parts.count() + 1];
        for &row in &rows {
            starts[(u64::from(row) >> parts.shift) as usize + 1] += 1;
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        let mut next = starts.clone();
        let places: Vec<u32> = rows
            .iter()
            .map(|&row| {
                let next = &mut next[(u64::from(row) >> parts.shift) as usize];
                let place = *next;
                *next += 1;
                place
            })
            .collect();
        Ok(Block {
            rows: scattered(&rows, &places),
            columns: scattered(&entries.columns, &places),
            values: entries.values.scattered(&places),
            starts,
        })
    }

    /// Size in the file, in bytes.
    pub fn size(&self) -> u64 {
        let entries = self.rows.len() as u64;
        let value = self.values.number_type().size() as u64;
        self.starts.len() as u64 * 4 + entries * (8 + value)
    }

    /// Writes the block at a file offset.
    pub fn write(&mut self, file: &File, at: u64) -> io::Result<()> {
        let mut at = at;
        for bytes in [
            bytemuck::cast_slice(&self.starts),
            bytemuck::cast_slice(&self.rows),
            bytemuck::cast_slice(&self.columns),
            &*self.values.as_bytes_mut(),
        ] {
            file.write_all_at(bytes, at)?;
            at += bytes.len() as u64;
        }
        Ok(())
    }
}

fn checked_rows(rows: &TypedVec, count: u64) -> Result<Vec<u32>, usize> {
    fn checked<T: Copy + TryInto<u64>>(rows: &[T], count: u64) -> Result<Vec<u32>, usize> {
        let mut position = 0;
        let checked: Option<Vec<u32>> = rows
            .iter()
            .map(|&row| {
                let row = row.try_into().ok().filter(|&row| row < count)?;
                position += 1;
                Some(row as u32)
            })
            .collect();
        checked.ok_or(position)
    }
    if let TypedVec::Bool(_) = rows {
        return Err(0);
    }
    with_integers!(rows, v => checked(v, count), else => Err(0))
}

/// A block in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    /// Blocks are read in the order of their numbers.
    pub number: u64,
    /// File offset.
    pub at: u64,
    /// Number of entries.
    pub entries: u64,
}

/// The entries of a part within one block.
pub(super) struct Piece {
    at: u64,
    entries: u64,
    range: Range<u64>,
    starts_bytes: u64,
}

impl Written {
    /// Locates the entries of a part.
    pub fn piece(&self, file: &File, parts: Parts, part: usize) -> io::Result<Piece> {
        let mut ends = [0u32; 2];
        let bytes = bytemuck::cast_slice_mut(&mut ends);
        file.read_exact_at(bytes, self.at + part as u64 * 4)?;
        Ok(Piece {
            at: self.at,
            entries: self.entries,
            range: ends[0].into()..ends[1].into(),
            starts_bytes: (parts.count() as u64 + 1) * 4,
        })
    }
}

impl Piece {
    /// Reads the row of each entry.
    pub fn rows(&self, file: &File, rows: &mut Vec<u32>) -> io::Result<()> {
        self.read_u32(file, 0, rows)
    }

    /// Reads the column of each entry.
    pub fn columns(&self, file: &File, columns: &mut Vec<u32>) -> io::Result<()> {
        self.read_u32(file, 4, columns)
    }

    fn read_u32(&self, file: &File, before: u64, out: &mut Vec<u32>) -> io::Result<()> {
        out.resize((self.range.end - self.range.start) as usize, 0);
        let at = self.at + self.starts_bytes + self.entries * before + self.range.start * 4;
        file.read_exact_at(bytemuck::cast_slice_mut(out), at)
    }

    /// Reads the values as bytes.
    pub fn values(
        &self,
        file: &File,
        number_type: ScalarType,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let size = number_type.size() as u64;
        out.resize(((self.range.end - self.range.start) * size) as usize, 0);
        let at = self.at + self.starts_bytes + self.entries * 8 + self.range.start * size;
        file.read_exact_at(out, at)
    }
}
