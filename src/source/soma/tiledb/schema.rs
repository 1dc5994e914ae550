//! Array schemas (format_spec/array_schema.md, current_domain.md).

use super::check_version;
use super::cursor::{Cursor, little_endian};
use super::datatype::Datatype;
use super::fault::{Checked, Fault};
use super::filter::Pipeline;
use crate::source::ScalarType;

/// Marks cells of variable length.
const ANY_LENGTH: u32 = u32::MAX;

/// Schema of an array.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::source::soma) struct Schema {
    /// Whether the array is dense.
    pub dense: bool,
    /// Whether several cells may have the same coordinates.
    pub duplicates: bool,
    /// Whether tiles, and the cells within them, are in row-major order.
    pub row_major: bool,
    /// Number of cells per tile of a sparse array.
    pub capacity: u64,
    /// Filters of the coordinates.
    pub coordinates: Pipeline,
    /// Filters of the offsets of variable-length cells.
    pub offsets: Pipeline,
    /// Filters of the validity bytes.
    pub validity: Pipeline,
    /// The dimensions, in order.
    pub dimensions: Vec<Dimension>,
    /// The attributes, in order.
    pub attributes: Vec<Attribute>,
    /// Names of enumerations and of their files.
    pub enumerations: Vec<(String, String)>,
    /// Range of each dimension that is in use (inclusive), if the array stores it.
    pub current_domain: Option<Vec<[i64; 2]>>,
}

/// A dimension of an array.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::source::soma) struct Dimension {
    /// Name.
    pub name: String,
    /// Type of the coordinates.
    pub datatype: Datatype,
    /// Whether coordinates have variable length.
    pub variable: bool,
    /// Filters of the coordinates.
    pub filters: Pipeline,
    /// First and last coordinate, for int64 dimensions.
    pub domain: Option<[i64; 2]>,
    /// Extent of a space tile, for int64 dimensions.
    pub extent: Option<i64>,
}

/// An attribute: a field of the cells.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::source::soma) struct Attribute {
    /// Name.
    pub name: String,
    /// Type of the values.
    pub datatype: Datatype,
    /// Number of values per cell; `None` if it varies.
    pub values: Option<u32>,
    /// Filters of the values.
    pub filters: Pipeline,
    /// Content of cells that were never written.
    pub fill: Vec<u8>,
    /// Whether the fill value counts as valid rather than missing.
    pub fill_is_valid: bool,
    /// Whether values can be missing.
    pub nullable: bool,
    /// Name of the enumeration that its values index into.
    pub enumeration: Option<String>,
}

impl Dimension {
    /// Whether coordinates are int64, as in SOMA.
    pub fn is_int64(&self) -> bool {
        self.datatype == Datatype::Number(ScalarType::Int64) && !self.variable
    }

    fn parse(cursor: &mut Cursor<'_>, coordinates: &Pipeline) -> Checked<Self> {
        let name = cursor.text32()?;
        let datatype = Datatype::from_code(cursor.u8()?)?;
        let variable = match cursor.u32()? {
            ANY_LENGTH => true,
            1 => false,
            other => {
                return Err(Fault::unsupported(format!(
                    "a dimension of {other} values a cell"
                )));
            }
        };
        let filters = Pipeline::parse(cursor)?;
        let length = cursor.length64()?;
        let domain = cursor.take(length)?;
        let extent = if cursor.flag("the null tile extent")? {
            &[]
        } else {
            cursor.take(datatype.size())?
        };
        let whole = datatype == Datatype::Number(ScalarType::Int64) && !variable;
        let number = |bytes: &[u8]| little_endian(bytes) as i64;
        Ok(Dimension {
            name,
            datatype,
            variable,
            // A dimension without its own filters uses those of the coordinates.
            filters: if filters.is_empty() {
                coordinates.clone()
            } else {
                filters
            },
            domain: (whole && domain.len() == 16)
                .then(|| [number(&domain[..8]), number(&domain[8..])]),
            extent: (whole && extent.len() == 8).then(|| number(extent)),
        })
    }
}

impl Attribute {
    fn parse(cursor: &mut Cursor<'_>, version: u32) -> Checked<Self> {
        let name = cursor.text32()?;
        let datatype = Datatype::from_code(cursor.u8()?)?;
        let values = match cursor.u32()? {
            ANY_LENGTH => None,
            values => Some(values),
        };
        let filters = Pipeline::parse(cursor)?;
        let length = cursor.length64()?;
        let fill = cursor.take(length)?.to_vec();
        let nullable = cursor.flag("whether an attribute is nullable")?;
        let fill_is_valid = cursor.u8()? != 0;
        let _order = cursor.u8()?;
        let enumeration = if version >= 20 {
            Some(cursor.text32()?).filter(|name| !name.is_empty())
        } else {
            None
        };
        Ok(Attribute {
            name,
            datatype,
            values,
            filters,
            fill,
            fill_is_valid,
            nullable,
            enumeration,
        })
    }

    /// Whether the number of values per cell varies.
    pub fn variable(&self) -> bool {
        self.values.is_none()
    }
}

impl Schema {
    /// Parses the content of a schema file.
    pub fn parse(bytes: &[u8]) -> Checked<Self> {
        let mut cursor = Cursor::new(bytes);
        let version = check_version(cursor.u32()?)?;
        let duplicates = cursor.flag("whether duplicates are allowed")?;
        let dense = match cursor.u8()? {
            0 => true,
            1 => false,
            other => return Err(Fault::unsupported(format!("the array type {other}"))),
        };
        let orders = [cursor.u8()?, cursor.u8()?];
        let capacity = cursor.u64()?;
        let coordinates = Pipeline::parse(&mut cursor)?;
        let offsets = Pipeline::parse(&mut cursor)?;
        let validity = Pipeline::parse(&mut cursor)?;
        let count = cursor.u32()?;
        let count = cursor.count(count.into(), 8)?;
        let dimensions = (0..count)
            .map(|_| Dimension::parse(&mut cursor, &coordinates))
            .collect::<Checked<Vec<_>>>()?;
        let count = cursor.u32()?;
        let count = cursor.count(count.into(), 8)?;
        let attributes = (0..count)
            .map(|_| Attribute::parse(&mut cursor, version))
            .collect::<Checked<Vec<_>>>()?;
        if cursor.u32()? != 0 {
            return Err(Fault::unsupported("an array with dimension labels"));
        }
        let mut enumerations = Vec::new();
        if version >= 20 {
            let count = cursor.u32()?;
            for _ in 0..cursor.count(count.into(), 8)? {
                enumerations.push((cursor.text32()?, cursor.text32()?));
            }
        }
        let current_domain = if version >= 22 {
            current_domain(&mut cursor, &dimensions)?
        } else {
            None
        };
        cursor.finish("the schema")?;
        if capacity == 0 {
            return Err(Fault::damaged("its tiles have no room for a cell"));
        }
        Ok(Schema {
            dense,
            duplicates,
            row_major: orders == [0, 0],
            capacity,
            coordinates,
            offsets,
            validity,
            dimensions,
            attributes,
            enumerations,
            current_domain,
        })
    }

    /// Returns an attribute by name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }
}

/// Reads the current domain; `None` if the array has none, or if not all dimensions are int64.
fn current_domain(
    cursor: &mut Cursor<'_>,
    dimensions: &[Dimension],
) -> Checked<Option<Vec<[i64; 2]>>> {
    match cursor.u32()? {
        0 => {}
        other => {
            return Err(Fault::unsupported(format!(
                "version {other} of a current domain"
            )));
        }
    }
    if cursor.flag("whether the current domain is empty")? {
        return Ok(None);
    }
    match cursor.u8()? {
        0 => {}
        other => {
            return Err(Fault::unsupported(format!(
                "type {other} of a current domain"
            )));
        }
    }
    let ranges = super::ranges::ranges(cursor, dimensions)?;
    Ok(ranges.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Schema::parse(&bytes);
            let mut versioned = 22u32.to_le_bytes().to_vec();
            versioned.extend([0, 1, 0, 0]);
            versioned.extend(bytes);
            let _ = Schema::parse(&versioned);
        }
    }
}
