//! Data frames: obs and var.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};

use super::column::{ColumnReader, Opened, TEXT_BYTES};
use super::members::Members;
use crate::source::blocks::TooLong;
use crate::source::error::ErrorContext;
use crate::source::hdf5::{Element, Hdf5File, Kind, NumberArray};
use crate::source::number_column::text_of_numbers;
use crate::source::{Column, Note, OriginalFrame, Part, Selection, SourceError};

/// Where files before anndata 0.7 keep the categories of the columns of raw's var.
pub(super) const RAW_CATEGORIES: &str = "raw.cat";

/// Why a member of a frame is not a column.
pub(super) const UNLISTED: &str = "column-order does not list it";

/// A data frame whose index identifies its rows.
pub(super) struct Frame {
    place: ErrorContext,
    part: Part,
    rows: u64,
    index: Index,
    /// Name of the index.
    index_name: String,
    columns: Vec<(String, ColumnReader)>,
    left_out: Vec<Note>,
    categories: Vec<String>,
    file: Hdf5File,
}

enum Index {
    /// The object that holds the text, and its mask of missing values, none of which may be set.
    Texts(String, Option<NumberArray>),
    TypedVec(NumberArray),
    /// Categories.
    Column(Box<ColumnReader>),
}

impl Frame {
    /// Opens the group (or, before anndata 0.7, the compound dataset) `object` and the headers of
    /// its selected columns.
    pub fn open(
        file: &Hdf5File,
        object: &str,
        part: Part,
        selection: &Selection,
    ) -> Result<Self, SourceError> {
        let members = Members::of(file, object)?;
        let (index, rows) = open_index(file, object, &members.index)?;
        let mut frame = Frame {
            place: file.place(object),
            part,
            rows,
            index,
            index_name: members.index.clone(),
            columns: Vec::new(),
            left_out: Vec::new(),
            categories: Vec::new(),
            file: file.clone(),
        };
        for name in members.unlisted {
            let reason = selection.excludes(part, &name);
            let reason = reason.unwrap_or_else(|| UNLISTED.into());
            frame
                .left_out
                .push(Note::new(format!("{object}/{name}"), reason));
        }
        let elsewhere = members.compound.then(|| categories_of(object)).flatten();
        for name in members.columns {
            if let Some(reason) = selection.excludes(part, &name) {
                frame
                    .left_out
                    .push(Note::new(format!("{object}/{name}"), reason));
                continue;
            }
            let legacy = elsewhere.map(|group| format!("{group}/{name}_categories"));
            frame
                .open_column(object, &name, legacy)
                .map_err(|error| error.or_skip(part, &name))?;
        }
        Ok(frame)
    }

    fn open_column(
        &mut self,
        object: &str,
        name: &str,
        legacy: Option<String>,
    ) -> Result<(), SourceError> {
        let (file, rows) = (&self.file, self.rows);
        if let Some(legacy) = legacy
            && let Some(column) = ColumnReader::with_categories(file, object, name, &legacy, rows)?
        {
            self.columns.push((name.to_string(), column));
            self.categories.push(legacy);
            return Ok(());
        }
        match ColumnReader::open(file, object, name, rows)? {
            Opened::Column(column) => self.columns.push((name.to_string(), column)),
            Opened::LeftOut(reason) => {
                self.left_out
                    .push(Note::new(format!("{object}/{name}"), reason));
            }
        }
        Ok(())
    }

    /// Objects outside of the frame that hold categories of its columns, as before anndata 0.7.
    pub fn categories_elsewhere(&self) -> &[String] {
        &self.categories
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Members that are left out, and why.
    pub fn left_out(&self) -> &[Note] {
        &self.left_out
    }

    /// Returns the columns, without the index.
    pub fn columns(&self) -> Vec<Column> {
        self.columns
            .iter()
            .map(|(name, column)| Column {
                name: name.clone(),
                kind: column.kind(),
            })
            .collect()
    }

    /// What the columns do not show: the name of the index, and what kinds of columns there are.
    pub fn originals(&self) -> OriginalFrame {
        let columns = self.columns.iter();
        let columns = columns.filter_map(|(name, column)| Some((name.clone(), column.original()?)));
        OriginalFrame {
            index: Some(self.index_name.clone()).filter(|name| name != "_index"),
            columns: columns.collect(),
            ..OriginalFrame::default()
        }
    }

    /// Reads the index of a range of rows.
    pub fn ids(&self, rows: Range<u64>) -> Result<StringArray, SourceError> {
        if rows.is_empty() {
            return Ok(StringArray::from(Vec::<String>::new()));
        }
        match &self.index {
            Index::Texts(object, missing) => {
                if let Some(missing) = missing {
                    self.check_none_missing(missing, rows.clone())?;
                }
                self.file.texts(object, rows)
            }
            Index::TypedVec(array) => Ok(text_of_numbers(&array.read(rows)?)),
            Index::Column(column) => {
                let start = rows.start;
                let names = column.read(rows)?;
                if let Some(row) = (0..names.len()).find(|&row| names.is_null(row)) {
                    return Err(self.unnamed(start + row as u64));
                }
                match cast(&names, &DataType::Utf8) {
                    Ok(names) => Ok(names.as_string::<i32>().clone()),
                    Err(error) => Err(self.place.damaged(error.to_string())),
                }
            }
        }
    }

    fn unnamed(&self, row: u64) -> SourceError {
        self.place
            .damaged(format!("row {row} has no name in the index"))
    }

    fn check_none_missing(
        &self,
        missing: &NumberArray,
        rows: Range<u64>,
    ) -> Result<(), SourceError> {
        let start = rows.start;
        match missing.read(rows)?.to_i64() {
            Ok(flags) => match flags.iter().position(|&flag| flag != 0) {
                Some(row) => Err(self.unnamed(start + row as u64)),
                None => Ok(()),
            },
            Err(_) => Err(self.place.damaged("the mask of its index is not boolean")),
        }
    }

    /// Reads all columns of a range of rows.
    pub fn read(&self, rows: Range<u64>) -> Result<RecordBatch, SourceError> {
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        // A single row must fit in memory; of several, fewer can be read.
        let single = rows.end - rows.start <= 1;
        let (mut left, mut together) = (TEXT_BYTES, 0u64);
        for (name, column) in &self.columns {
            let array = column.read_within(rows.clone(), left);
            let array = array.map_err(|error| match error {
                // Fewer rows may succeed.
                error if error.is_too_long() && !single => error,
                error => error.or_skip(self.part, name),
            })?;
            if let Some(texts) = array.as_string_opt::<i32>() {
                let bytes = texts.values().len() as u64;
                left = left.saturating_sub(bytes);
                together = together.saturating_add(bytes);
            }
            if single {
                self.file.suffices(&self.place, together)?;
            }
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        let length = usize::try_from(rows.end - rows.start)
            .map_err(|_| self.place.damaged("it has absurdly many rows"))?;
        let options = RecordBatchOptions::new().with_row_count(Some(length));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|e| self.place.damaged(e.to_string()))
    }
}

/// Returns where files before anndata 0.7 keep the categories of a frame's columns. Those of raw
/// are separate, whatever var has under the same names.
fn categories_of(object: &str) -> Option<&'static str> {
    match object {
        "obs" | "var" => Some("uns"),
        "raw.var" => Some(RAW_CATEGORIES),
        _ => None,
    }
}

/// Number of rows of a frame, according to its index, the column `name`.
pub(super) fn rows_of(file: &Hdf5File, frame: &str, name: &str) -> Result<u64, SourceError> {
    open_index(file, frame, name).map(|(_, rows)| rows)
}

fn open_index(file: &Hdf5File, frame: &str, name: &str) -> Result<(Index, u64), SourceError> {
    let object = format!("{frame}/{name}");
    let place = file.place(&object);
    let kind = file.kind(&object)?;
    // Categories: the codes are in a group or, in anndata 0.7, in a dataset.
    let codes = match kind {
        Kind::Group if file.kind(&format!("{object}/codes"))? == Kind::Dataset => {
            Some(format!("{object}/codes"))
        }
        Kind::Dataset if file.attribute(&object, "categories")?.is_some() => Some(object.clone()),
        _ => None,
    };
    if let Some(codes) = codes {
        let rows = file.numbers(&codes)?.rows();
        return match ColumnReader::open(file, frame, name, rows)? {
            Opened::Column(column) => Ok((Index::Column(Box::new(column)), rows)),
            Opened::LeftOut(reason) => Err(place.damaged(reason)),
        };
    }
    let (texts, missing) = match kind {
        Kind::Dataset => (object.clone(), None),
        // Nullable text; an index uses only the text.
        Kind::Group if file.kind(&format!("{object}/values"))? == Kind::Dataset => {
            let mask = file.numbers(&format!("{object}/mask"))?;
            (format!("{object}/values"), Some(mask))
        }
        Kind::Missing => return Err(place.damaged("it is missing: it is the index")),
        _ => {
            return Err(place.unsupported(
                "an index that is neither a dataset, nor nullable texts, nor categories",
                "rewrite the file with names of plain text",
            ));
        }
    };
    let header = file.array(&texts)?;
    let [rows] = header.shape[..] else {
        return Err(place.damaged(format!(
            "its shape is {:?}, where one dimension is expected",
            header.shape
        )));
    };
    let index = match header.element {
        Element::Text => {
            file.check_readable(&texts, &header)?;
            if !file.texts_are_whole(&texts)? {
                return Err(place.damaged(
                    "a part of the names was never written, or their index of chunks is damaged",
                ));
            }
            Index::Texts(texts, missing)
        }
        _ => Index::TypedVec(file.numbers(&texts)?),
    };
    Ok((index, rows))
}
