//! Rows of a data frame: locates the most recently written cell of each joinid.

use std::ops::Range;

use super::joinids::Joinids;
use super::tiledb::fault::{Fault, REWRITE};
use super::tiledb::{Array, ColumnFile, Fragment, Lives, Scratch, whole_numbers};
use crate::source::SourceError;

/// Name of the dimension, or column, with the joinids.
pub(super) const JOINID: &str = "soma_joinid";

/// Number of tiles read together when the joinids of a frame are collected.
const TILES: usize = 8;

/// Rows of an array whose only dimension is the joinid.
pub(super) struct Rows {
    /// The array.
    pub array: Array,
    fragments: Vec<FragmentRows>,
    /// The joinids of the rows.
    pub joinids: Joinids,
}

struct FragmentRows {
    joinids: ColumnFile,
    lives: Lives,
}

/// Location of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cell {
    id: i64,
    time: u64,
    fragment: u32,
    /// Index into [`PickedRows::tiles`].
    pub tile: u32,
    /// Index of the cell within its tile.
    pub cell: u32,
}

/// Selected rows in order, and the tiles that contain them.
pub(super) struct PickedRows {
    /// The location of each row.
    pub cells: Vec<Cell>,
    /// Index of the fragment, and of the tile within it.
    pub tiles: Vec<(usize, usize)>,
}

impl Rows {
    /// Opens the rows of an array and collects their joinids, from the headers alone if possible.
    pub fn open(array: Array) -> Result<Self, SourceError> {
        let place = array.place();
        let schema = &array.schema;
        let [dimension] = &schema.dimensions[..] else {
            return Err(place.unsupported("a data frame with several index columns", REWRITE));
        };
        if schema.dense || dimension.name != JOINID || !dimension.is_int64() {
            return Err(place.unsupported(
                format!(
                    "a data frame that is indexed by {:?}, not by {JOINID:?},",
                    dimension.name
                ),
                "write it again with index_column_names=[\"soma_joinid\"]",
            ));
        }
        let open = |fragment: &Fragment| {
            if fragment.schema.dimensions != schema.dimensions {
                return Err(
                    Fault::unsupported("a write with other index columns").at(&fragment.place())
                );
            }
            Ok(FragmentRows {
                joinids: ColumnFile::dimension(fragment, 0, fragment.tiles)?,
                lives: array.lives(fragment)?,
            })
        };
        let fragments = array.fragments.iter().map(open).collect::<Result<_, _>>()?;
        let mut rows = Rows {
            array,
            fragments,
            joinids: Joinids::default(),
        };
        rows.joinids = match rows.told_by_headers()? {
            Some(joinids) => joinids,
            None => rows.read_joinids()?,
        };
        if rows.joinids.bytes() > rows.array.folder.memory() / 8 {
            let bytes = rows.joinids.bytes();
            return Err(place.too_large(
                "the list of its joinids",
                bytes,
                bytes.saturating_mul(16),
            ));
        }
        Ok(rows)
    }

    /// Returns the first and last joinid of each tile together with the fragment and the tile, in
    /// order.
    fn spans(&self) -> Result<Vec<([i64; 2], usize, usize)>, SourceError> {
        let mut spans = Vec::new();
        for (number, fragment) in self.array.fragments.iter().enumerate() {
            let tiles = fragment.spans()?.iter().enumerate();
            spans.extend(tiles.map(|(tile, span)| (span[0], number, tile)));
        }
        spans.sort_unstable();
        Ok(spans)
    }

    /// Returns the joinids if every tile spans exactly as many as it has cells and no two tiles
    /// overlap.
    fn told_by_headers(&self) -> Result<Option<Joinids>, SourceError> {
        let simple = self
            .fragments
            .iter()
            .all(|fragment| fragment.lives.is_simple());
        if !simple || self.array.schema.duplicates {
            return Ok(None);
        }
        let mut joinids = Joinids::default();
        for (span, fragment, tile) in self.spans()? {
            let cells = self.array.fragments[fragment].cells(tile);
            let full = span[1]
                .checked_sub(span[0])
                .and_then(|length| u64::try_from(length).ok());
            if full != Some(cells - 1) || joinids.push(span[0], cells).is_err() {
                return Ok(None);
            }
        }
        Ok(Some(joinids))
    }

    fn read_joinids(&self) -> Result<Joinids, SourceError> {
        let spans = self.spans()?;
        let last = spans.iter().map(|(span, ..)| span[1]).max();
        let mut joinids = Joinids::default();
        let mut starts = spans
            .iter()
            .map(|(span, ..)| span[0])
            .step_by(TILES)
            .peekable();
        while let Some(start) = starts.next() {
            let next = loop {
                match starts.peek() {
                    // Tiles with the same start are read together.
                    Some(&next) if next == start => starts.next(),
                    other => break other.copied(),
                };
            };
            let end = next.map(|next| next - 1).or(last).unwrap_or(start);
            for cell in self.within([start, end])?.cells {
                joinids.push(cell.id, 1).map_err(|wrong| {
                    self.array.place().damaged(format!(
                        "the joinid {} comes twice, or is negative",
                        wrong.0
                    ))
                })?;
            }
        }
        Ok(joinids)
    }

    /// Returns the rows whose joinids are in a range (inclusive).
    fn within(&self, ids: [i64; 2]) -> Result<PickedRows, SourceError> {
        let mut picked = PickedRows {
            cells: Vec::new(),
            tiles: Vec::new(),
        };
        let at = |fault: Fault| fault.at(&self.array.place());
        let mut scratch = Scratch::new().map_err(at)?;
        let (mut buffer, mut bytes) = (Vec::new(), Vec::new());
        // Cells that were deleted without being written again.
        let mut dead: Vec<Cell> = Vec::new();
        for (number, (fragment, rows)) in
            self.array.fragments.iter().zip(&self.fragments).enumerate()
        {
            for (tile, span) in fragment.spans()?.iter().enumerate() {
                let span = span[0];
                if span[1] < ids[0] || span[0] > ids[1] {
                    continue;
                }
                let count = fragment.cells(tile);
                bytes.clear();
                rows.joinids
                    .read_fixed(tile, count, &mut buffer, &mut bytes, &mut scratch)?;
                let life = rows.lives.read(tile, count, &mut scratch)?;
                let position = picked.tiles.len() as u32;
                for (cell, id) in (0u32..).zip(whole_numbers(&bytes)) {
                    if !(span[0]..=span[1]).contains(&id) {
                        return Err(fragment.place().damaged(format!(
                            "the joinid {id} lies outside of its tile ({} to {})",
                            span[0], span[1]
                        )));
                    }
                    if id < ids[0] || id > ids[1] {
                        continue;
                    }
                    let time = life
                        .times
                        .as_ref()
                        .map_or(fragment.time(), |times| times[cell as usize]);
                    let found = Cell {
                        id,
                        time,
                        fragment: number as u32,
                        tile: position,
                        cell,
                    };
                    picked.cells.push(found);
                    if life.dead.as_ref().is_some_and(|dead| dead[cell as usize]) {
                        dead.push(found);
                    }
                }
                picked.tiles.push((number, tile));
            }
        }
        if !picked.cells.is_sorted() {
            picked.cells.sort_unstable();
        }
        dead.sort_unstable();
        keep_living(&mut picked.cells, &dead, self.array.schema.duplicates);
        Ok(picked)
    }

    /// Returns the rows of a range of positions.
    pub fn pick(&self, rows: Range<u64>) -> Result<PickedRows, SourceError> {
        let Some(span) = self.joinids.span(rows.clone()) else {
            return Ok(PickedRows {
                cells: Vec::new(),
                tiles: Vec::new(),
            });
        };
        let picked = self.within(span)?;
        let ids = self
            .joinids
            .runs(rows)
            .flat_map(|(first, count)| (0..count as i64).map(move |step| first + step));
        if !picked.cells.iter().map(|cell| cell.id).eq(ids) {
            return Err(self
                .array
                .place()
                .damaged("its tiles do not have the joinids that they span"));
        }
        Ok(picked)
    }

    /// Number of cells of a tile.
    pub fn cells(&self, (fragment, tile): (usize, usize)) -> u64 {
        self.array.fragments[fragment].cells(tile)
    }
}

/// Keeps the newest of several cells with the same joinid, unless duplicates are allowed, then
/// drops deleted cells. All cells must be sorted.
fn keep_living(cells: &mut Vec<Cell>, dead: &[Cell], duplicates: bool) {
    let mut newest: Vec<Cell> = Vec::with_capacity(cells.len());
    for &cell in cells.iter() {
        match newest.last_mut() {
            Some(last) if last.id == cell.id && !duplicates => *last = cell,
            _ => newest.push(cell),
        }
    }
    if !dead.is_empty() {
        newest.retain(|cell| dead.binary_search(cell).is_err());
    }
    *cells = newest;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(id: i64, time: u64) -> Cell {
        Cell {
            id,
            time,
            fragment: 0,
            tile: 0,
            cell: time as u32,
        }
    }

    #[test]
    fn a_deleted_newest_cell_brings_back_no_older_one() {
        let all = vec![cell(1, 1), cell(2, 1), cell(2, 5), cell(3, 1), cell(3, 5)];
        let mut cells = all.clone();
        keep_living(&mut cells, &[cell(2, 5), cell(3, 1)], false);
        assert_eq!(cells, [cell(1, 1), cell(3, 5)]);
        let mut cells = all;
        keep_living(&mut cells, &[cell(2, 5), cell(3, 1)], true);
        assert_eq!(cells, [cell(1, 1), cell(2, 1), cell(3, 5)]);
    }
}
