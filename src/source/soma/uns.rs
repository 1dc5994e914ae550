//! `uns`: nested collections. Scalars are stored in their metadata, arrays and data frames are
//! members, and lists of text are data frames with a hint.

use serde_json::{Map, Value};

use super::frame::{Frame, IndexNames};
use super::matrix::DenseArray;
use super::object::{self, Kind};
use super::tiledb::files::Folder;
use super::tiledb::group::Group;
use super::tiledb::metadata::{self, MetadataValue};
use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::json::{column_values, number_values, tree};
use crate::source::json_room::JsonRoom;
use crate::source::{Note, Part, Selection, SourceError, Uns};

/// Collections nested deeper than this are assumed to contain themselves.
const DEEPEST: usize = 64;

/// Metadata key that marks a data frame as a list of text, and its possible values.
const HINT: &str = "soma_uns_outgest_hint";
const LIST: &str = "array_1d";
const TABLE: &str = "array_2d";

/// Column names of such data frames.
const LIST_COLUMN: &str = "values";
const TABLE_COLUMNS: &str = "values_";

/// Where the index of a data frame may be.
const INDEX: IndexNames = IndexNames(&["index"]);

/// Reads a collection into JSON.
pub(super) struct UnsReader<'a> {
    selection: &'a Selection,
    room: JsonRoom,
    uns: Uns,
}

/// A value, or why there is none.
type Read = Result<Value, String>;

impl<'a> UnsReader<'a> {
    /// Reads all members that are selected.
    pub fn read(group: &Group, selection: &'a Selection) -> Result<Uns, SourceError> {
        let mut reader = UnsReader {
            selection,
            room: JsonRoom::of(group.folder.memory()),
            uns: Uns::default(),
        };
        reader.uns.values = reader.collection(group, 0)?;
        Ok(reader.uns)
    }

    fn leave_out(&mut self, object: &str, reason: impl Into<String>) {
        self.uns.left_out.push(Note::new(object, reason));
    }

    fn excluded(&mut self, object: &str, name: &str, depth: usize) -> bool {
        let reason = (depth == 0)
            .then(|| self.selection.excludes(Part::Uns, name))
            .flatten();
        let excluded = reason.is_some();
        if let Some(reason) = reason {
            self.leave_out(object, reason);
        }
        excluded
    }

    fn collection(
        &mut self,
        group: &Group,
        depth: usize,
    ) -> Result<Map<String, Value>, SourceError> {
        let mut map = Map::new();
        let parent = group.folder.object();
        for (name, folder) in &group.members {
            let object = format!("{parent}/{name}");
            if self.excluded(&object, name, depth) {
                continue;
            }
            match self.member(folder, depth)? {
                Ok(value) => {
                    map.insert(name.clone(), value);
                }
                Err(reason) => self.leave_out(&object, reason),
            }
        }
        for name in object::user_metadata(&group.metadata) {
            let object = format!("{parent}/{name}");
            if self.excluded(&object, name, depth) {
                continue;
            }
            match self.scalar(&object, &group.metadata[name]) {
                Ok(value) => {
                    map.insert(name.clone(), value);
                }
                Err(reason) => self.leave_out(&object, reason),
            }
        }
        map.sort_keys();
        Ok(map)
    }

    fn scalar(&mut self, object: &str, value: &MetadataValue) -> Read {
        match value {
            MetadataValue::Text(text) => {
                self.room.take(1)?;
                let value = Value::from(text.as_str());
                self.room.take_texts(std::slice::from_ref(&value))?;
                Ok(value)
            }
            MetadataValue::TypedVec(numbers) => {
                self.room.take(numbers.len() as u64)?;
                let (mut values, not_finite) = number_values(numbers);
                self.note_not_finite(object, not_finite);
                Ok(match values.len() {
                    1 => values.remove(0),
                    _ => Value::Array(values),
                })
            }
            MetadataValue::Other(what) => Err(format!("{what} has no form in JSON")),
        }
    }

    fn member(&mut self, folder: &Folder, depth: usize) -> Result<Read, SourceError> {
        if depth >= DEEPEST {
            return Ok(Err("it lies too deep".into()));
        }
        match object::kind(folder)? {
            Kind::Collection | Kind::Experiment => {
                let map = self.collection(&object::group(folder)?, depth + 1)?;
                Ok(Ok(Value::Object(map)))
            }
            Kind::DataFrame => self.frame(folder),
            Kind::DenseArray => self.array(folder),
            Kind::SparseArray => Ok(Err("a sparse array has no form in JSON".into())),
            Kind::Missing => Err(object::missing(folder)),
            Kind::Other => Ok(Err(
                "an object of an unknown kind has no form in JSON".into()
            )),
        }
    }

    fn array(&mut self, folder: &Folder) -> Result<Read, SourceError> {
        let array = match DenseArray::open(object::array(folder)?) {
            Ok(array) => array,
            Err(SourceError::Unsupported { what, .. }) => {
                return Ok(Err(format!("{what} has no form in JSON")));
            }
            Err(error) => return Err(error),
        };
        let shape = array.shape();
        let values = shape[0].saturating_mul(shape[1]);
        if let Err(reason) = self.room.take(values.saturating_add(shape[0])) {
            return Ok(Err(reason));
        }
        let numbers = array.read(0..shape[0], 0..shape[1])?;
        let (values, not_finite) = number_values(&numbers);
        self.note_not_finite(folder.object(), not_finite);
        // Checked above to be well within memory limits.
        let sides = shape.map(|side| side as usize);
        Ok(Ok(tree(values, &sides[2 - array.dimensions()..])))
    }

    fn frame(&mut self, folder: &Folder) -> Result<Read, SourceError> {
        let frame = Frame::with_columns(folder, &INDEX, Part::Uns.name(), &|_| None)?;
        let metadata = metadata::read(folder)?;
        let hint = metadata.get(HINT).and_then(MetadataValue::text);
        let columns = frame.columns().len() as u64 + 1;
        if let Err(reason) = self.room.take(frame.len().saturating_mul(columns)) {
            return Ok(Err(reason));
        }
        self.uns.left_out.extend_from_slice(frame.left_out());
        let object = folder.object();
        let names = frame.names().map(|name| (name.to_string(), Vec::new()));
        let mut lists: Vec<(String, Vec<Value>)> = names.collect();
        let mut not_finite = vec![0; lists.len()];
        let mut blocks = RowBlocks::new(0..frame.len(), lists.len());
        loop {
            let columns = match blocks.read(|rows| frame.read_with_index(rows)) {
                Ok(Some((_, columns))) => columns,
                Ok(None) => break,
                // A problem with uns is never a reason to fail.
                Err(too_large @ SourceError::TooLarge { .. }) => {
                    return Ok(Err(too_large.to_string()));
                }
                Err(other) => return Err(other),
            };
            blocks.held(bytes_of(&columns));
            for (place, column) in columns.iter().enumerate() {
                let (values, count) = column_values(column);
                if let Err(reason) = self.room.take_texts(&values) {
                    return Ok(Err(reason));
                }
                not_finite[place] += count;
                lists[place].1.extend(values);
            }
        }
        for ((name, _), count) in lists.iter().zip(not_finite) {
            self.note_not_finite(&format!("{object}/{name}"), count);
        }
        match hint {
            Some(LIST) => match lists.into_iter().find(|(name, _)| name == LIST_COLUMN) {
                Some((_, values)) => return Ok(Ok(Value::Array(values))),
                None => {
                    return Ok(Err(format!(
                        "a list of text without the column {LIST_COLUMN:?}"
                    )));
                }
            },
            Some(TABLE) => return Ok(table(lists)),
            _ => {}
        }
        let what = "a data frame became a list for each column";
        self.uns.converted.push(Note::new(object, what));
        let lists = lists
            .into_iter()
            .map(|(name, values)| (name, Value::Array(values)));
        Ok(Ok(Value::Object(lists.collect())))
    }

    fn note_not_finite(&mut self, object: &str, count: u64) {
        if count > 0 {
            let how = format!("{count} numbers that are not finite became null");
            self.uns.converted.push(Note::new(object, how));
        }
    }
}

/// Converts the columns `values_0`, `values_1`, … to a list of rows.
fn table(lists: Vec<(String, Vec<Value>)>) -> Read {
    let mut columns: Vec<Option<Vec<Value>>> = vec![None; lists.len()];
    for (name, values) in lists {
        let number = name
            .strip_prefix(TABLE_COLUMNS)
            .and_then(|number| number.parse::<usize>().ok());
        match number.and_then(|number| columns.get_mut(number)) {
            Some(column) => *column = Some(values),
            None => return Err(format!("a table of text with the column {name:?}")),
        }
    }
    let columns: Option<Vec<Vec<Value>>> = columns.into_iter().collect();
    let Some(columns) = columns else {
        return Err("a table of text of which columns are missing".into());
    };
    let rows = columns.first().map_or(0, Vec::len);
    let row = |row: usize| columns.iter().map(|column| column[row].clone()).collect();
    Ok(Value::Array((0..rows).map(row).collect()))
}
