//! Dense arrays: a write stores all cells of the space tiles it touches, tile by tile. Newer writes
//! override older ones, and cells that were never written have the fill value.

use std::ops::Range;

use crate::source::error::ErrorContext;
use crate::source::soma::tiledb::fault::{Fault, REWRITE};
use crate::source::soma::tiledb::{Array, ColumnFile, DenseTiles, Fragment, Scratch};
use crate::source::{ScalarType, SourceError, TypedVec};

/// A dense array of one or two dimensions; a one-dimensional array is treated as a single row.
pub(in crate::source::soma) struct DenseArray {
    array: Array,
    number_type: ScalarType,
    fill: Vec<u8>,
    /// First and last coordinate of each dimension, then the extent of a tile.
    domain: [[i64; 2]; 2],
    pub(super) extents: [i64; 2],
    fragments: Vec<Written>,
}

/// A write: the coordinates it covers, in tiles and in cells.
struct Written {
    tiles: DenseTiles,
    cells: [[i64; 2]; 2],
    /// First tile and number of tiles in each dimension.
    grid: [[i64; 2]; 2],
}

impl DenseArray {
    /// Opens an array and checks that it is row-major.
    pub fn open(array: Array) -> Result<Self, SourceError> {
        let place = array.place();
        let schema = array.schema.clone();
        if !schema.row_major {
            return Err(place.unsupported("a dense array that lies column after column", REWRITE));
        }
        let attribute = schema
            .attributes
            .first()
            .filter(|_| schema.attributes.len() == 1);
        let (attribute, number_type) = match attribute {
            Some(attribute) if attribute.values == Some(1) && attribute.enumeration.is_none() => {
                match attribute.datatype {
                    super::super::tiledb::datatype::Datatype::Number(number_type) => {
                        (attribute, number_type)
                    }
                    other => return Err(place.unsupported(format!("an array of {other}"), REWRITE)),
                }
            }
            _ => return Err(place.unsupported("an array of other than one number a cell", REWRITE)),
        };
        let mut domain = [[0, 0]; 2];
        let mut extents = [1; 2];
        // The last dimension of the array is the one within a row.
        let count = schema.dimensions.len();
        if !(1..=2).contains(&count) {
            return Err(place.unsupported(format!("an array of {count} dimensions"), REWRITE));
        }
        for (dimension, at) in schema.dimensions.iter().zip(2 - count..) {
            let (Some(range), Some(extent)) = (dimension.domain, dimension.extent) else {
                return Err(place.unsupported("a dimension that is not of int64", REWRITE));
            };
            if range[0] != 0 || range[1] < 0 || extent < 1 {
                return Err(place.unsupported(
                    format!(
                        "a dimension from {} to {} in tiles of {extent}",
                        range[0], range[1]
                    ),
                    REWRITE,
                ));
            }
            domain[at] = range;
            extents[at] = extent;
        }
        if attribute.fill.len() != number_type.size() {
            return Err(place.damaged("its fill value is not one of its type"));
        }
        let open =
            |fragment: &Fragment| Written::open(fragment, &attribute.name, extents, number_type);
        let fragments = array
            .fragments
            .iter()
            .map(open)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(DenseArray {
            number_type,
            fill: attribute.fill.clone(),
            domain,
            extents,
            fragments: fragments.into_iter().flatten().collect(),
            array,
        })
    }

    /// Stored type of the values.
    pub fn number_type(&self) -> ScalarType {
        self.number_type
    }

    /// Whether anything was ever written.
    pub fn is_written(&self) -> bool {
        !self.array.fragments.is_empty()
    }

    /// The rows and columns up to the last ones that any write spans.
    pub fn written(&self) -> [u64; 2] {
        [0, 1].map(|at| {
            let ends = self.fragments.iter().map(|written| written.cells[at][1]);
            let end = ends.max().unwrap_or(-1).saturating_add(1);
            u64::try_from(end).unwrap_or(0)
        })
    }

    pub fn place(&self) -> ErrorContext {
        self.array.place()
    }

    /// Number of dimensions, 1 or 2.
    pub fn dimensions(&self) -> usize {
        self.array.schema.dimensions.len()
    }

    /// Number of rows and columns: the current domain if the array stores one, otherwise its full
    /// domain.
    pub fn shape(&self) -> [u64; 2] {
        let current = self.array.schema.current_domain.as_deref();
        let mut domain = self.domain;
        if let Some(current) = current {
            for (range, at) in current.iter().zip(2 - current.len().min(2)..) {
                domain[at] = *range;
            }
        }
        domain.map(|range| u64::try_from(range[1]).map_or(0, |last| last.saturating_add(1)))
    }

    /// Returns the cells of a range of rows and columns in row-major order.
    pub fn read(&self, rows: Range<u64>, columns: Range<u64>) -> Result<TypedVec, SourceError> {
        let place = self.place();
        let size = self.number_type.size();
        let (height, width) = (rows.end - rows.start, columns.end - columns.start);
        let bytes = height.saturating_mul(width).saturating_mul(size as u64);
        let memory = self.array.folder.memory();
        if bytes > memory {
            return Err(Fault::TooLarge(bytes).at(&place));
        }
        let length = (height * width) as usize;
        let mut numbers = TypedVec::zeroed(self.number_type, length)
            .ok_or_else(|| Fault::TooLarge(bytes).at(&place))?;
        let out = numbers.as_bytes_mut();
        if self.fill.iter().any(|&byte| byte != 0) {
            out.chunks_exact_mut(size)
                .for_each(|cell| cell.copy_from_slice(&self.fill));
        }
        if length == 0 {
            return Ok(numbers);
        }
        let mut scratch = Scratch::new().map_err(|fault| fault.at(&place))?;
        // Cannot exceed the range of coordinates: rows were checked against the shape.
        let window = [&rows, &columns].map(|range| [range.start as i64, range.end as i64 - 1]);
        for written in &self.fragments {
            self.lay(written, window, out, &mut scratch)?;
        }
        Ok(numbers)
    }

    /// Copies the cells of a write into a window of the array.
    fn lay(
        &self,
        written: &Written,
        window: [[i64; 2]; 2],
        out: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<(), SourceError> {
        let size = self.number_type.size();
        let width = (window[1][1] - window[1][0] + 1) as usize;
        let [Some(rows), Some(columns)] = [0, 1].map(|at| meeting(window[at], written.cells[at]))
        else {
            return Ok(());
        };
        let [tile_rows, tile_columns] = self.extents;
        let cells = tile_rows as u64 * tile_columns as u64;
        for tile_row in rows[0] / tile_rows..=rows[1] / tile_rows {
            for tile_column in columns[0] / tile_columns..=columns[1] / tile_columns {
                let [first_rows, first_columns] = written.grid;
                let tile =
                    (tile_row - first_rows[0]) * first_columns[1] + tile_column - first_columns[0];
                let origin = [tile_row * tile_rows, tile_column * tile_columns];
                let span = |at: usize, wanted: [i64; 2], extent: i64| {
                    [
                        wanted[0].max(origin[at]),
                        wanted[1].min(origin[at].saturating_add(extent - 1)),
                    ]
                };
                let (r, c) = (span(0, rows, tile_rows), span(1, columns, tile_columns));
                // Reads whole rows of the tile and takes the wanted columns from them.
                let in_tile = [r[0] - origin[0], r[1] - origin[0] + 1];
                let wanted = in_tile.map(|row| row as u64 * tile_columns as u64);
                let bytes =
                    written
                        .tiles
                        .read(tile as usize, cells, wanted[0]..wanted[1], scratch)?;
                let count = (c[1] - c[0] + 1) as usize * size;
                for row in r[0]..=r[1] {
                    let from = ((row - r[0]) * tile_columns + c[0] - origin[1]) as usize * size;
                    let to = ((row - window[0][0]) as usize * width
                        + (c[0] - window[1][0]) as usize)
                        * size;
                    out[to..to + count].copy_from_slice(&bytes[from..from + count]);
                }
            }
        }
        Ok(())
    }
}

/// Returns the intersection of two ranges.
fn meeting(a: [i64; 2], b: [i64; 2]) -> Option<[i64; 2]> {
    let shared = [a[0].max(b[0]), a[1].min(b[1])];
    (shared[0] <= shared[1]).then_some(shared)
}

impl Written {
    /// Returns `None` for an empty write.
    fn open(
        fragment: &Fragment,
        attribute: &str,
        extents: [i64; 2],
        number_type: ScalarType,
    ) -> Result<Option<Self>, SourceError> {
        let place = fragment.place();
        let Some(domain) = &fragment.domain else {
            return Ok(None);
        };
        let mut cells = [[0, 0]; 2];
        for (range, at) in domain.iter().zip(2 - domain.len().min(2)..) {
            cells[at] = *range;
        }
        let mut grid = [[0, 0]; 2];
        for at in 0..2 {
            if cells[at][0] < 0 {
                return Err(place.damaged("it spans negative coordinates"));
            }
            let [first, last] = cells[at].map(|coordinate| coordinate / extents[at]);
            grid[at] = [first, last - first + 1];
        }
        let tiles = grid[0][1]
            .checked_mul(grid[1][1])
            .and_then(|tiles| usize::try_from(tiles).ok());
        let area = extents[0].checked_mul(extents[1]);
        let (Some(tiles), Some(_)) = (tiles, area) else {
            return Err(place.damaged("it has absurdly many tiles"));
        };
        let same = fragment.schema.attributes.len() == 1
            && fragment.schema.attribute(attribute).is_some_and(|written| {
                written.datatype == super::super::tiledb::datatype::Datatype::Number(number_type)
            });
        if !same {
            return Err(Fault::unsupported("a write with another schema").at(&place));
        }
        if fragment.schema.attributes[0].nullable && fragment.nulls(0, tiles)? > 0 {
            return Err(Fault::unsupported("an array with missing values").at(&place));
        }
        let column = ColumnFile::open(fragment, attribute, tiles)?
            .ok_or_else(|| place.damaged("its attribute is missing"))?;
        Ok(Some(Written {
            tiles: DenseTiles::new(column),
            cells,
            grid,
        }))
    }
}
