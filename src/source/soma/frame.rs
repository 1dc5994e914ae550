//! Data frames: obs, var, and those in uns.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};

use super::frame_column::{FrameColumn, Opened};
use super::joinids::Joinids;
use super::object;
use super::rows::{JOINID, Rows};
use super::tiledb::files::Folder;
use crate::remedy::Remedy;
use crate::source::error::ErrorContext;
use crate::source::{Column, ColumnKind, Note, Part, Selection, SourceError};

/// Metadata key in which tiledbsoma stores the original name of the index, as JSON.
const INDEX_NAME: &str = "soma_dataframe_original_index_name";

/// An opened data frame.
pub(super) struct Frame {
    rows: Rows,
    index: Option<FrameColumn>,
    columns: Vec<FrameColumn>,
    left_out: Vec<Note>,
    converted: Vec<Note>,
}

/// Columns that may hold the row names if the metadata does not name one.
pub(super) struct IndexNames(pub &'static [&'static str]);

impl Frame {
    /// Opens a frame and the headers of those of its columns that are selected.
    pub fn open(
        folder: &Folder,
        names: &IndexNames,
        part: Part,
        selection: &Selection,
    ) -> Result<Self, SourceError> {
        Frame::with_columns(folder, names, part.name(), &|name| {
            selection.excludes(part, name)
        })
    }

    /// Opens a frame without the columns for which `excludes` returns a reason. `part` is what
    /// users call the frame.
    pub fn with_columns(
        folder: &Folder,
        names: &IndexNames,
        part: &str,
        excludes: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SourceError> {
        let rows = Rows::open(object::array(folder)?)?;
        let index = index_name(&rows, names)?;
        let mut frame = Frame {
            index: None,
            columns: Vec::new(),
            left_out: Vec::new(),
            converted: Vec::new(),
            rows,
        };
        let attributes = frame.rows.array.schema.attributes.clone();
        for attribute in &attributes {
            let object = format!("{}/{}", folder.object(), attribute.name);
            let is_index = index.as_ref() == Some(&attribute.name);
            if !is_index && let Some(reason) = excludes(&attribute.name) {
                frame.left_out.push(Note::new(object, reason));
                continue;
            }
            let skip = Remedy::skip(part.to_string(), &attribute.name);
            match FrameColumn::open(&frame.rows, attribute, skip)? {
                Opened::Column(column) if is_index => frame.index = Some(*column),
                Opened::Column(column) => frame.columns.push(*column),
                Opened::LeftOut(reason) if is_index => {
                    return Err(frame.place().unsupported(
                        format!("an index {:?} of which {reason}", attribute.name),
                        "rewrite it with names of text",
                    ));
                }
                Opened::LeftOut(reason) => frame.left_out.push(Note::new(object, reason)),
            }
        }
        match &index {
            None => frame.converted.push(Note::new(
                folder.object(),
                "it has no column of names; its joinids became the names",
            )),
            Some(name) if frame.index.is_none() => {
                return Err(frame.place().damaged(format!(
                    "its index {name:?} is missing: its metadata names it, but there is no such column"
                )));
            }
            Some(_) => {}
        }
        Ok(frame)
    }

    /// Returns the context for errors about the frame.
    pub fn place(&self) -> ErrorContext {
        self.rows.array.place()
    }

    /// Number of rows.
    pub fn len(&self) -> u64 {
        self.rows.joinids.len()
    }

    /// Joinids of the rows.
    pub fn joinids(&self) -> &Joinids {
        &self.rows.joinids
    }

    /// Columns that are left out, and why.
    pub fn left_out(&self) -> &[Note] {
        &self.left_out
    }

    /// Columns that are converted, and how.
    pub fn converted(&self) -> &[Note] {
        &self.converted
    }

    /// Returns the columns, without the index.
    pub fn columns(&self) -> Vec<Column> {
        let column = |column: &FrameColumn| Column {
            name: column.name().to_string(),
            kind: column.kind().clone(),
        };
        self.columns.iter().map(column).collect()
    }

    /// Returns the names of a range of rows.
    pub fn ids(&self, rows: Range<u64>) -> Result<StringArray, SourceError> {
        let Some(index) = &self.index else {
            let mut ids = StringBuilder::new();
            for (first, count) in self.rows.joinids.runs(rows) {
                // Runs do not extend beyond the largest int64.
                for step in 0..count as i64 {
                    ids.append_value((first + step).to_string());
                }
            }
            return Ok(ids.finish());
        };
        let picked = self.rows.pick(rows.clone())?;
        let names = index.read(&self.rows, &picked, rows.start)?;
        if names.null_count() > 0 {
            let row = (0..names.len())
                .find(|&row| names.is_null(row))
                .unwrap_or(0);
            return Err(self.place().damaged(format!(
                "row {} has no name in the index",
                rows.start + row as u64
            )));
        }
        match index.kind() {
            ColumnKind::Text => Ok(names.as_string::<i32>().clone()),
            // Rust formats numbers the way Python does, except floats, which never serve as names.
            _ => match cast(&names, &DataType::Utf8) {
                Ok(texts) => Ok(texts.as_string::<i32>().clone()),
                Err(error) => Err(self.place().damaged(error.to_string())),
            },
        }
    }

    /// Reads all columns of a range of rows.
    pub fn read(&self, rows: Range<u64>) -> Result<RecordBatch, SourceError> {
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        if !self.columns.is_empty() {
            let picked = self.rows.pick(rows.clone())?;
            for column in &self.columns {
                let array = column.read(&self.rows, &picked, rows.start)?;
                fields.push(Field::new(column.name(), array.data_type().clone(), true));
                arrays.push(array);
            }
        }
        let length = usize::try_from(rows.end - rows.start)
            .map_err(|_| self.place().damaged("it has absurdly many rows"))?;
        let options = RecordBatchOptions::new().with_row_count(Some(length));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| self.place().damaged(error.to_string()))
    }

    fn all(&self) -> impl Iterator<Item = &FrameColumn> {
        self.index.iter().chain(&self.columns)
    }

    /// Returns the names of all columns, starting with the index if there is one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all().map(FrameColumn::name)
    }

    /// Reads all columns of a range of rows, in the order of [`Frame::names`].
    pub fn read_with_index(&self, rows: Range<u64>) -> Result<Vec<ArrayRef>, SourceError> {
        let picked = self.rows.pick(rows.clone())?;
        self.all()
            .map(|column| column.read(&self.rows, &picked, rows.start))
            .collect()
    }
}

/// Returns the column with the row names, or `None` if there is none. If the index had a name,
/// tiledbsoma writes it to the metadata; otherwise it calls the column `obs_id` or `var_id`.
fn index_name(rows: &Rows, names: &IndexNames) -> Result<Option<String>, SourceError> {
    let array = &rows.array;
    if let Some(value) = array.metadata.get(INDEX_NAME) {
        let text = value.text().unwrap_or("");
        match serde_json::from_str(text) {
            Ok(serde_json::Value::Null) => {}
            Ok(serde_json::Value::String(name)) if name != JOINID => return Ok(Some(name)),
            Ok(serde_json::Value::String(_)) => return Ok(None),
            _ => {
                return Err(array.place().damaged(format!(
                    "its metadata {INDEX_NAME:?} is {text:?}, not a name"
                )));
            }
        }
    }
    let known: BTreeMap<&str, ()> = array
        .schema
        .attributes
        .iter()
        .map(|attribute| (attribute.name.as_str(), ()))
        .collect();
    let found = names.0.iter().find(|name| known.contains_key(**name));
    Ok(found.map(ToString::to_string))
}
