//! Sparse arrays: tiles of a fixed number of cells, sorted by space tile and then by row.
//!
//! A range of rows touches only a few of the tiles, which the R-tree identifies. Their cells are
//! decoded and sorted into rows. If a cell was written several times, the newest write counts (see
//! [`super::newest`]).

use std::iter::Peekable;
use std::ops::Range;
use std::slice::Iter;
use std::sync::Arc;

use super::entries::{Entries, Run};
use super::position::{Placed, Unplaced, positions};
use super::strays::{self, Stray, Strays};
use super::sum::{has_sum, sum_is_known};
use super::tile::{SharedTile, Tile, TiledRows};
use super::tile_chunker::TileChunker;
use super::{Axes, Columns as ColumnIds, number_attribute};
use crate::source::error::ErrorContext;
use crate::source::soma::joinids::Joinids;
use crate::source::soma::tiledb::fault::{Fault, REWRITE};
use crate::source::soma::tiledb::{Array, ColumnFile, Fragment, Life, Lives, Scratch};
use crate::source::{ChunkBudget, Chunks, CsrChunk, ScalarType, SourceError, TypedVec};

/// Number of tiles to look at for a sample of the values, and of values from each.
const SAMPLE_TILES: usize = 64;
const SAMPLE_VALUES: usize = 1 << 14;

/// A two-dimensional sparse array.
pub(in crate::source::soma) struct SparseMatrix {
    pub(super) array: Array,
    pub(super) axes: Axes,
    fragments: Vec<Columns>,
    number_type: ScalarType,
    /// Whether a cell may have been written more than once.
    pub(super) rewritten: bool,
    exact: bool,
    settled: bool,
    pub(super) memory: u64,
}

/// The columns of a fragment.
struct Columns {
    rows: ColumnFile,
    columns: ColumnFile,
    values: ColumnFile,
    /// Sums of the values of each tile, used to detect damage.
    sums: Option<Vec<u64>>,
    lives: Lives,
}

impl SparseMatrix {
    /// Opens an array of numbers with the joinids of its rows and columns.
    pub fn open(array: Array, axes: Axes) -> Result<Self, SourceError> {
        let place = array.place();
        let (attribute, number_type) = number_attribute(&array.schema, &place)?;
        let name = array.schema.attributes[attribute].name.clone();
        let open = |fragment: &Fragment| {
            let schema = &fragment.schema;
            let same = number_attribute(schema, &fragment.place())?.1 == number_type
                && schema
                    .dimensions
                    .iter()
                    .zip(&array.schema.dimensions)
                    .all(|(a, b)| a.name == b.name)
                && schema.duplicates == array.schema.duplicates;
            if !same {
                return Err(Fault::unsupported("a write with another schema").at(&fragment.place()));
            }
            let number = number_attribute(schema, &fragment.place())?.0;
            if schema.attributes[number].nullable && fragment.nulls(number, fragment.tiles)? > 0 {
                return Err(place.unsupported("a matrix with missing values", REWRITE));
            }
            let missing = || place.damaged(format!("it has no attribute {name:?}"));
            Ok(Columns {
                rows: ColumnFile::dimension(fragment, 0, fragment.tiles)?,
                columns: ColumnFile::dimension(fragment, 1, fragment.tiles)?,
                values: ColumnFile::open(fragment, &name, fragment.tiles)?.ok_or_else(missing)?,
                sums: fragment.sums(number).filter(|_| sum_is_known(number_type)),
                lives: array.lives(fragment)?,
            })
        };
        let fragments = array
            .fragments
            .iter()
            .map(open)
            .collect::<Result<Vec<_>, _>>()?;
        if u32::try_from(axes.rows.len()).is_err()
            || u32::try_from(axes.columns.joinids().len()).is_err()
        {
            return Err(place.unsupported(
                "a matrix of more than 4,294,967,295 rows or columns",
                REWRITE,
            ));
        }
        let timed = array.fragments.iter().any(|fragment| fragment.has_times);
        let rewritten = !array.schema.duplicates && (timed || meet(&array.fragments));
        let immortal = fragments.iter().all(|columns| columns.lives.is_immortal());
        let settled = array
            .fragments
            .iter()
            .all(|fragment| is_settled(fragment, &axes));
        Ok(SparseMatrix {
            axes,
            fragments,
            number_type,
            rewritten,
            exact: immortal && !rewritten && settled,
            settled,
            memory: array.folder.memory(),
            array,
        })
    }

    /// Stored type of the values.
    pub fn number_type(&self) -> ScalarType {
        self.number_type
    }

    /// Returns the context for errors about the array.
    pub fn place(&self) -> ErrorContext {
        self.array.place()
    }

    /// Whether every cell is known to have a row and a column.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Number of cells in all writes, including deleted and overwritten ones.
    pub fn cells(&self) -> u64 {
        self.array.all_cells()
    }

    /// Number of live cells, if the headers determine it: nothing was deleted or overwritten, and
    /// every cell has a row and a column.
    pub fn entries(&self) -> Option<u64> {
        self.exact.then(|| self.cells())
    }

    /// See [`crate::source::Matrix::chunks`].
    pub fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        Ok(Box::new(TileChunker::new(self, rows, budget)?))
    }

    /// See [`crate::source::Matrix::sample`].
    pub fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        let total: usize = self
            .array
            .fragments
            .iter()
            .map(|fragment| fragment.tiles)
            .sum();
        let step = total.div_ceil(SAMPLE_TILES).max(1);
        let mut scratch = self.scratch()?;
        let all = self.array.fragments.iter().enumerate();
        let tiles =
            all.flat_map(|(number, fragment)| (0..fragment.tiles).map(move |tile| (number, tile)));
        // The last tile is always included.
        for (_, (fragment, tile)) in tiles
            .enumerate()
            .filter(|(number, _)| number % step == 0 || number + 1 == total)
        {
            let cells = self.array.fragments[fragment].cells(tile);
            let mut values = self.values(fragment, tile, cells, &mut scratch)?;
            truncate(&mut values, SAMPLE_VALUES);
            visit(&values);
        }
        Ok(())
    }

    fn scratch(&self) -> Result<Scratch, SourceError> {
        Scratch::new().map_err(|fault| fault.at(&self.place()))
    }

    fn values(
        &self,
        fragment: usize,
        tile: usize,
        cells: u64,
        scratch: &mut Scratch,
    ) -> Result<TypedVec, SourceError> {
        let column = &self.fragments[fragment].values;
        let (mut buffer, mut bytes) = scratch.take_buffers();
        bytes.clear();
        column.read_fixed(tile, cells, &mut buffer, &mut bytes, scratch)?;
        let numbers = TypedVec::of_bytes(self.number_type, &bytes)
            .ok_or_else(|| Fault::TooLarge(bytes.len() as u64).at(&column.place()))?;
        scratch.give_buffers(buffer, bytes);
        if let Some(sums) = &self.fragments[fragment].sums
            && !has_sum(&numbers, sums[tile])
        {
            return Err(column.place().damaged(format!(
                "the values of tile {tile} do not have the sum that was written with them"
            )));
        }
        Ok(numbers)
    }

    /// Decodes a tile.
    fn decode(&self, tile: &Tile, scratch: &mut Scratch) -> Result<Entries, SourceError> {
        let fragment = &self.array.fragments[tile.fragment];
        let columns = &self.fragments[tile.fragment];
        if u32::try_from(tile.cells).is_err() {
            let bytes = tile.cells.saturating_mul(self.entry_bytes());
            return Err(Fault::TooLarge(bytes).at(&self.place()));
        }
        let [row_span, column_span] = fragment.spans()?[tile.number];
        let values = self.values(tile.fragment, tile.number, tile.cells, scratch)?;
        let mut life = columns.lives.read(tile.number, tile.cells, scratch)?;
        let (mut buffer, mut bytes) = scratch.take_buffers();
        let mut read = |column: &ColumnFile, ids: &Joinids, span: [i64; 2]| {
            bytes.clear();
            column.read_fixed(tile.number, tile.cells, &mut buffer, &mut bytes, scratch)?;
            positions(&bytes, ids, span).map_err(|problem| match problem {
                Unplaced::Outside => column.place().damaged(format!(
                    "a coordinate lies outside of its tile ({} to {})",
                    span[0], span[1]
                )),
                Unplaced::Nobody(id) => self.nobody(id),
                Unplaced::Memory(fault) => fault.at(&column.place()),
            })
        };
        let mut row_places = read(&columns.rows, &self.axes.rows, row_span)?;
        let column_places = read(&columns.columns, self.axes.columns.joinids(), column_span)?;
        scratch.give_buffers(buffer, bytes);
        let strays = self.strays(tile, &mut row_places, &column_places, &life)?;
        let mut rows = Vec::new();
        // Unless cells were written several times, no older cell can show up behind a deleted one.
        match life.dead.take_if(|_| !self.rewritten) {
            Some(dead) => {
                for (&row, dead) in row_places.positions.iter().zip(dead) {
                    Run::push(&mut rows, if dead { Run::NO_ROW } else { row });
                }
            }
            None => Run::push_all(&mut rows, &row_places.positions),
        }
        Ok(Entries {
            rows,
            columns: column_places.positions,
            values,
            times: life.times,
            dead: life.dead,
            time: fragment.time(),
            strays,
        })
    }

    /// Removes the cells of a tile that have no row or no column from its rows.
    fn strays(
        &self,
        tile: &Tile,
        rows: &mut Placed,
        columns: &Placed,
        life: &Life,
    ) -> Result<Strays, SourceError> {
        if rows.strays.is_empty() && columns.strays.is_empty() {
            return Ok(Strays::default());
        }
        let dead = |cell: u32| life.dead.as_ref().is_some_and(|dead| dead[cell as usize]);
        if let ColumnIds::Counted(_) = self.axes.columns
            && let Some((_, id)) = columns.strays.iter().find(|(cell, _)| !dead(*cell))
        {
            return Err(self.nobody(*id));
        }
        let fragment = &self.array.fragments[tile.fragment];
        let last = self.axes.rows.len().saturating_sub(1);
        let (mut runs, mut dated) = (Vec::new(), Vec::new());
        let mut by_row = rows.strays.iter().peekable();
        let mut by_column = columns.strays.iter().peekable();
        while let Some(cell) = [by_row.peek(), by_column.peek()]
            .into_iter()
            .flatten()
            .map(|(cell, _)| *cell)
            .min()
        {
            let nobody = |cells: &mut Peekable<Iter<'_, (u32, i64)>>| {
                cells
                    .next_if(|(other, _)| *other == cell)
                    .map(|(_, id)| *id)
            };
            let (row, column) = (nobody(&mut by_row), nobody(&mut by_column));
            let place = |placed: &Placed| i64::from(placed.positions[cell as usize]);
            let at = [
                row.map_or(place(rows), |id| !id),
                column.map_or(place(columns), |id| !id),
            ];
            let counted_with = match row {
                Some(id) => self.axes.rows.below(id).min(last) as u32,
                None => rows.positions[cell as usize],
            };
            rows.positions[cell as usize] = Run::NO_ROW;
            let times = life.times.as_ref();
            if self.rewritten {
                dated.push(Stray {
                    row: counted_with,
                    at,
                    time: times.map_or(fragment.time(), |times| times[cell as usize]),
                    fragment: tile.fragment as u32,
                    cell,
                    dead: dead(cell),
                });
            } else if !dead(cell) {
                Run::push(&mut runs, counted_with);
            }
        }
        Ok(if self.rewritten {
            Strays::Dated(dated)
        } else {
            Strays::Counted(runs)
        })
    }

    fn nobody(&self, id: i64) -> SourceError {
        self.place().damaged(format!(
            "it has an entry for the joinid {id}, which no row or column can have"
        ))
    }
}

/// Whether every cell of a fragment is known to have a row and a column: both axes have every
/// joinid in the fragment's domain.
fn is_settled(fragment: &Fragment, axes: &Axes) -> bool {
    let Some([rows, columns]) = fragment.domain.as_deref() else {
        return fragment.tiles == 0;
    };
    let all =
        |ids: &Joinids, span: &[i64; 2]| match ids.position(span[0]).zip(ids.position(span[1])) {
            Some((first, last)) => i64::try_from(last - first) == Ok(span[1] - span[0]),
            None => false,
        };
    all(&axes.rows, rows) && all(axes.columns.joinids(), columns)
}

/// Whether two of the fragments may contain the same cell.
fn meet(fragments: &[Fragment]) -> bool {
    let apart = |a: &Fragment, b: &Fragment| match (&a.domain, &b.domain) {
        (Some(a), Some(b)) => a.iter().zip(b).any(|(a, b)| a[1] < b[0] || b[1] < a[0]),
        _ => a.tiles == 0 || b.tiles == 0,
    };
    let mut pairs = fragments
        .iter()
        .enumerate()
        .flat_map(|(number, a)| fragments[number + 1..].iter().map(move |b| (a, b)));
    pairs.any(|(a, b)| !apart(a, b))
}

fn truncate(numbers: &mut TypedVec, length: usize) {
    crate::with_numbers!(numbers, values => values.truncate(length));
}

impl TiledRows for SparseMatrix {
    fn tiles(&self) -> Result<Vec<Tile>, SourceError> {
        let rows = &self.axes.rows;
        let mut tiles = Vec::new();
        // Without rows there is nothing to read.
        let Some(last) = rows.len().checked_sub(1) else {
            return Ok(tiles);
        };
        for (number, fragment) in self.array.fragments.iter().enumerate() {
            for (tile, [span, _]) in fragment.spans()?.iter().enumerate() {
                // Cells that have no row are read with the next row, so that they are noticed.
                let start = rows.below(span[0]).min(last);
                let end = (rows.below(span[1]) + 1).clamp(start + 1, rows.len());
                tiles.push(Tile {
                    start,
                    end,
                    fragment: number,
                    number: tile,
                    cells: fragment.cells(tile),
                });
            }
        }
        tiles.sort_unstable();
        Ok(tiles)
    }

    fn entry_bytes(&self) -> u64 {
        let times = if self.rewritten { 8 + 1 } else { 0 };
        self.number_type.size() as u64 + 8 + times
    }

    fn memory(&self) -> u64 {
        self.memory
    }

    fn place(&self) -> ErrorContext {
        SparseMatrix::place(self)
    }

    fn read(&self, rows: Range<u64>, tiles: &[Arc<SharedTile>]) -> Result<CsrChunk, SourceError> {
        let mut scratch = self.scratch()?;
        let mut entries = Vec::with_capacity(tiles.len());
        for shared in tiles {
            entries.push(shared.entries(|tile| self.decode(tile, &mut scratch))?);
        }
        let rewritten = self.rewritten
            && (tiles
                .windows(2)
                .any(|pair| pair[0].tile.fragment != pair[1].tile.fragment)
                || entries.iter().any(|entries| entries.times.is_some()));
        let read = if rewritten {
            super::newest::sort(&rows, &entries, tiles, self.number_type)
        } else {
            super::entries::sort(&rows, &entries, self.number_type)
        };
        let mut chunk = read.map_err(|fault| fault.at(&self.place()))?;
        chunk.strays = strays::count(&rows, &entries);
        let bytes = (chunk.data.len() as u64).saturating_mul(self.entry_bytes());
        if bytes > self.memory {
            return Err(self.place().too_large(
                format!("row {} with its {} entries", rows.start, chunk.data.len()),
                bytes,
                bytes.saturating_mul(2),
            ));
        }
        Ok(chunk)
    }
}
