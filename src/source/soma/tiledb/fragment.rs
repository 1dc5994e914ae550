//! Fragments: the writes of an array (format_spec/fragment.md). The lists of a footer have a slot
//! for each attribute, one that is no longer used, one for each dimension and, in consolidated
//! fragments, one each for the write and the deletion timestamps of cells.

use std::sync::{Arc, OnceLock};

use super::check_version;
use super::cursor::{Cursor, little_endian};
use super::fault::{Checked, Fault};
use super::files::Folder;
use super::names::{StampedName, base_name};
use super::ranges::{Span, ranges};
use super::rtree::tree;
use super::schema::Schema;
use super::tile::within_file;
use crate::source::SourceError;
use crate::source::error::ErrorContext;

/// The file that describes a fragment.
const METADATA: &str = "__fragment_metadata.tdb";

/// Larger footers are refused: a footer has a few hundred bytes per column.
const LARGEST_FOOTER: u64 = 64 << 20;

/// One write to an array, or several that were consolidated.
pub(in crate::source::soma) struct Fragment {
    /// Folder of the fragment.
    pub folder: Folder,
    pub(super) stamp: StampedName,
    /// Schema with which it was written.
    pub schema: Arc<Schema>,
    /// Range of coordinates it covers (inclusive); `None` if a dimension is not int64.
    pub domain: Option<Vec<[i64; 2]>>,
    /// Number of tiles of a sparse fragment, and number of cells in the last one.
    pub tiles: usize,
    last_cells: u64,
    /// Whether cells have their own write timestamps.
    pub has_times: bool,
    /// Whether cells have deletion timestamps.
    pub has_deletions: bool,
    footer: Footer,
    size: u64,
    /// Coordinates covered by each tile.
    spans: OnceLock<Vec<Span>>,
}

/// The kinds of per-tile lists of a column.
#[derive(Debug, Clone, Copy)]
pub(super) enum List {
    /// Offsets of the tiles of fixed-size data, or of the offsets of variable-size data.
    Offsets = 0,
    /// Offsets of the tiles of variable-size data, and their decoded sizes.
    VariableOffsets = 1,
    VariableSizes = 2,
    /// Offsets of the validity tiles.
    ValidityOffsets = 3,
    /// Sum of the values of each tile.
    Sums = 6,
    /// Number of missing values in each tile.
    NullCounts = 7,
}

/// Number of lists in a footer.
const LISTS: usize = 8;

/// File positions from the footer.
struct Footer {
    /// File sizes of each slot in bytes: fixed, variable, validity.
    file_sizes: [Vec<u64>; 3],
    tree: u64,
    lists: [Vec<u64>; LISTS],
    processed: u64,
}

impl Fragment {
    /// Opens a fragment by name; `schema` looks up schemas by name.
    pub(super) fn open(
        fragments: &Folder,
        stamp: StampedName,
        schema: &mut dyn FnMut(&str) -> Result<Arc<Schema>, SourceError>,
    ) -> Result<Self, SourceError> {
        let folder = fragments.child(&stamp.name);
        let place = folder.place_of(METADATA);
        let size = folder.size(METADATA)?;
        let cut = || place.damaged("the file ends before the data does: it was cut short");
        let mut bytes = Vec::new();
        let end = size.checked_sub(8).ok_or_else(cut)?;
        folder.read(METADATA, end, 8, &mut bytes)?;
        let length = little_endian(&bytes);
        let start = end
            .checked_sub(length)
            .filter(|_| length <= LARGEST_FOOTER)
            .ok_or_else(|| place.damaged(format!("its footer of {length} bytes cannot be")))?;
        folder.read(METADATA, start, length, &mut bytes)?;
        let at = |fault: Fault| fault.at(&place);
        let mut cursor = Cursor::new(&bytes);
        let (version, name) = header(&mut cursor).map_err(at)?;
        if stamp.version != Some(version) {
            return Err(place.damaged(format!(
                "it is of version {version}, which its name contradicts"
            )));
        }
        let schema = schema(base_name(&name))?;
        let parsed = Parsed::read(&mut cursor, version, &schema).map_err(at)?;
        cursor.finish("the footer").map_err(at)?;
        Ok(Fragment {
            folder,
            stamp,
            schema,
            domain: parsed.domain,
            tiles: parsed.tiles,
            last_cells: parsed.last_cells,
            has_times: parsed.has_times,
            has_deletions: parsed.has_deletions,
            footer: parsed.footer,
            size,
            spans: OnceLock::new(),
        })
    }

    /// Returns the context for errors about this fragment's metadata.
    pub fn place(&self) -> ErrorContext {
        self.folder.place_of(METADATA)
    }

    /// Time of the first write it contains, in milliseconds since 1970.
    pub fn time(&self) -> u64 {
        self.stamp.first
    }

    /// Number of cells in a tile of a sparse fragment.
    pub fn cells(&self, tile: usize) -> u64 {
        if tile + 1 == self.tiles {
            self.last_cells
        } else {
            self.schema.capacity
        }
    }

    /// Number of cells in all tiles.
    pub fn all_cells(&self) -> u64 {
        match self.tiles.checked_sub(1) {
            None => 0,
            Some(full) => self
                .schema
                .capacity
                .saturating_mul(full as u64)
                .saturating_add(self.last_cells),
        }
    }

    /// Slot of an attribute of the fragment's schema.
    pub(super) fn attribute_slot(&self, number: usize) -> usize {
        number
    }

    pub(super) fn dimension_slot(&self, number: usize) -> usize {
        self.schema.attributes.len() + 1 + number
    }

    /// Slots of the write timestamps and of the deletion timestamps.
    pub(super) fn time_slots(&self) -> [usize; 2] {
        let first = self.dimension_slot(self.schema.dimensions.len());
        [first, first + usize::from(self.has_times)]
    }

    pub(super) fn file_size(&self, kind: usize, slot: usize) -> u64 {
        self.footer.file_sizes[kind][slot]
    }

    /// Reads a list of a slot: one number per tile.
    pub(super) fn list(
        &self,
        list: List,
        slot: usize,
        tiles: usize,
    ) -> Result<Vec<u64>, SourceError> {
        let at = self.footer.lists[list as usize][slot];
        let content = within_file(&self.folder, METADATA, at, self.size)?;
        let place = self.place();
        let mut cursor = Cursor::new(&content);
        let numbers = (|| {
            let count = cursor.length64()?;
            let numbers = cursor.u64s(count)?;
            cursor.finish("a list")?;
            Ok(numbers)
        })();
        let numbers = numbers.map_err(|fault: Fault| fault.at(&place))?;
        if numbers.len() != tiles {
            return Err(place.damaged(format!(
                "a list has {} numbers for {tiles} tiles",
                numbers.len()
            )));
        }
        Ok(numbers)
    }

    /// Returns the coordinates covered by each tile, for a sparse fragment with int64 dimensions.
    pub fn spans(&self) -> Result<&[Span], SourceError> {
        if let Some(spans) = self.spans.get() {
            return Ok(spans);
        }
        let content = within_file(&self.folder, METADATA, self.footer.tree, self.size)?;
        let spans = tree(&content, &self.schema.dimensions, self.tiles)
            .map_err(|fault| fault.at(&self.place()))?;
        Ok(self.spans.get_or_init(|| spans))
    }

    /// Number of missing values of an attribute in all tiles.
    pub fn nulls(&self, attribute: usize, tiles: usize) -> Result<u64, SourceError> {
        let counts = self.list(List::NullCounts, self.attribute_slot(attribute), tiles)?;
        Ok(counts
            .iter()
            .fold(0, |sum, &count| sum.saturating_add(count)))
    }

    /// Returns the sum of a numeric attribute's values for each tile, as computed by the writer in
    /// 64-bit integers or float64; `None` if it was not stored.
    pub fn sums(&self, attribute: usize) -> Option<Vec<u64>> {
        let slot = self.attribute_slot(attribute);
        self.list(List::Sums, slot, self.tiles).ok()
    }

    /// Returns the names of the delete conditions that consolidation has already applied.
    pub fn processed_conditions(&self) -> Result<Vec<String>, SourceError> {
        let content = within_file(&self.folder, METADATA, self.footer.processed, self.size)?;
        let parsed = (|| {
            let mut cursor = Cursor::new(&content);
            let count = cursor.u64()?;
            let count = cursor.count(count, 8)?;
            let names = (0..count).map(|_| Ok(base_name(&cursor.text64()?).to_string()));
            let names = names.collect::<Checked<Vec<_>>>()?;
            cursor.finish("the conditions that were applied")?;
            Ok(names)
        })();
        parsed.map_err(|fault: Fault| fault.at(&self.place()))
    }
}

/// Reads the format version and the schema name at the beginning of a footer.
fn header(cursor: &mut Cursor<'_>) -> Checked<(u32, String)> {
    Ok((check_version(cursor.u32()?)?, cursor.text64()?))
}

/// The remaining fields of a footer.
struct Parsed {
    domain: Option<Vec<[i64; 2]>>,
    tiles: usize,
    last_cells: u64,
    has_times: bool,
    has_deletions: bool,
    footer: Footer,
}

impl Parsed {
    fn read(cursor: &mut Cursor<'_>, _version: u32, schema: &Schema) -> Checked<Self> {
        let dense = cursor.flag("whether a fragment is dense")?;
        if dense != schema.dense {
            return Err(Fault::unsupported("a sparse fragment of a dense array"));
        }
        let empty = cursor.flag("whether a fragment has no domain")?;
        let domain = if empty {
            None
        } else {
            ranges(cursor, &schema.dimensions)?.into_iter().collect()
        };
        let tiles = cursor.length64()?;
        let last_cells = cursor.u64()?;
        let has_times = cursor.flag("whether a fragment has times")?;
        let has_deletions = cursor.flag("whether a fragment has deletions")?;
        if !dense && tiles > 0 && !(1..=schema.capacity).contains(&last_cells) {
            return Err(Fault::damaged(format!(
                "its last tile has {last_cells} cells, where {} have room",
                schema.capacity
            )));
        }
        let slots = schema.attributes.len()
            + 1
            + schema.dimensions.len()
            + usize::from(has_times)
            + 2 * usize::from(has_deletions);
        let mut column = || cursor.u64s(slots);
        let file_sizes = [column()?, column()?, column()?];
        let tree = cursor.u64()?;
        let mut lists: [Vec<u64>; LISTS] = Default::default();
        for list in &mut lists {
            *list = cursor.u64s(slots)?;
        }
        let _statistics = cursor.u64()?;
        Ok(Parsed {
            domain,
            tiles,
            last_cells,
            has_times,
            has_deletions,
            footer: Footer {
                file_sizes,
                tree,
                lists,
                processed: cursor.u64()?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = header(&mut Cursor::new(&bytes));
        }
    }
}
