//! Cells of one field of one fragment, tile by tile.

mod dense;

use super::cursor::little_endian;
use super::datatype::Datatype;
use super::fault::{Checked, Fault};
use super::files::Folder;
use super::filter::{Pipeline, Scratch, TextEncoding, Texts};
use super::fragment::{Fragment, List};
use crate::source::error::ErrorContext;
use crate::source::{ScalarType, SourceError};

pub(in crate::source::soma) use dense::DenseTiles;

/// A tile of text may take at most this fraction (1/n) of the memory.
const TEXT_COPIES: u64 = 8;

/// A field of a fragment.
pub(in crate::source::soma) struct ColumnFile {
    /// Type of the values.
    pub datatype: Datatype,
    folder: Folder,
    /// Size of a cell in bytes; `None` for variable-length cells.
    cell: Option<usize>,
    encoding: Option<TextEncoding>,
    filters: Pipeline,
    offset_filters: Pipeline,
    validity_filters: Pipeline,
    fixed: Tiles,
    variable: Option<(Tiles, Vec<u64>)>,
    validity: Option<Tiles>,
}

/// Offsets of the tiles of a file.
struct Tiles {
    file: String,
    starts: Vec<u64>,
    size: u64,
}

/// Decoded cells of a tile.
#[derive(Debug, Default)]
pub(in crate::source::soma) struct Cells {
    /// The values, concatenated.
    pub bytes: Vec<u8>,
    /// Start of each cell's values in `bytes`, for variable-length cells.
    pub offsets: Option<Vec<u64>>,
    /// One byte per cell; 0 for missing values.
    pub validity: Option<Vec<u8>>,
}

impl Cells {
    /// Returns the bytes of a cell of size `width`; `None` if its value is missing.
    pub fn value(&self, cell: usize, width: usize) -> Option<&[u8]> {
        if self
            .validity
            .as_ref()
            .is_some_and(|validity| validity[cell] == 0)
        {
            return None;
        }
        Some(match &self.offsets {
            None => &self.bytes[cell * width..][..width],
            Some(offsets) => {
                let end = offsets
                    .get(cell + 1)
                    .map_or(self.bytes.len(), |&end| end as usize);
                &self.bytes[offsets[cell] as usize..end]
            }
        })
    }
}

impl Tiles {
    /// Locates the tiles of a file and checks that they are within it.
    fn open(
        fragment: &Fragment,
        file: String,
        list: List,
        slot: usize,
        tiles: usize,
    ) -> Result<Self, SourceError> {
        let kind = match list {
            List::VariableOffsets => 1,
            List::ValidityOffsets => 2,
            _ => 0,
        };
        let starts = fragment.list(list, slot, tiles)?;
        let size = fragment.file_size(kind, slot);
        let place = fragment.folder.place_of(&file);
        let found = fragment.folder.size(&file)?;
        if found != size {
            return Err(place.damaged(format!("it has {found} bytes where {size} were written")));
        }
        let ends = starts.iter().skip(1).chain([&size]);
        if starts.iter().zip(ends).any(|(start, end)| start > end) {
            return Err(place.damaged("its tiles lie outside of it"));
        }
        Ok(Tiles { file, starts, size })
    }

    fn read(&self, folder: &Folder, tile: usize, buffer: &mut Vec<u8>) -> Result<(), SourceError> {
        let start = self.starts[tile];
        let end = self.starts.get(tile + 1).copied().unwrap_or(self.size);
        folder.read(&self.file, start, end - start, buffer)
    }
}

/// Properties of a field.
struct Field<'a> {
    stem: String,
    slot: usize,
    datatype: Datatype,
    values: Option<u32>,
    nullable: bool,
    filters: &'a Pipeline,
}

impl ColumnFile {
    /// Opens the dimension or attribute `name`; `None` if the fragment's schema does not have it.
    pub fn open(
        fragment: &Fragment,
        name: &str,
        tiles: usize,
    ) -> Result<Option<Self>, SourceError> {
        let schema = &fragment.schema;
        let attributes = schema.attributes.iter().enumerate();
        let mut attributes = attributes.filter(|(_, attribute)| attribute.name == name);
        if let Some((number, attribute)) = attributes.next() {
            let field = Field {
                stem: format!("a{number}"),
                slot: fragment.attribute_slot(number),
                datatype: attribute.datatype,
                values: attribute.values,
                nullable: attribute.nullable,
                filters: &attribute.filters,
            };
            return ColumnFile::of(fragment, field, tiles).map(Some);
        }
        match schema
            .dimensions
            .iter()
            .position(|dimension| dimension.name == name)
        {
            Some(number) => ColumnFile::dimension(fragment, number, tiles).map(Some),
            None => Ok(None),
        }
    }

    /// Opens a dimension.
    pub fn dimension(
        fragment: &Fragment,
        number: usize,
        tiles: usize,
    ) -> Result<Self, SourceError> {
        let dimension = &fragment.schema.dimensions[number];
        let field = Field {
            stem: format!("d{number}"),
            slot: fragment.dimension_slot(number),
            datatype: dimension.datatype,
            values: (!dimension.variable).then_some(1),
            nullable: false,
            filters: &dimension.filters,
        };
        ColumnFile::of(fragment, field, tiles)
    }

    /// Opens the write timestamps and the deletion timestamps of cells.
    pub fn times(fragment: &Fragment) -> Result<[Option<Self>; 2], SourceError> {
        let slots = fragment.time_slots();
        let open = |stem: &str, slot: usize, wanted: bool| {
            let field = Field {
                stem: stem.to_string(),
                slot,
                datatype: Datatype::Number(ScalarType::UInt64),
                values: Some(1),
                nullable: false,
                filters: &fragment.schema.coordinates,
            };
            wanted
                .then(|| ColumnFile::of(fragment, field, fragment.tiles))
                .transpose()
        };
        Ok([
            open("t", slots[0], fragment.has_times)?,
            open("dt", slots[1], fragment.has_deletions)?,
        ])
    }

    fn of(fragment: &Fragment, field: Field<'_>, tiles: usize) -> Result<Self, SourceError> {
        let Field { stem, slot, .. } = &field;
        let file = |suffix: &str| format!("{stem}{suffix}.tdb");
        let schema = &fragment.schema;
        let place = fragment.folder.place_of(&file(""));
        let at = |fault: Fault| fault.at(&place);
        field.filters.check(field.datatype).map_err(at)?;
        let variable = field.values.is_none();
        let encoding = field
            .filters
            .text_encoding(field.datatype)
            .filter(|_| variable);
        if !variable && field.filters.text_encoding(field.datatype).is_some() {
            return Err(at(Fault::unsupported(
                "a filter for texts of any length on fixed ones",
            )));
        }
        let unsigned = Datatype::Number(ScalarType::UInt64);
        let byte = Datatype::Number(ScalarType::UInt8);
        schema.offsets.check(unsigned).map_err(at)?;
        schema.validity.check(byte).map_err(at)?;
        let cell = match field.values {
            None => None,
            Some(values) => Some(
                field
                    .datatype
                    .size()
                    .checked_mul(values as usize)
                    .filter(|&size| size > 0)
                    .ok_or_else(|| place.damaged(format!("cells of {values} values")))?,
            ),
        };
        let variable = if variable {
            let sizes = fragment.list(List::VariableSizes, *slot, tiles)?;
            let starts = Tiles::open(fragment, file("_var"), List::VariableOffsets, *slot, tiles)?;
            Some((starts, sizes))
        } else {
            None
        };
        let validity = if field.nullable {
            let list = List::ValidityOffsets;
            Some(Tiles::open(
                fragment,
                file("_validity"),
                list,
                *slot,
                tiles,
            )?)
        } else {
            None
        };
        Ok(ColumnFile {
            datatype: field.datatype,
            folder: fragment.folder.clone(),
            cell,
            encoding,
            filters: field.filters.clone(),
            offset_filters: schema.offsets.clone(),
            validity_filters: schema.validity.clone(),
            fixed: Tiles::open(fragment, file(""), List::Offsets, *slot, tiles)?,
            variable,
            validity,
        })
    }

    /// Returns the context for errors about the file.
    pub fn place(&self) -> ErrorContext {
        self.folder.place_of(&self.fixed.file)
    }

    /// Returns the size of `cells` cells in bytes, checked against the memory limit.
    fn bytes(&self, cells: u64, width: usize) -> Checked<usize> {
        let bytes = cells.saturating_mul(width as u64);
        if bytes > self.folder.memory() {
            return Err(Fault::TooLarge(bytes));
        }
        Ok(bytes as usize)
    }

    /// Likewise for the text of a tile, of which several copies are in memory until it is written.
    fn text_bytes(&self, bytes: u64) -> Checked<usize> {
        check_texts(bytes, self.folder.memory())?;
        self.bytes(bytes, 1)
    }

    /// Appends the fixed-size values of a tile with `cells` cells. The stored bytes are read into a
    /// reusable buffer.
    pub fn read_fixed(
        &self,
        tile: usize,
        cells: u64,
        buffer: &mut Vec<u8>,
        out: &mut Vec<u8>,
        scratch: &mut Scratch,
    ) -> Result<(), SourceError> {
        let at = |fault: Fault| fault.at(&self.place());
        let width = self.cell.unwrap_or(8);
        let expected = self.bytes(cells, width).map_err(at)?;
        self.fixed.read(&self.folder, tile, buffer)?;
        let (filters, datatype) = match self.cell {
            Some(_) => (&self.filters, self.datatype),
            None => (&self.offset_filters, Datatype::Number(ScalarType::UInt64)),
        };
        filters
            .decode(buffer, datatype, expected, out, scratch)
            .map_err(at)
    }

    /// Reads the cells of a tile.
    pub fn read(
        &self,
        tile: usize,
        cells: u64,
        scratch: &mut Scratch,
    ) -> Result<Cells, SourceError> {
        let at = |fault: Fault| fault.at(&self.place());
        let mut buffer = Vec::new();
        let mut read = Cells::default();
        match (&self.variable, self.encoding) {
            (None, _) => self.read_fixed(tile, cells, &mut buffer, &mut read.bytes, scratch)?,
            (Some((texts, sizes)), Some(encoding)) => {
                let expected = self.text_bytes(sizes[tile]).map_err(at)?;
                let count = self.bytes(cells, 8).map_err(at)? / 8;
                texts.read(&self.folder, tile, &mut buffer)?;
                let decoded = self
                    .filters
                    .decode_texts(encoding, &buffer, expected, count, scratch);
                let Texts { bytes, offsets } = decoded.map_err(at)?;
                read.bytes = bytes;
                read.offsets = Some(offsets);
            }
            (Some((values, sizes)), None) => {
                let mut offsets = Vec::new();
                self.read_fixed(tile, cells, &mut buffer, &mut offsets, scratch)?;
                let expected = self.text_bytes(sizes[tile]).map_err(at)?;
                values.read(&self.folder, tile, &mut buffer)?;
                self.filters
                    .decode(&buffer, self.datatype, expected, &mut read.bytes, scratch)
                    .map_err(at)?;
                read.offsets = Some(checked_offsets(&offsets, expected).map_err(at)?);
            }
        }
        if let Some(validity) = &self.validity {
            validity.read(&self.folder, tile, &mut buffer)?;
            let mut flags = Vec::new();
            let expected = self.bytes(cells, 1).map_err(at)?;
            let byte = Datatype::Number(ScalarType::UInt8);
            self.validity_filters
                .decode(&buffer, byte, expected, &mut flags, scratch)
                .map_err(at)?;
            read.validity = Some(flags);
        }
        Ok(read)
    }
}

/// Parses offsets and checks that they do not decrease and stay within the values.
fn checked_offsets(bytes: &[u8], end: usize) -> Checked<Vec<u64>> {
    let offsets: Vec<u64> = bytes.chunks_exact(8).map(little_endian).collect();
    let inside = offsets.last().is_none_or(|&last| last <= end as u64);
    if inside && offsets.windows(2).all(|pair| pair[0] <= pair[1]) {
        return Ok(offsets);
    }
    Err(Fault::damaged("the offsets of its values do not fit them"))
}

/// Checks that the memory suffices for the texts of a tile and all their copies.
fn check_texts(bytes: u64, memory: u64) -> Checked<()> {
    if bytes <= memory / TEXT_COPIES {
        Ok(())
    } else {
        Err(Fault::TooLarge(bytes.saturating_mul(TEXT_COPIES)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_tile_take_an_eighth_of_the_memory_at_most() {
        assert_eq!(check_texts(128, 1024), Ok(()));
        assert_eq!(check_texts(129, 1024), Err(Fault::TooLarge(1032)));
        assert_eq!(check_texts(u64::MAX, 1024), Err(Fault::TooLarge(u64::MAX)));
    }
}
