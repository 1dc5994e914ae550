//! Entries of tiles, and how they are sorted into rows.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;

use super::strays::Strays;
use crate::source::soma::tiledb::fault::{Checked, Fault, reserved};
use crate::source::{CsrChunk, ScalarType, TypedVec};
use crate::with_numbers;

/// The entries of a tile, by position.
pub(super) struct Entries {
    /// The rows, as runs of consecutive entries.
    pub rows: Vec<Run>,
    /// Column of each entry.
    pub columns: Vec<u32>,
    /// Value of each entry.
    pub values: TypedVec,
    /// Time at which each entry was written, if it varies within the fragment.
    pub times: Option<Vec<u64>>,
    /// Whether each entry is deleted.
    pub dead: Option<Vec<bool>>,
    /// Time at which the fragment was written.
    pub time: u64,
    /// Entries that were skipped.
    pub strays: Strays,
}

/// Consecutive entries of one row. Tiles are sorted by row within a space tile, so runs are usually
/// long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// Position of the row.
    pub row: u32,
    /// Number of entries.
    pub entries: u32,
}

impl Run {
    /// Row number of cells that are not entries.
    pub const NO_ROW: u32 = u32::MAX;

    /// Adds an entry to the last run or starts a new one.
    pub fn push(runs: &mut Vec<Run>, row: u32) {
        match runs.last_mut() {
            // A tile that was decoded has fewer than 2^32 entries.
            Some(last) if last.row == row => last.entries += 1,
            _ => runs.push(Run { row, entries: 1 }),
        }
    }

    /// Adds the rows of many entries.
    pub fn push_all(runs: &mut Vec<Run>, rows: &[u32]) {
        let (blocks, rest) = rows.as_chunks::<32>();
        for block in blocks {
            match runs.last_mut() {
                // Compares a whole block at once, without a branch per entry.
                Some(last) if block.iter().fold(0, |any, row| any | (row ^ last.row)) == 0 => {
                    last.entries += block.len() as u32;
                }
                _ => block.iter().for_each(|&row| Run::push(runs, row)),
            }
        }
        rest.iter().for_each(|&row| Run::push(runs, row));
    }
}

impl Entries {
    /// Iterates over the runs: the row, and the positions of its entries.
    pub fn runs(&self) -> impl Iterator<Item = (u32, Range<usize>)> + '_ {
        self.rows.iter().scan(0, |end, run| {
            let start = *end;
            *end += run.entries as usize;
            Some((run.row, start..*end))
        })
    }
}

/// Returns the entries of a range of rows as CSR, in the order of the tiles.
pub(super) fn sort(
    rows: &Range<u64>,
    tiles: &[Arc<Entries>],
    number_type: ScalarType,
) -> Checked<CsrChunk> {
    // Row numbers are 32-bit.
    let (start, height) = (rows.start as u32, (rows.end - rows.start) as u32);
    let mut indptr: Vec<usize> = reserved(height as usize + 1)?;
    indptr.resize(height as usize + 1, 0);
    for tile in tiles {
        for run in &tile.rows {
            let row = run.row.wrapping_sub(start);
            if row < height {
                indptr[row as usize + 1] += run.entries as usize;
            }
        }
    }
    for row in 0..height as usize {
        indptr[row + 1] += indptr[row];
    }
    let total = indptr[height as usize];
    let mut genes: Vec<u32> = reserved(total)?;
    genes.resize(total, 0);
    let mut values = TypedVec::zeroed(number_type, total)
        .ok_or(Fault::TooLarge(total as u64 * number_type.size() as u64))?;
    let mut next = indptr.clone();
    for tile in tiles {
        let from: &[u8] = with_numbers!(&tile.values, values => bytemuck::cast_slice(values));
        let mut scatter = Scatter {
            tile,
            start,
            height,
            next: &mut next,
            genes: &mut genes,
        };
        let to = values.as_bytes_mut();
        match number_type.size() {
            1 => scatter.run::<u8>(from, to),
            2 => scatter.run::<u16>(from, to),
            4 => scatter.run::<u32>(from, to),
            _ => scatter.run::<u64>(from, to),
        }
    }
    Ok(CsrChunk {
        rows: rows.clone(),
        indptr,
        indices: TypedVec::UInt32(genes),
        data: values,
        strays: 0,
    })
}

/// Writes the entries of a tile to the positions reserved for their rows.
struct Scatter<'a> {
    tile: &'a Entries,
    start: u32,
    height: u32,
    next: &'a mut [usize],
    genes: &'a mut [u32],
}

impl Scatter<'_> {
    /// `T` is any type of the same size as the values.
    fn run<T: Pod>(&mut self, from: &[u8], to: &mut [u8]) {
        let from: &[T] = bytemuck::cast_slice(from);
        let to: &mut [T] = bytemuck::cast_slice_mut(to);
        for (row, entries) in self.tile.runs() {
            let row = row.wrapping_sub(self.start);
            if row < self.height {
                let at = &mut self.next[row as usize];
                let end = *at + entries.len();
                self.genes[*at..end].copy_from_slice(&self.tile.columns[entries.clone()]);
                to[*at..end].copy_from_slice(&from[entries]);
                *at = end;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_the_same_one_by_one_and_together() {
        let rows: Vec<u32> = [(3, 70), (4, 1), (Run::NO_ROW, 31), (5, 33), (3, 64)]
            .iter()
            .flat_map(|&(row, entries)| std::iter::repeat_n(row, entries))
            .collect();
        for start in 0..70 {
            let (mut together, mut one_by_one) = (Vec::new(), Vec::new());
            Run::push_all(&mut together, &rows[start..]);
            rows[start..]
                .iter()
                .for_each(|&row| Run::push(&mut one_by_one, row));
            assert_eq!(together, one_by_one);
        }
    }

    #[test]
    fn entries_find_their_rows() {
        let tile = |rows: &[u32], columns: &[u32], values: &[i16]| {
            let mut runs = Vec::new();
            Run::push_all(&mut runs, rows);
            Arc::new(Entries {
                rows: runs,
                columns: columns.to_vec(),
                values: TypedVec::Int16(values.to_vec()),
                times: None,
                dead: None,
                time: 0,
                strays: Strays::default(),
            })
        };
        let tiles = [
            tile(&[4, 5, 7, Run::NO_ROW], &[0, 1, 2, 3], &[1, 2, 3, 4]),
            tile(&[5, 5, 6], &[9, 3, 8], &[5, 8, 6]),
        ];
        let chunk = sort(&(5..8), &tiles, ScalarType::Int16).unwrap();
        assert_eq!(chunk.indptr, [0, 3, 4, 5]);
        assert_eq!(chunk.indices, TypedVec::UInt32(vec![1, 9, 3, 8, 2]));
        assert_eq!(chunk.data, TypedVec::Int16(vec![2, 5, 8, 6, 3]));
    }
}
