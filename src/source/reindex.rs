//! New positions of the columns of a matrix: of the genes that are kept, of those of a joined
//! dataset, of the cells behind those of other inputs.

// Code for all types of indices, some of which convert without fail.
#![allow(clippy::unnecessary_fallible_conversions, clippy::useless_conversion)]

use std::borrow::Cow;
use std::ops::Range;

use super::error::ErrorContext;
use super::number::with_integers;
use super::{Chunks, CsrChunk, PendingChunk, TypedVec};

/// New positions of the columns of a matrix.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Reindex {
    /// All columns stay where they are.
    #[default]
    Identity,
    /// All columns move by the same distance.
    Shifted {
        /// The new position of the first column.
        by: u32,
        /// Number of columns. `by + columns` is at most 2^32.
        columns: u64,
    },
    /// The new position of each column, or [`Reindex::DROPPED`].
    Moved(Vec<u32>),
}

/// An index that is not the position of a column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an index is {index}, but there are {columns} columns")]
pub struct NoSuchColumn {
    /// The position of the entry in its chunk.
    pub entry: usize,
    /// The index.
    pub index: String,
    /// The number of columns.
    pub columns: u64,
}

impl Reindex {
    /// Marks a column whose entries are dropped.
    pub const DROPPED: u32 = u32::MAX;

    /// Keeps the columns selected by a mask, in their order.
    pub fn of_mask(mask: &[bool]) -> Self {
        if mask.iter().all(|&keep| keep) {
            return Reindex::Identity;
        }
        let mut next = 0;
        let positions = mask.iter().map(|&keep| {
            let position = if keep { next } else { Reindex::DROPPED };
            next += u32::from(keep);
            position
        });
        Reindex::Moved(positions.collect())
    }

    /// Moves `columns` columns behind `by` others; `None` if their positions do not fit 32 bits.
    pub fn shifted(by: u64, columns: u64) -> Option<Self> {
        let end = by.checked_add(columns)?;
        let by = u32::try_from(by).ok()?;
        (end <= 1 << 32).then_some(Reindex::Shifted { by, columns })
    }

    /// Whether all columns stay where they are.
    pub fn is_identity(&self) -> bool {
        matches!(self, Reindex::Identity)
    }

    /// How many of `columns` columns are kept.
    pub fn kept(&self, columns: u64) -> u64 {
        match self {
            Reindex::Identity => columns,
            Reindex::Shifted { columns, .. } => *columns,
            Reindex::Moved(to) => {
                let kept = to.iter().filter(|&&place| place != Reindex::DROPPED);
                kept.count() as u64
            }
        }
    }

    /// Returns the new position of a column; `None` if it is dropped or does not exist.
    #[inline]
    pub fn get(&self, column: u32) -> Option<u32> {
        match self {
            Reindex::Identity => Some(column),
            Reindex::Shifted { by, columns } => {
                (u64::from(column) < *columns).then(|| by.wrapping_add(column))
            }
            Reindex::Moved(to) => {
                let place = to.get(column as usize).copied();
                place.filter(|&place| place != Reindex::DROPPED)
            }
        }
    }

    /// Moves the columns of a chunk. The entries of a row keep their order.
    ///
    /// # Errors
    /// If an index is not the position of a column. [`Reindex::Identity`] does not look at them.
    pub fn apply(&self, chunk: CsrChunk) -> Result<CsrChunk, NoSuchColumn> {
        self.moved(Cow::Owned(chunk)).map(Cow::into_owned)
    }

    /// As [`Reindex::apply`], for a chunk that is not copied if no column moves.
    pub(crate) fn moved<'a>(
        &self,
        chunk: Cow<'a, CsrChunk>,
    ) -> Result<Cow<'a, CsrChunk>, NoSuchColumn> {
        let (places, dropped) = match self {
            Reindex::Identity => return Ok(chunk),
            Reindex::Shifted { by, columns } => {
                let place = |column: usize| {
                    let column = u32::try_from(column).ok();
                    let column = column.filter(|&column| u64::from(column) < *columns);
                    column.and_then(|column| by.checked_add(column))
                };
                (positions(&chunk.indices, *columns, place)?, 0)
            }
            Reindex::Moved(to) => {
                let mut dropped = 0;
                let place = |column: usize| {
                    let place = to.get(column).copied();
                    dropped += usize::from(place == Some(Reindex::DROPPED));
                    place
                };
                (positions(&chunk.indices, to.len() as u64, place)?, dropped)
            }
        };
        Ok(Cow::Owned(if dropped == 0 {
            let (rows, strays) = (chunk.rows.clone(), chunk.strays);
            let (indptr, data) = match chunk {
                Cow::Owned(chunk) => (chunk.indptr, chunk.data),
                Cow::Borrowed(chunk) => (chunk.indptr.clone(), chunk.data.clone()),
            };
            CsrChunk {
                rows,
                indptr,
                indices: TypedVec::UInt32(places),
                data,
                strays,
            }
        } else {
            without_dropped(&chunk, &places, dropped)
        }))
    }

    /// Returns those of the values whose columns are kept. Indices of no column are passed over.
    pub(crate) fn kept_values(&self, indices: &TypedVec, values: TypedVec) -> TypedVec {
        if self.is_identity() {
            return values;
        }
        let kept: Vec<usize> = with_integers!(indices, v => {
            let columns = v.iter().map(|&column| u32::try_from(column).ok());
            let kept = columns.enumerate().filter(|(_, column)| {
                column.is_some_and(|column| self.get(column).is_some())
            });
            kept.map(|(entry, _)| entry).collect()
        }, else => return values);
        values.picked(&kept)
    }

    /// Moves the columns of chunks as they are read. `what` the columns are, in the plural, is for
    /// messages.
    pub(crate) fn over<'a>(
        &'a self,
        chunks: Chunks<'a>,
        place: &'a ErrorContext,
        what: &'static str,
    ) -> Chunks<'a> {
        if self.is_identity() {
            return chunks;
        }
        Box::new(chunks.map(move |pending| {
            let pending = pending?;
            let (rows, entries) = (pending.rows.clone(), pending.entries);
            Ok(PendingChunk::new(rows, entries, move || {
                let moved = self.apply(pending.read()?);
                moved.map_err(|outside| place.damaged(outside.among(what)))
            }))
        }))
    }
}

impl NoSuchColumn {
    /// The message, with the word for the columns.
    pub(crate) fn among(&self, what: &str) -> String {
        let (index, columns) = (&self.index, self.columns);
        format!("an index is {index}, but there are {columns} {what}")
    }
}

/// Returns the new position of each index, which `place` finds.
fn positions(
    indices: &TypedVec,
    columns: u64,
    mut place: impl FnMut(usize) -> Option<u32>,
) -> Result<Vec<u32>, NoSuchColumn> {
    let outside = |entry, index| NoSuchColumn {
        entry,
        index,
        columns,
    };
    with_integers!(indices, v => {
        let mut places = Vec::with_capacity(v.len());
        for (entry, &index) in v.iter().enumerate() {
            match usize::try_from(index).ok().and_then(&mut place) {
                Some(place) => places.push(place),
                None => return Err(outside(entry, index.to_string())),
            }
        }
        Ok(places)
    }, else => if indices.is_empty() {
        Ok(Vec::new())
    } else {
        Err(outside(0, "no integer".into()))
    })
}

/// Returns the chunk with these indices, without the entries that are dropped.
fn without_dropped(chunk: &CsrChunk, places: &[u32], dropped: usize) -> CsrChunk {
    let mut kept = Vec::with_capacity(places.len().saturating_sub(dropped));
    let mut indices = Vec::with_capacity(kept.capacity());
    let mut indptr = Vec::with_capacity(chunk.indptr.len());
    indptr.push(0);
    for ends in chunk.indptr.windows(2) {
        for (entry, &place) in (ends[0]..).zip(&places[ends[0]..ends[1]]) {
            if place != Reindex::DROPPED {
                kept.push(entry);
                indices.push(place);
            }
        }
        indptr.push(kept.len());
    }
    CsrChunk {
        rows: chunk.rows.clone(),
        indptr,
        indices: TypedVec::UInt32(indices),
        data: chunk.data.picked(&kept),
        strays: chunk.strays,
    }
}

impl CsrChunk {
    /// Returns some of the rows, by their positions in the chunk, as the rows `rows` of another
    /// matrix.
    ///
    /// # Panics
    /// If there is no row at one of the positions.
    pub(crate) fn with_rows(
        self,
        rows: Range<u64>,
        kept: impl ExactSizeIterator<Item = usize>,
    ) -> CsrChunk {
        if kept.len() + 1 == self.indptr.len() {
            return CsrChunk { rows, ..self };
        }
        let mut indptr = Vec::with_capacity(kept.len() + 1);
        indptr.push(0);
        let mut entries = 0;
        let mut ranges = Vec::with_capacity(kept.len());
        for row in kept {
            let range = self.indptr[row]..self.indptr[row + 1];
            entries += range.len();
            indptr.push(entries);
            ranges.push(range);
        }
        CsrChunk {
            rows,
            indptr,
            indices: self.indices.picked_ranges(&ranges),
            data: self.data.picked_ranges(&ranges),
            strays: self.strays,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk() -> CsrChunk {
        CsrChunk {
            rows: 5..8,
            indptr: vec![0, 2, 2, 5],
            indices: TypedVec::Int16(vec![0, 3, 1, 2, 3]),
            data: TypedVec::Float32(vec![1.0, 2.0, 3.0, 4.0, 5.0]),
            strays: 1,
        }
    }

    #[test]
    fn entries_of_dropped_columns_go() {
        let kept = Reindex::of_mask(&[true, false, true, true]);
        assert_eq!(kept.kept(4), 3);
        let found = kept.apply(chunk()).unwrap();
        assert_eq!(found.indptr, [0, 2, 2, 4]);
        assert_eq!(found.indices, TypedVec::UInt32(vec![0, 2, 1, 2]));
        assert_eq!(found.data, TypedVec::Float32(vec![1.0, 2.0, 4.0, 5.0]));
        assert_eq!(found.strays, 1);
        let all = Reindex::of_mask(&[true; 4]);
        assert!(all.is_identity() && all.kept(4) == 4);
        assert_eq!(all.apply(chunk()).unwrap(), chunk());
    }

    #[test]
    fn columns_that_do_not_exist_are_refused() {
        for (reindex, columns) in [
            (Reindex::of_mask(&[true, false, true]), 3),
            (Reindex::shifted(7, 3).unwrap(), 3),
        ] {
            let outside = NoSuchColumn {
                entry: 1,
                index: "3".into(),
                columns,
            };
            assert_eq!(reindex.apply(chunk()), Err(outside));
        }
        let of = |indices: TypedVec| {
            Reindex::of_mask(&[false]).apply(CsrChunk {
                indptr: vec![0, indices.len()],
                data: TypedVec::UInt8(vec![1; indices.len()]),
                rows: 0..1,
                strays: 0,
                indices,
            })
        };
        assert_eq!(of(TypedVec::Int8(vec![0, -1])).unwrap_err().index, "-1");
        assert!(of(TypedVec::UInt64(vec![u64::MAX])).is_err());
        assert!(of(TypedVec::Float32(vec![0.0])).is_err());
        assert!(of(TypedVec::Float32(vec![])).is_ok());
    }

    #[test]
    fn a_shift_ends_where_positions_do() {
        assert!(Reindex::shifted(1 << 32, 0).is_none());
        assert!(Reindex::shifted(u64::MAX, 2).is_none());
        assert!(Reindex::shifted((1 << 32) - 3, 4).is_none());
        // The last position is not mistaken for the mark of a dropped column.
        let last = Reindex::shifted((1 << 32) - 4, 4).unwrap();
        let moved = last.apply(chunk()).unwrap();
        assert_eq!(moved.data, chunk().data);
        let by = u32::MAX - 3;
        let places = vec![by, by + 3, by + 1, by + 2, by + 3];
        assert_eq!(moved.indices, TypedVec::UInt32(places));
    }

    const COLUMNS: usize = 9;

    fn reindexes() -> impl Strategy<Value = Reindex> {
        let places = prop_oneof![3 => 0u32..20, 1 => Just(Reindex::DROPPED)];
        prop_oneof![
            Just(Reindex::Identity),
            (0u64..50).prop_map(|by| Reindex::shifted(by, COLUMNS as u64).unwrap()),
            prop::collection::vec(any::<bool>(), COLUMNS).prop_map(|mask| Reindex::of_mask(&mask)),
            prop::collection::vec(places, COLUMNS).prop_map(Reindex::Moved),
        ]
    }

    fn chunks() -> impl Strategy<Value = (Vec<Vec<(u8, i32)>>, bool)> {
        let row = prop::collection::vec((0..COLUMNS as u8, any::<i32>()), 0..6);
        (prop::collection::vec(row, 0..6), any::<bool>())
    }

    fn csr(rows: &[Vec<(u8, i32)>], wide: bool) -> CsrChunk {
        let entries: Vec<(u8, i32)> = rows.concat();
        let indices = entries.iter().map(|(column, _)| *column);
        let ends = rows.iter().scan(0, |end, row| {
            *end += row.len();
            Some(*end)
        });
        CsrChunk {
            rows: 3..3 + rows.len() as u64,
            indptr: std::iter::once(0).chain(ends).collect(),
            indices: if wide {
                TypedVec::Int64(indices.map(i64::from).collect())
            } else {
                TypedVec::UInt8(indices.collect())
            },
            data: TypedVec::Int32(entries.iter().map(|(_, value)| *value).collect()),
            strays: 0,
        }
    }

    /// The rows of a chunk as lists of column and value.
    fn lists(chunk: &CsrChunk) -> Vec<Vec<(u32, i64)>> {
        let (columns, values) = (
            chunk.indices.to_i64().unwrap(),
            chunk.data.to_i64().unwrap(),
        );
        let entries = columns.iter().map(|&column| column as u32).zip(values);
        let entries: Vec<(u32, i64)> = entries.collect();
        let rows = chunk.indptr.windows(2);
        rows.map(|ends| entries[ends[0]..ends[1]].to_vec())
            .collect()
    }

    proptest! {
        #[test]
        fn each_entry_goes_where_its_column_goes((rows, wide) in chunks(), reindex in reindexes()) {
            let chunk = csr(&rows, wide);
            let expected: Vec<Vec<(u32, i64)>> = rows
                .iter()
                .map(|row| {
                    let to = |&(column, value): &(u8, i32)| {
                        Some((reindex.get(column.into())?, value.into()))
                    };
                    row.iter().filter_map(to).collect()
                })
                .collect();
            let moved = reindex.moved(Cow::Borrowed(&chunk)).unwrap();
            prop_assert_eq!(lists(&moved), expected.clone());
            prop_assert_eq!(&moved.rows, &chunk.rows);
            prop_assert_eq!(
                reindex.kept_values(&chunk.indices, chunk.data.clone()).to_i64().unwrap(),
                expected.concat().iter().map(|(_, value)| *value).collect::<Vec<i64>>()
            );
            prop_assert_eq!(lists(&reindex.apply(chunk).unwrap()), expected);
        }

        #[test]
        fn kept_rows_are_whole((rows, wide) in chunks(), mask in prop::collection::vec(any::<bool>(), 6)) {
            let kept: Vec<usize> = (0..rows.len()).filter(|&row| mask[row]).collect();
            let expected: Vec<Vec<(u8, i32)>> = kept.iter().map(|&row| rows[row].clone()).collect();
            let found = csr(&rows, wide).with_rows(3..3 + kept.len() as u64, kept.into_iter());
            prop_assert_eq!(found, csr(&expected, wide));
        }
    }
}
