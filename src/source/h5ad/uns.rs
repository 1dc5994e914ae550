//! `uns`: nested groups of scalars, arrays and data frames, as JSON.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use serde_json::{Map, Value};

use super::column::{ColumnReader, Opened};
use super::frame::Members;
use super::matrix::encoding;
use crate::source::hdf5::{Element, Hdf5File, Kind, check_readable};
use crate::source::json::{number_values, tree};
use crate::source::json_room::JsonRoom;
use crate::source::{Note, Part, Selection, SourceError, Uns};

/// Groups deeper than this are a damaged file, or hold themselves.
const DEEPEST: usize = 64;

/// Reads `uns`, or any group like it.
pub(super) struct UnsReader<'a> {
    file: &'a Hdf5File,
    room: JsonRoom,
    /// Objects that are read as parts of something else.
    moved: &'a BTreeSet<String>,
    uns: Uns,
}

/// A value, or why there is none.
type Read = Result<Value, String>;

impl<'a> UnsReader<'a> {
    /// Reads all members of the group `object` that are wanted.
    pub fn read(
        file: &'a Hdf5File,
        object: &str,
        selection: &Selection,
        moved: &'a BTreeSet<String>,
    ) -> Result<Uns, SourceError> {
        let mut reader = UnsReader {
            file,
            room: JsonRoom::of(file.memory()),
            moved,
            uns: Uns::default(),
        };
        match file.kind(object)? {
            Kind::Group => {}
            Kind::Missing => return Ok(reader.uns),
            _ => {
                reader.leave_out(object, "it is not a group".into());
                return Ok(reader.uns);
            }
        }
        for name in sorted_members(file, object)? {
            let path = format!("{object}/{name}");
            if moved.contains(&path) {
                continue;
            }
            if let Some(reason) = selection.excludes(Part::Uns, &name) {
                reader.leave_out(&path, reason);
            } else if let Some(value) = reader.member(&path, 0)? {
                reader.uns.values.insert(name, value);
            }
        }
        Ok(reader.uns)
    }

    fn leave_out(&mut self, object: &str, reason: String) {
        self.uns.left_out.push(Note::new(object, reason));
    }

    /// The value of an object; `None` after it was noted as left out.
    fn member(&mut self, object: &str, depth: usize) -> Result<Option<Value>, SourceError> {
        if depth > DEEPEST {
            self.leave_out(object, "it lies too deep".into());
            return Ok(None);
        }
        let value = match self.file.kind(object)? {
            Kind::Dataset => self.dataset(object)?,
            Kind::Group => self.group(object, depth)?,
            Kind::Compound => self.structured(object)?,
            Kind::Missing | Kind::Other => Err("it is neither a group nor a dataset".into()),
        };
        match value {
            Ok(value) => Ok(Some(value)),
            Err(reason) => {
                self.leave_out(object, reason);
                Ok(None)
            }
        }
    }

    fn group(&mut self, object: &str, depth: usize) -> Result<Read, SourceError> {
        match encoding(self.file, object)?.as_deref() {
            None | Some("dict" | "uns" | "raw") => {
                let mut map = Map::new();
                for name in sorted_members(self.file, object)? {
                    let path = format!("{object}/{name}");
                    if self.moved.contains(&path) {
                        continue;
                    }
                    if let Some(value) = self.member(&path, depth + 1)? {
                        map.insert(name, value);
                    }
                }
                Ok(Ok(Value::Object(map)))
            }
            Some("dataframe") => self.frame(object),
            Some(
                "categorical" | "nullable-integer" | "nullable-boolean" | "nullable-string-array",
            ) => {
                let rows = self.rows_of_column(object)?;
                self.column(object, rows)
            }
            Some(kind) => Ok(Err(format!("a {kind:?} has no form in JSON"))),
        }
    }

    /// The rows of a column that is a group: those of its codes or values.
    fn rows_of_column(&self, object: &str) -> Result<u64, SourceError> {
        for member in ["codes", "values"] {
            let member = format!("{object}/{member}");
            if self.file.kind(&member)? == Kind::Dataset {
                return Ok(self
                    .file
                    .array(&member)?
                    .shape
                    .first()
                    .copied()
                    .unwrap_or(0));
            }
        }
        Ok(0)
    }

    fn column(&mut self, object: &str, rows: u64) -> Result<Read, SourceError> {
        if let Err(reason) = self.room.take(rows) {
            return Ok(Err(reason));
        }
        Ok(match ColumnReader::open(self.file, object, rows)? {
            Opened::LeftOut(reason) => Err(reason),
            Opened::Column(column) => {
                match self.room.list(0..rows, 1, |rows| column.read(rows))? {
                    Err(reason) => Err(reason),
                    Ok((values, not_finite)) => {
                        self.note_not_finite(object, not_finite);
                        Ok(Value::Array(values))
                    }
                }
            }
        })
    }

    fn frame(&mut self, object: &str) -> Result<Read, SourceError> {
        let members = Members::of(self.file, object)?;
        let rows = members.rows(self.file, object)?;
        let mut map = Map::new();
        for name in std::iter::once(&members.index).chain(&members.columns) {
            let path = format!("{object}/{name}");
            match self.column(&path, rows)? {
                Ok(values) => {
                    map.insert(name.clone(), values);
                }
                Err(reason) => self.leave_out(&path, reason),
            }
        }
        self.uns.converted.push(Note::new(
            object,
            "a data frame became a list for each column",
        ));
        Ok(Ok(Value::Object(map)))
    }

    /// A structured array, such as a list of genes for each group.
    fn structured(&mut self, object: &str) -> Result<Read, SourceError> {
        let mut map = Map::new();
        for field in self.file.members(object)? {
            let path = format!("{object}/{field}");
            match self.dataset(&path)? {
                Ok(values) => {
                    map.insert(field, values);
                }
                Err(reason) => self.leave_out(&path, reason),
            }
        }
        self.uns.converted.push(Note::new(
            object,
            "a structured array became a list for each field",
        ));
        Ok(Ok(Value::Object(map)))
    }

    fn note_not_finite(&mut self, object: &str, count: u64) {
        if count > 0 {
            self.uns.converted.push(Note::new(
                object,
                format!("{count} numbers that are not finite became null"),
            ));
        }
    }

    fn dataset(&mut self, object: &str) -> Result<Read, SourceError> {
        if encoding(self.file, object)?.as_deref() == Some("null") {
            return Ok(Ok(Value::Null));
        }
        let header = match self.file.array(object) {
            Ok(header) => header,
            // An HDF5 dataset without a data space is how None used to be written.
            Err(error) => return Ok(Err(error.to_string())),
        };
        // All values, and all lists that hold them.
        let mut count = Some(1u64);
        let mut total = Some(0u64);
        for &side in &header.shape {
            count = count.and_then(|count| count.checked_mul(side));
            total = total
                .zip(count)
                .and_then(|(total, count)| total.checked_add(count));
        }
        if let Err(reason) = self.room.take(total.unwrap_or(u64::MAX)) {
            return Ok(Err(reason));
        }
        // Checked to be far below what memory holds.
        let shape: Vec<usize> = header.shape.iter().map(|&side| side as usize).collect();
        let values = match header.element {
            Element::Text => {
                check_readable(&self.file.place(object), &header)?;
                // A scalar is one row.
                let rows = header.shape.first().copied().unwrap_or(1);
                let each = shape.iter().skip(1).product();
                let read = |rows| -> Result<ArrayRef, SourceError> {
                    Ok(Arc::new(self.file.texts(object, rows)?))
                };
                let rows = if shape.contains(&0) { 0 } else { rows };
                match self.room.list(0..rows, each, read)? {
                    Ok((texts, _)) => texts,
                    Err(reason) => return Ok(Err(reason)),
                }
            }
            Element::Number { .. } => {
                let numbers = self.file.flat_numbers(object)?;
                let (values, not_finite) = number_values(&numbers);
                self.note_not_finite(object, not_finite);
                values
            }
            Element::Other(what) => return Ok(Err(format!("{what} has no form in JSON"))),
        };
        Ok(Ok(tree(values, &shape)))
    }
}

fn sorted_members(file: &Hdf5File, group: &str) -> Result<Vec<String>, SourceError> {
    let mut members = file.members(group)?;
    members.sort();
    Ok(members)
}
