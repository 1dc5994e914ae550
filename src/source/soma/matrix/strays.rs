//! Stray entries, whose joinid is not in obs or var: a write after a delete leaves them behind.
//! They are not part of the matrix as tiledbsoma's `axis_query` reads it, but they are counted.

use std::ops::Range;
use std::sync::Arc;

use super::entries::{Entries, Run};

/// The strays of a tile. Each is counted with a row: its own, or the next one that exists.
pub(super) enum Strays {
    /// Counts per row, if no cell was written twice.
    Counted(Vec<Run>),
    /// Individual strays.
    Dated(Vec<Stray>),
}

/// A stray of a matrix in which cells may have been written several times.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stray {
    /// The row with which it is counted.
    pub row: u32,
    /// Identifies the cell: for each dimension its position or, if the joinid is unknown, the
    /// complement of the joinid.
    pub at: [i64; 2],
    /// Time of the write, in milliseconds since 1970.
    pub time: u64,
    /// Index of the fragment.
    pub fragment: u32,
    /// Index of the cell within its tile.
    pub cell: u32,
    /// Whether it was deleted.
    pub dead: bool,
}

impl Default for Strays {
    fn default() -> Self {
        Strays::Counted(Vec::new())
    }
}

/// Counts the strays within a range of rows. Of several writes of a cell only the newest counts,
/// and only if it was not deleted.
pub(super) fn count(rows: &Range<u64>, tiles: &[Arc<Entries>]) -> u64 {
    let inside = |row: u32| rows.contains(&u64::from(row));
    let mut counted = 0;
    let mut dated: Vec<&Stray> = Vec::new();
    for tile in tiles {
        match &tile.strays {
            Strays::Counted(runs) => {
                let runs = runs.iter().filter(|run| inside(run.row));
                counted += runs.map(|run| u64::from(run.entries)).sum::<u64>();
            }
            Strays::Dated(strays) => dated.extend(strays.iter().filter(|stray| inside(stray.row))),
        }
    }
    dated.sort_unstable();
    let same = |a: &&Stray, b: &&Stray| (a.row, a.at) == (b.row, b.at);
    let newest = dated.chunk_by(same).filter_map(|writes| writes.last());
    counted + newest.filter(|stray| !stray.dead).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::TypedVec;

    fn tile(strays: Strays) -> Arc<Entries> {
        Arc::new(Entries {
            rows: Vec::new(),
            columns: Vec::new(),
            values: TypedVec::UInt8(Vec::new()),
            times: None,
            dead: None,
            time: 0,
            strays,
        })
    }

    #[test]
    fn a_stray_that_was_written_twice_is_one() {
        let stray = |row, column: i64, time, dead| Stray {
            row,
            at: [!7, column],
            time,
            fragment: 0,
            cell: 0,
            dead,
        };
        let first = tile(Strays::Dated(vec![
            stray(2, 0, 1, false),
            stray(3, 1, 1, false),
        ]));
        let second = tile(Strays::Dated(vec![
            stray(2, 0, 2, false),
            stray(3, 1, 2, true),
        ]));
        let tiles = [first, second];
        assert_eq!(count(&(0..9), &tiles), 1);
        assert_eq!(count(&(3..9), &tiles), 0);
    }

    #[test]
    fn strays_are_counted_by_row() {
        let tiles = [tile(Strays::Counted(vec![
            Run { row: 1, entries: 4 },
            Run { row: 5, entries: 2 },
        ]))];
        assert_eq!((count(&(0..5), &tiles), count(&(5..6), &tiles)), (4, 2));
    }
}
