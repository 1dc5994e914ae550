//! The read phase of the transpose.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::block::{Parts, Piece, Written};
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::{
    ChunkBudget, Chunks, CsrChunk, PendingChunk, ScalarType, SourceError, TypedVec,
};

/// A transposed matrix, whose entries can be read by rows.
pub(crate) struct Transposed {
    pub(super) file: File,
    pub(super) scratch: PathBuf,
    pub(super) number_type: ScalarType,
    pub(super) parts: Parts,
    pub(super) blocks: Vec<Written>,
}

/// The rows of a chunk, and the number of entries in each.
struct Cut {
    part: usize,
    rows: Range<u64>,
    counts: Vec<u32>,
}

impl Transposed {
    /// Returns chunks of rows, in order. Within a row, entries are in the order in which they
    /// arrived.
    pub fn chunks<'a>(
        self: std::sync::Arc<Self>,
        rows: Range<u64>,
        budget: ChunkBudget,
    ) -> Chunks<'a> {
        let mut start = rows.start;
        let mut cuts: VecDeque<Cut> = VecDeque::new();
        Box::new(std::iter::from_fn(move || {
            if cuts.is_empty() {
                if start >= rows.end {
                    return None;
                }
                let part = (start >> self.parts.shift) as usize;
                let whole = self.parts.rows_of(part);
                let wanted = start..whole.end.min(rows.end);
                start = wanted.end;
                match self.cut(part, wanted, budget) {
                    Ok(cut) => cuts = cut.into(),
                    Err(error) => {
                        start = rows.end;
                        return Some(Err(self.scratch_error(error)));
                    }
                }
            }
            let cut = cuts.pop_front()?;
            let matrix = self.clone();
            let entries = cut.counts.iter().map(|&count| u64::from(count)).sum();
            Some(Ok(PendingChunk::new(
                cut.rows.clone(),
                entries,
                move || matrix.read(&cut).map_err(|e| matrix.scratch_error(e)),
            )))
        }))
    }

    fn scratch_error(&self, source: io::Error) -> SourceError {
        SourceError::Scratch {
            path: self.scratch.clone(),
            source,
        }
    }

    fn pieces(&self, part: usize) -> impl Iterator<Item = io::Result<Piece>> + '_ {
        self.blocks
            .iter()
            .map(move |block| block.piece(&self.file, self.parts, part))
    }

    /// Counts the entries of each row and cuts the rows into chunks.
    fn cut(&self, part: usize, rows: Range<u64>, budget: ChunkBudget) -> io::Result<Vec<Cut>> {
        let first = self.parts.rows_of(part).start;
        let length = (self.parts.rows_of(part).end - first) as usize;
        let mut counts = vec![0u32; length];
        let mut positions = Vec::new();
        for piece in self.pieces(part) {
            piece?.rows(&self.file, &mut positions)?;
            for &row in &positions {
                counts[(u64::from(row) - first) as usize] += 1;
            }
        }
        let bytes = 4 + self.number_type.size() as u64 + EXPANDED_BYTES;
        let most = (budget.bytes / bytes).max(1);
        let mut cuts = Vec::new();
        let (mut begin, mut entries) = (rows.start, 0u64);
        for row in rows.clone() {
            let count = u64::from(counts[(row - first) as usize]);
            if row > begin && (entries + count > most || row - begin >= budget.cells) {
                cuts.push(self.make_cut(part, begin..row, &counts));
                (begin, entries) = (row, 0);
            }
            entries += count;
        }
        cuts.push(self.make_cut(part, begin..rows.end, &counts));
        Ok(cuts)
    }

    fn make_cut(&self, part: usize, rows: Range<u64>, counts: &[u32]) -> Cut {
        let first = self.parts.rows_of(part).start;
        let range = (rows.start - first) as usize..(rows.end - first) as usize;
        Cut {
            part,
            rows,
            counts: counts[range].to_vec(),
        }
    }

    /// Reads the rows of a cut and sorts their entries by row.
    fn read(&self, cut: &Cut) -> io::Result<CsrChunk> {
        let mut indptr = Vec::with_capacity(cut.counts.len() + 1);
        let mut total = 0usize;
        indptr.push(0);
        for &count in &cut.counts {
            total += count as usize;
            indptr.push(total);
        }
        let size = self.number_type.size();
        let mut next = indptr.clone();
        let mut sorted = vec![0u32; total];
        let mut values = TypedVec::zeroed(self.number_type, total)
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let out = values.as_bytes_mut();
        let (mut rows, mut columns, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        let wanted = cut.rows.start as u32..=(cut.rows.end - 1) as u32;
        for piece in self.pieces(cut.part) {
            let piece = piece?;
            piece.rows(&self.file, &mut rows)?;
            if !rows.iter().any(|row| wanted.contains(row)) {
                continue;
            }
            piece.columns(&self.file, &mut columns)?;
            piece.values(&self.file, self.number_type, &mut bytes)?;
            match size {
                1 => place::<1>(
                    &rows,
                    &columns,
                    &bytes,
                    &wanted,
                    &mut next,
                    &mut sorted,
                    out,
                ),
                2 => place::<2>(
                    &rows,
                    &columns,
                    &bytes,
                    &wanted,
                    &mut next,
                    &mut sorted,
                    out,
                ),
                4 => place::<4>(
                    &rows,
                    &columns,
                    &bytes,
                    &wanted,
                    &mut next,
                    &mut sorted,
                    out,
                ),
                _ => place::<8>(
                    &rows,
                    &columns,
                    &bytes,
                    &wanted,
                    &mut next,
                    &mut sorted,
                    out,
                ),
            }
        }
        Ok(CsrChunk {
            rows: cut.rows.clone(),
            indptr,
            indices: TypedVec::UInt32(sorted),
            data: values,
            strays: 0,
        })
    }
}

/// Copies each wanted entry to the next free position of its row.
fn place<const SIZE: usize>(
    rows: &[u32],
    columns: &[u32],
    values: &[u8],
    wanted: &std::ops::RangeInclusive<u32>,
    next: &mut [usize],
    sorted: &mut [u32],
    out: &mut [u8],
) {
    let values = values.chunks_exact(SIZE);
    for ((&row, &column), value) in rows.iter().zip(columns).zip(values) {
        if wanted.contains(&row) {
            let next = &mut next[(row - wanted.start()) as usize];
            sorted[*next] = column;
            out[*next * SIZE..(*next + 1) * SIZE].copy_from_slice(value);
            *next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Entries, ExternalTranspose, TransposeOptions};
    use crate::source::error::ErrorContext;
    use crate::source::{ChunkBudget, ScalarType, TypedVec};

    fn external(shape: [u64; 2], entries: u64) -> ExternalTranspose {
        let options = TransposeOptions {
            memory: 1 << 20,
            threads: 2,
            scratch: std::env::temp_dir(),
        };
        let place = ErrorContext::new("x".as_ref(), "X");
        ExternalTranspose::new(place, shape, entries, ScalarType::Int16, &options).unwrap()
    }

    proptest! {
        #[test]
        fn rows_come_out_whole_and_in_order(
            entries in prop::collection::vec((0u32..50, 0u32..9, any::<i16>()), 0..300),
            cut in 1usize..60,
            guessed in 0u64..100_000_000,
            bytes in 1u64..2000,
            cells in 1u64..20,
        ) {
            let external = external([50, 9], guessed);
            let pieces: Vec<_> = entries.chunks(cut).map(<[_]>::to_vec).collect();
            external.fill(pieces.into_iter().map(|piece| Ok(move || Ok(Entries {
                rows: TypedVec::UInt32(piece.iter().map(|e| e.0).collect()),
                columns: piece.iter().map(|e| e.1).collect(),
                values: TypedVec::Int16(piece.iter().map(|e| e.2).collect()),
            })))).unwrap();
            let transposed = std::sync::Arc::new(external.finish());
            let mut expected: Vec<_> = entries.clone();
            expected.sort_by_key(|e| e.0);
            let mut found = Vec::new();
            let mut row = 3;
            for chunk in transposed.chunks(3..50, ChunkBudget { bytes, cells }) {
                let pending = chunk.unwrap();
                prop_assert_eq!(pending.rows.start, row);
                row = pending.rows.end;
                let promised = pending.entries;
                let chunk = pending.read().unwrap();
                prop_assert!(chunk.rows.end - chunk.rows.start <= cells);
                prop_assert_eq!(chunk.data.len() as u64, promised);
                let (TypedVec::UInt32(columns), TypedVec::Int16(values)) = (&chunk.indices, &chunk.data) else { panic!() };
                for (row, ends) in chunk.rows.clone().zip(chunk.indptr.windows(2)) {
                    found.extend((ends[0]..ends[1]).map(|i| (row as u32, columns[i], values[i])));
                }
            }
            prop_assert_eq!(row, 50);
            expected.retain(|e| e.0 >= 3);
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn rows_that_do_not_exist_are_refused() {
        let external = external([5, 9], 1);
        let entries = |rows| Entries {
            rows,
            columns: vec![7],
            values: TypedVec::Int16(vec![1]),
        };
        for rows in [TypedVec::Int64(vec![-1]), TypedVec::UInt8(vec![5])] {
            let message = external.lay(0, &entries(rows)).unwrap_err().to_string();
            assert!(message.contains("column 7"), "{message}");
        }
    }
}
