//! Cells that several writes contain: the newest counts, and if it was deleted there is no cell.

use std::ops::Range;
use std::sync::Arc;

use super::entries::Entries;
use super::tile::SharedTile;
use crate::source::soma::tiledb::fault::{Checked, Fault, reserved};
use crate::source::{CsrChunk, ScalarType, TypedVec};
use crate::with_numbers;

/// An entry with the keys that determine the newest. Writes from the same millisecond are ordered
/// by their names, which libtiledb assigns for this purpose.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    row: u32,
    column: u32,
    time: u64,
    fragment: u32,
    tile: u32,
    cell: u32,
}

/// Returns the newest entries of a range of rows that are not deleted, as CSR.
pub(super) fn sort(
    rows: &Range<u64>,
    entries: &[Arc<Entries>],
    tiles: &[Arc<SharedTile>],
    number_type: ScalarType,
) -> Checked<CsrChunk> {
    // Row numbers are 32-bit.
    let (start, height) = (rows.start as u32, (rows.end - rows.start) as u32);
    let inside = |row: u32| row.wrapping_sub(start) < height;
    let count = |entries: &Arc<Entries>| {
        let runs = entries.rows.iter().filter(|run| inside(run.row));
        runs.map(|run| run.entries as usize).sum::<usize>()
    };
    let mut candidates: Vec<Candidate> = reserved(entries.iter().map(count).sum())?;
    for (tile, (entries, shared)) in (0..).zip(entries.iter().zip(tiles)) {
        for (row, cells) in entries.runs().filter(|(row, _)| inside(*row)) {
            candidates.extend(cells.map(|cell| {
                Candidate {
                    row,
                    column: entries.columns[cell],
                    time: entries
                        .times
                        .as_ref()
                        .map_or(entries.time, |times| times[cell]),
                    fragment: shared.tile.fragment as u32,
                    tile,
                    // A tile has fewer than 2^32 entries.
                    cell: cell as u32,
                }
            }));
        }
    }
    candidates.sort_unstable();
    candidates.dedup_by(|next, kept| {
        // The later of two replaces the earlier.
        let same = (next.row, next.column) == (kept.row, kept.column);
        if same {
            std::mem::swap(next, kept);
        }
        same
    });
    candidates.retain(|candidate| {
        let dead = &entries[candidate.tile as usize].dead;
        !dead
            .as_ref()
            .is_some_and(|dead| dead[candidate.cell as usize])
    });
    let mut indptr: Vec<usize> = reserved(height as usize + 1)?;
    indptr.resize(height as usize + 1, 0);
    for candidate in &candidates {
        indptr[(candidate.row - start) as usize + 1] += 1;
    }
    for row in 0..height as usize {
        indptr[row + 1] += indptr[row];
    }
    let size = number_type.size();
    let mut values = TypedVec::zeroed(number_type, candidates.len())
        .ok_or(Fault::TooLarge((candidates.len() * size) as u64))?;
    let targets = values.as_bytes_mut().chunks_exact_mut(size);
    for (target, candidate) in targets.zip(&candidates) {
        let from: &[u8] = with_numbers!(&entries[candidate.tile as usize].values, values => bytemuck::cast_slice(values));
        let cell = candidate.cell as usize;
        target.copy_from_slice(&from[cell * size..(cell + 1) * size]);
    }
    Ok(CsrChunk {
        rows: rows.clone(),
        indptr,
        indices: TypedVec::UInt32(
            candidates
                .iter()
                .map(|candidate| candidate.column)
                .collect(),
        ),
        data: values,
        strays: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::super::entries::Run;
    use super::super::strays::Strays;
    use super::super::tile::Tile;
    use super::*;

    #[test]
    fn the_newest_living_cell_counts() {
        let entries = |time, rows: &[u32], values: &[u8], dead: Option<Vec<bool>>| {
            let mut runs = Vec::new();
            rows.iter().for_each(|&row| Run::push(&mut runs, row));
            Arc::new(Entries {
                rows: runs,
                columns: vec![3; rows.len()],
                values: TypedVec::UInt8(values.to_vec()),
                times: None,
                dead,
                time,
                strays: Strays::default(),
            })
        };
        let shared = |fragment| {
            Arc::new(SharedTile::new(Tile {
                start: 0,
                end: 9,
                fragment,
                number: 0,
                cells: 9,
            }))
        };
        let all = [
            entries(1, &[0, 1, 2, 8], &[10, 11, 12, 13], None),
            entries(2, &[1, 2], &[21, 22], Some(vec![false, true])),
            entries(2, &[0], &[30], None),
        ];
        let chunk = sort(
            &(0..3),
            &all,
            &[shared(0), shared(1), shared(2)],
            ScalarType::UInt8,
        )
        .unwrap();
        assert_eq!(chunk.indptr, [0, 1, 2, 2]);
        assert_eq!(chunk.data, TypedVec::UInt8(vec![30, 21]));
    }
}
