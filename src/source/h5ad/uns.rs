//! `uns`: nested groups of scalars, arrays and data frames, converted to JSON.
//!
//! Nothing in it stops a conversion: anything that cannot be read is noted as left out, at any
//! depth. Only failures of the operating system are errors.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::ArrayRef;
use serde_json::{Map, Value};

use super::column::{ColumnReader, Opened};
use super::frame::{UNLISTED, rows_of};
use super::matrix::encoding;
use super::members::Members;
use crate::source::hdf5::{Element, Hdf5File, Identity, Kind};
use crate::source::json::{number_values, tree};
use crate::source::json_room::JsonRoom;
use crate::source::{Note, Part, Selection, SourceError, Uns};

/// Groups nested deeper than this are damaged or contain themselves.
const DEEPEST: usize = 64;

/// Reads `uns` or a similar group.
pub(super) struct UnsReader<'a> {
    file: &'a Hdf5File,
    room: JsonRoom,
    /// Objects that are read as parts of something else.
    moved: &'a BTreeSet<String>,
    /// The groups that contain the current object; a link to one of them is a cycle.
    open: Vec<Identity>,
    uns: Uns,
}

/// A value, or why there is none.
type Read = Result<Value, String>;

impl<'a> UnsReader<'a> {
    /// Reads all selected members of the group `object`.
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
            open: Vec::new(),
            uns: Uns::default(),
        };
        let names = reader.members(object);
        let Some(names) = reader.known(object, names)? else {
            return Ok(reader.uns);
        };
        for name in names {
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

    /// Returns what was read from an object; `None` if it could not be read, which is noted.
    fn known<T>(
        &mut self,
        object: &str,
        read: Result<Result<T, String>, SourceError>,
    ) -> Result<Option<T>, SourceError> {
        let reason = match read {
            Ok(Ok(value)) => return Ok(Some(value)),
            Ok(Err(reason)) => reason,
            Err(error) => error.reason(object)?,
        };
        self.leave_out(object, reason);
        Ok(None)
    }

    /// Returns the names of the members of uns itself.
    fn members(&mut self, object: &str) -> Result<Result<Vec<String>, String>, SourceError> {
        match self.file.kind(object)? {
            Kind::Group => {}
            Kind::Missing => return Ok(Ok(Vec::new())),
            _ => return Ok(Err("it is not a group".into())),
        }
        self.open.push(self.file.identity("")?);
        self.open.push(self.file.identity(object)?);
        sorted_members(self.file, object).map(Ok)
    }

    /// Returns the value of an object; `None` if it could not be read, which is noted.
    fn member(&mut self, object: &str, depth: usize) -> Result<Option<Value>, SourceError> {
        let value = self.value(object, depth);
        self.known(object, value)
    }

    fn value(&mut self, object: &str, depth: usize) -> Result<Read, SourceError> {
        if depth > DEEPEST {
            return Ok(Err("it lies too deep".into()));
        }
        // Links may lead to the same object any number of times.
        if let Err(reason) = self.room.take(1) {
            return Ok(Err(reason));
        }
        match self.file.kind(object)? {
            Kind::Dataset => self.dataset(object),
            Kind::Group => {
                let group = self.file.identity(object)?;
                if self.open.contains(&group) {
                    return Ok(Err("a link to a group that it lies in".into()));
                }
                self.open.push(group);
                let value = self.group(object, depth);
                self.open.pop();
                value
            }
            Kind::Compound => self.structured(object),
            // The binding replaces invalid UTF-8 in names with this character.
            Kind::Missing if object.contains('\u{fffd}') => {
                Ok(Err("its name is not valid UTF-8".into()))
            }
            Kind::Missing | Kind::Other => Ok(Err("it is neither a group nor a dataset".into())),
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
                let (parent, name) = object.rsplit_once('/').unwrap_or(("", object));
                self.column(parent, name, rows)
            }
            Some(kind) => Ok(Err(format!("a {kind:?} has no form in JSON"))),
        }
    }

    /// Number of rows of a column that is a group: those of its codes or values.
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

    fn column(&mut self, frame: &str, name: &str, rows: u64) -> Result<Read, SourceError> {
        if let Err(reason) = self.room.take(rows) {
            return Ok(Err(reason));
        }
        Ok(match ColumnReader::open(self.file, frame, name, rows)? {
            Opened::LeftOut(reason) => Err(reason),
            Opened::Column(column) => {
                match self.room.list(0..rows, 1, |rows| column.read(rows))? {
                    Err(reason) => Err(reason),
                    Ok((values, not_finite)) => {
                        self.note_not_finite(&format!("{frame}/{name}"), not_finite);
                        Ok(Value::Array(values))
                    }
                }
            }
        })
    }

    fn frame(&mut self, object: &str) -> Result<Read, SourceError> {
        let members = Members::of(self.file, object)?;
        let rows = rows_of(self.file, object, &members.index)?;
        let mut map = Map::new();
        for name in std::iter::once(&members.index).chain(&members.columns) {
            let values = self.column(object, name, rows);
            if let Some(values) = self.known(&format!("{object}/{name}"), values)? {
                map.insert(name.clone(), values);
            }
        }
        for name in members.unlisted {
            self.leave_out(&format!("{object}/{name}"), UNLISTED.into());
        }
        self.uns.converted.push(Note::new(
            object,
            "a data frame became a list for each column",
        ));
        Ok(Ok(Value::Object(map)))
    }

    /// Reads a structured array, such as lists of genes for each group.
    fn structured(&mut self, object: &str) -> Result<Read, SourceError> {
        let mut map = Map::new();
        for field in self.file.members(object)? {
            let path = format!("{object}/{field}");
            let values = self.dataset(&path);
            if let Some(values) = self.known(&path, values)? {
                map.insert(field, values);
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
        let header = self.file.array(object)?;
        // Number of values, and number of lists that contain them.
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
        // Checked above to be well within memory limits.
        let shape: Vec<usize> = header.shape.iter().map(|&side| side as usize).collect();
        let values = match header.element {
            Element::Text => {
                self.file.check_readable(object, &header)?;
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
