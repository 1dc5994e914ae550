//! Which rows of an input are kept.

use std::ops::Range;
use std::sync::OnceLock;

use crate::source::{Positions, Reindex};

/// Kept rows at most this far apart are read together.
const GAP: u64 = 1 << 10;

/// Maximum number of rows to read together.
const STRETCH: u64 = 1 << 15;

/// The rows of an input that are kept, in the order of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeptAxis {
    /// The first rows; how many.
    First(u64),
    /// These rows; takes four bytes per row.
    These(Vec<u32>),
}

/// Rows of the input that are read together, and the positions of the kept ones within it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RowRun {
    /// The rows to read.
    pub rows: Range<u64>,
    /// Positions of the kept rows, relative to the first row read.
    pub kept: Vec<u32>,
}

impl KeptAxis {
    /// Number of rows kept.
    pub fn len(&self) -> u64 {
        match self {
            KeptAxis::First(count) => *count,
            KeptAxis::These(rows) => rows.len() as u64,
        }
    }

    /// Returns the position of a kept row in the input.
    pub fn at(&self, position: u64) -> u64 {
        match self {
            KeptAxis::First(_) => position,
            KeptAxis::These(rows) => u64::from(rows[position as usize]),
        }
    }

    /// Those of the kept rows that are not at one of these positions; `None` where one is beyond them.
    pub fn without(self, positions: &Positions) -> Option<Self> {
        if positions.end() > self.len() {
            return None;
        }
        // Rows that are chosen one by one are counted by 32 bits.
        let end = u32::try_from(self.len()).ok()?;
        let left = positions.others(end);
        Some(KeptAxis::These(match self {
            KeptAxis::First(_) => left.collect(),
            KeptAxis::These(rows) => left.map(|position| rows[position as usize]).collect(),
        }))
    }

    /// Number of kept rows before a row of the input.
    pub fn before(&self, row: u64) -> u64 {
        match self {
            KeptAxis::First(count) => row.min(*count),
            KeptAxis::These(rows) => rows.partition_point(|&kept| u64::from(kept) < row) as u64,
        }
    }

    /// Moves each kept row of `rows` to its position among the kept ones, and drops the others.
    fn reindex(&self, rows: u64) -> Reindex {
        match self {
            KeptAxis::First(count) if *count == rows => Reindex::Identity,
            kept => {
                let rows = usize::try_from(rows).unwrap_or(usize::MAX);
                let mut places = vec![Reindex::DROPPED; rows];
                for (place, position) in (0u32..).zip(0..kept.len()) {
                    places[kept.at(position) as usize] = place;
                }
                Reindex::Moved(places)
            }
        }
    }

    /// Returns the rows of the input to read for a range of kept rows.
    pub fn stretches(&self, positions: Range<u64>) -> Vec<RowRun> {
        let mut stretches: Vec<RowRun> = Vec::new();
        for position in positions {
            let row = self.at(position);
            match stretches.last_mut() {
                Some(last) if row - last.rows.end <= GAP && row - last.rows.start < STRETCH => {
                    last.kept.push((row - last.rows.start) as u32);
                    last.rows.end = row + 1;
                }
                _ => stretches.push(RowRun {
                    rows: row..row + 1,
                    kept: vec![0],
                }),
            }
        }
        stretches
    }
}

/// The rows of an axis that are kept, and their new positions.
pub(super) struct KeptRows {
    /// The rows that are kept.
    pub kept: KeptAxis,
    all: u64,
    /// Takes four bytes per row, kept or not, and is made when entries of a matrix are moved.
    reindex: OnceLock<Reindex>,
}

impl KeptRows {
    /// Keeps some of `all` rows.
    pub fn new(kept: KeptAxis, all: u64) -> Self {
        KeptRows {
            kept,
            all,
            reindex: OnceLock::new(),
        }
    }

    /// Whether all rows are kept, without having been chosen one by one.
    pub fn is_all(&self) -> bool {
        matches!(self.kept, KeptAxis::First(count) if count == self.all)
    }

    /// Moves each kept row to its position among the kept ones, and drops the others.
    pub fn reindex(&self) -> &Reindex {
        self.reindex.get_or_init(|| self.kept.reindex(self.all))
    }

    /// Fraction of the rows that are kept, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.kept.len() as f64 / self.all.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_both_ways() {
        let kept = KeptAxis::These(vec![1, 4, 5, 100_000]);
        assert_eq!((kept.len(), kept.at(2)), (4, 5));
        assert_eq!([0, 1, 2, 5, 6].map(|row| kept.before(row)), [0, 0, 1, 2, 3]);
        let stretches = kept.stretches(1..4);
        assert_eq!(stretches.len(), 2);
        assert_eq!(
            (&stretches[0].rows, &stretches[0].kept[..]),
            (&(4..6), &[0, 1][..])
        );
        let moved = vec![Reindex::DROPPED, 0, 1, Reindex::DROPPED];
        let reindex = KeptAxis::These(vec![1, 2]).reindex(4);
        assert_eq!(reindex, Reindex::Moved(moved));
        assert!(KeptAxis::First(4).reindex(4).is_identity());
        assert_eq!(KeptAxis::First(3).before(7), 3);
        let mut positions = Positions::default();
        positions.push(1);
        let without = |kept: KeptAxis| kept.without(&positions);
        assert_eq!(
            without(KeptAxis::First(3)),
            Some(KeptAxis::These(vec![0, 2]))
        );
        let these = KeptAxis::These(vec![4, 5, 9]);
        assert_eq!(without(these), Some(KeptAxis::These(vec![4, 9])));
        assert_eq!(without(KeptAxis::First(1)), None);
    }
}
