//! Determines which cells of a fragment are deleted.
//!
//! A delete applies to the cells written before it: to all cells of older fragments, and to those
//! cells of a consolidated fragment that have older timestamps. If a cell was written several
//! times, the newest write counts, and deleting it does not bring back an older one.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::column::{Cells, ColumnFile};
use super::condition::{Comparison, Condition, Operator};
use super::cursor::little_endian;
use super::datatype::Datatype;
use super::fault::{Checked, Fault};
use super::filter::Scratch;
use super::fragment::Fragment;
use super::names::StampedName;
use super::tile::generic_tile;
use crate::source::error::ErrorContext;
use crate::source::{ScalarType, SourceError};

/// A delete of cells.
pub(super) struct Delete {
    /// Milliseconds since 1970.
    pub time: u64,
    /// Name of its file.
    pub name: String,
    /// Holds for the cells that stay.
    pub condition: Condition,
}

impl Delete {
    /// Parses a delete from the content of its file.
    pub fn parse(name: String, bytes: &[u8], memory: u64) -> Checked<Self> {
        let stamp = name.strip_suffix(".del").and_then(StampedName::parse);
        let stamp = stamp.ok_or_else(|| Fault::unsupported("a delete without a time"))?;
        let (content, length) = generic_tile(bytes, memory)?;
        if length != bytes.len() {
            return Err(Fault::damaged("bytes follow its tile"));
        }
        Ok(Delete {
            time: stamp.first,
            condition: Condition::parse(&content)?,
            name,
        })
    }
}

/// Columns and conditions that determine which cells of a fragment are deleted.
pub(in crate::source::soma) struct Lives {
    conditions: Vec<Arc<Delete>>,
    columns: BTreeMap<String, ColumnFile>,
    times: Option<ColumnFile>,
    deletions: Option<ColumnFile>,
    /// Latest timestamp of the fragment.
    last: u64,
}

/// Timestamps and deletions of the cells of a tile.
#[derive(Debug, Default)]
pub(in crate::source::soma) struct Life {
    /// Time at which each cell was written, if it varies within the fragment.
    pub times: Option<Vec<u64>>,
    /// Whether each cell is deleted; `None` if none can be.
    pub dead: Option<Vec<bool>>,
}

impl Lives {
    pub(super) fn open(fragment: &Fragment, deletes: &[Arc<Delete>]) -> Result<Self, SourceError> {
        let mut conditions: Vec<Arc<Delete>> = deletes
            .iter()
            .filter(|delete| delete.time >= fragment.stamp.first)
            .cloned()
            .collect();
        if !conditions.is_empty() {
            let processed: BTreeSet<String> =
                fragment.processed_conditions()?.into_iter().collect();
            conditions.retain(|delete| !processed.contains(&delete.name));
        }
        let mut fields = Vec::new();
        conditions
            .iter()
            .for_each(|delete| delete.condition.fields(&mut fields));
        let mut columns = BTreeMap::new();
        for field in fields {
            let column = ColumnFile::open(fragment, field, fragment.tiles)?.ok_or_else(|| {
                let what = format!("a delete by {field:?}, which an older write does not have,");
                Fault::unsupported(what).at(&fragment.place())
            })?;
            columns.insert(field.to_string(), column);
        }
        let [times, deletions] = ColumnFile::times(fragment)?;
        Ok(Lives {
            conditions,
            columns,
            times,
            deletions,
            last: fragment.stamp.last,
        })
    }

    /// Whether no cell is deleted and all were written at the same time.
    pub fn is_simple(&self) -> bool {
        self.conditions.is_empty() && self.times.is_none() && self.deletions.is_none()
    }

    /// Whether no cell is deleted.
    pub fn is_immortal(&self) -> bool {
        self.conditions.is_empty() && self.deletions.is_none()
    }

    /// Reads timestamps and deletions for a tile of `cells` cells.
    pub fn read(
        &self,
        tile: usize,
        cells: u64,
        scratch: &mut Scratch,
    ) -> Result<Life, SourceError> {
        let mut life = Life::default();
        let mut numbers = |column: &Option<ColumnFile>| {
            let Some(column) = column else {
                return Ok(None);
            };
            let read = column.read(tile, cells, scratch)?;
            let numbers: Vec<u64> = read.bytes.chunks_exact(8).map(little_endian).collect();
            Ok(Some(numbers))
        };
        life.times = numbers(&self.times)?;
        // The largest time means "not deleted".
        if let Some(deletions) = numbers(&self.deletions)? {
            life.dead = Some(deletions.iter().map(|&time| time != u64::MAX).collect());
        }
        if self.conditions.is_empty() {
            return Ok(life);
        }
        let mut fields = BTreeMap::new();
        for (name, column) in &self.columns {
            let place = column.place();
            fields.insert(
                name.as_str(),
                (column.datatype, column.read(tile, cells, scratch)?, place),
            );
        }
        // The tile has been decoded, so this many cells fit in memory.
        let cells = cells as usize;
        let mut dead = life.dead.take().unwrap_or_else(|| vec![false; cells]);
        for delete in &self.conditions {
            let mut kept = keep(&delete.condition, &fields, cells)?;
            if delete.time <= self.last
                && let Some(times) = &life.times
            {
                for (kept, &time) in kept.iter_mut().zip(times) {
                    *kept |= time > delete.time;
                }
            }
            for (dead, kept) in dead.iter_mut().zip(kept) {
                *dead |= !kept;
            }
        }
        life.dead = Some(dead);
        Ok(life)
    }
}

type Fields<'a> = BTreeMap<&'a str, (Datatype, Cells, ErrorContext)>;

/// Evaluates a condition for each cell.
fn keep(
    condition: &Condition,
    fields: &Fields<'_>,
    cells: usize,
) -> Result<Vec<bool>, SourceError> {
    let combine = |children: &[Condition], all: bool| {
        let mut kept = vec![all; cells];
        for child in children {
            for (kept, holds) in kept.iter_mut().zip(keep(child, fields, cells)?) {
                *kept = if all { *kept && holds } else { *kept || holds };
            }
        }
        Ok(kept)
    };
    match condition {
        Condition::All(children) => combine(children, true),
        Condition::Any(children) => combine(children, false),
        Condition::Not(child) => {
            let mut kept = keep(child, fields, cells)?;
            kept.iter_mut().for_each(|kept| *kept = !*kept);
            Ok(kept)
        }
        Condition::Field(comparison) => {
            // The fields of all conditions have been read, so this cannot happen.
            let Some((datatype, values, place)) = fields.get(comparison.field.as_str()) else {
                return Ok(vec![true; cells]);
            };
            compare(comparison, *datatype, values, cells).map_err(|fault| fault.at(place))
        }
    }
}

/// Evaluates a comparison for each cell. No comparison holds for a missing value, so that a delete
/// by value also deletes the rows where the value is missing, as in libtiledb.
fn compare(
    comparison: &Comparison,
    datatype: Datatype,
    values: &Cells,
    cells: usize,
) -> Checked<Vec<bool>> {
    let width = datatype.size();
    let mut wanted = Vec::new();
    for value in &comparison.values {
        if values.offsets.is_none() && value.len() != width {
            return Err(Fault::unsupported(format!(
                "a delete that compares {datatype} with a value of {} bytes",
                value.len()
            )));
        }
        wanted.push(value.as_slice());
    }
    let float = matches!(
        datatype,
        Datatype::Number(ScalarType::Float16 | ScalarType::Float32 | ScalarType::Float64)
    );
    let holds = |value: &[u8]| match comparison.operator {
        // Integers and text are equal if their bytes are, and the list is sorted by bytes.
        Operator::In if !float => wanted.binary_search(&value).is_ok(),
        Operator::NotIn if !float => wanted.binary_search(&value).is_err(),
        Operator::In => wanted
            .iter()
            .any(|other| order(datatype, value, other) == Some(Ordering::Equal)),
        Operator::NotIn => wanted
            .iter()
            .all(|other| order(datatype, value, other) != Some(Ordering::Equal)),
        operator => wanted
            .iter()
            .all(|other| operator.holds(order(datatype, value, other))),
    };
    Ok((0..cells)
        .map(|cell| values.value(cell, width).is_some_and(holds))
        .collect())
}

/// Compares two values of the same type.
fn order(datatype: Datatype, left: &[u8], right: &[u8]) -> Option<Ordering> {
    let float = |bytes: &[u8]| match bytes.len() {
        4 => f64::from(f32::from_bits(little_endian(bytes) as u32)),
        _ => f64::from_bits(little_endian(bytes)),
    };
    match datatype {
        Datatype::Number(ScalarType::Float32 | ScalarType::Float64) => {
            float(left).partial_cmp(&float(right))
        }
        Datatype::Number(_) | Datatype::Datetime(_) | Datatype::Time(_) => {
            let unused = 64 - 8 * datatype.size() as u32;
            let signed = |bytes: &[u8]| ((little_endian(bytes) << unused) as i64) >> unused;
            Some(if datatype.is_signed() {
                signed(left).cmp(&signed(right))
            } else {
                little_endian(left).cmp(&little_endian(right))
            })
        }
        _ => Some(left.cmp(right)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(operator: Operator, wanted: &[i64], datatype: Datatype) -> Vec<bool> {
        let bytes = [-1i64, 0, 7].iter().flat_map(|value| value.to_le_bytes());
        let cells = Cells {
            bytes: bytes.collect(),
            offsets: None,
            validity: Some(vec![1, 0, 1]),
        };
        let mut values: Vec<_> = wanted
            .iter()
            .map(|value| value.to_le_bytes().to_vec())
            .collect();
        values.sort();
        let comparison = Comparison {
            field: "a".into(),
            operator,
            values,
        };
        compare(&comparison, datatype, &cells, 3).unwrap()
    }

    #[test]
    fn comparisons_know_signs_and_missing_values() {
        let (signed, unsigned) = (ScalarType::Int64, ScalarType::UInt64);
        let (signed, unsigned) = (Datatype::Number(signed), Datatype::Number(unsigned));
        assert_eq!(compared(Operator::Less, &[0], signed), [true, false, false]);
        assert_eq!(
            compared(Operator::Less, &[0], unsigned),
            [false, false, false]
        );
        assert_eq!(
            compared(Operator::NotEqual, &[7], signed),
            [true, false, false]
        );
        assert_eq!(
            compared(Operator::In, &[7, 5, -1], signed),
            [true, false, true]
        );
        assert_eq!(
            compared(Operator::NotIn, &[7, 5, 300], signed),
            [true, false, false]
        );
    }
}
