//! Data frames: obs and var.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{Field, Schema};

use super::column::{CATEGORIES, ColumnReader, Opened, TEXT_BYTES};
use crate::source::error::Place;
use crate::source::hdf5::{Attribute, Element, Hdf5File, Kind, NumberArray, check_readable};
use crate::source::number_column::text_of_numbers;
use crate::source::{Column, Note, Part, Selection, SourceError};

/// A data frame whose index identifies its rows.
pub(super) struct Frame {
    place: Place,
    rows: u64,
    index: Index,
    columns: Vec<(String, ColumnReader)>,
    left_out: Vec<Note>,
    categories: Vec<String>,
    file: Hdf5File,
}

enum Index {
    /// The object that holds the texts, and which of them are missing: none may be.
    Texts(String, Option<NumberArray>),
    Numbers(NumberArray),
}

impl Frame {
    /// Opens the group (or, before anndata 0.7, the compound dataset) `object` and the headers of
    /// those of its columns that are wanted.
    pub fn open(
        file: &Hdf5File,
        object: &str,
        part: Part,
        selection: &Selection,
    ) -> Result<Self, SourceError> {
        let members = Members::of(file, object)?;
        let (index, rows) = open_index(file, &format!("{object}/{}", members.index))?;
        let mut frame = Frame {
            place: file.place(object),
            rows,
            index,
            columns: Vec::new(),
            left_out: Vec::new(),
            categories: Vec::new(),
            file: file.clone(),
        };
        for name in members.columns {
            let path = format!("{object}/{name}");
            if let Some(reason) = selection.excludes(part, &name) {
                frame.left_out.push(Note::new(path, reason));
                continue;
            }
            let legacy = format!("uns/{name}_categories");
            if members.compound
                && let Some(column) = ColumnReader::with_categories(file, &path, &legacy, rows)?
            {
                frame.columns.push((name, column));
                frame.categories.push(legacy);
                continue;
            }
            match ColumnReader::open(file, &path, rows)? {
                Opened::Column(column) => frame.columns.push((name, column)),
                Opened::LeftOut(reason) => frame.left_out.push(Note::new(path, reason)),
            }
        }
        Ok(frame)
    }

    /// Objects outside of the frame that hold categories of its columns, as before anndata 0.7.
    pub fn categories_elsewhere(&self) -> &[String] {
        &self.categories
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn left_out(&self) -> &[Note] {
        &self.left_out
    }

    pub fn columns(&self) -> Vec<Column> {
        self.columns
            .iter()
            .map(|(name, column)| Column {
                name: name.clone(),
                kind: column.kind(),
            })
            .collect()
    }

    /// The index of a range of rows.
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
            Index::Numbers(array) => Ok(text_of_numbers(&array.read(rows)?)),
        }
    }

    fn check_none_missing(
        &self,
        missing: &NumberArray,
        rows: Range<u64>,
    ) -> Result<(), SourceError> {
        let start = rows.start;
        match missing.read(rows)?.to_i64() {
            Ok(flags) => match flags.iter().position(|&flag| flag != 0) {
                Some(row) => Err(self.place.damaged(format!(
                    "row {} has no name in the index",
                    start + row as u64
                ))),
                None => Ok(()),
            },
            Err(_) => Err(self.place.damaged("the mask of its index is not boolean")),
        }
    }

    /// All columns of a range of rows.
    pub fn read(&self, rows: Range<u64>) -> Result<RecordBatch, SourceError> {
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        // With one row the memory must suffice; of many, fewer can be read.
        let single = rows.end - rows.start <= 1;
        let (mut left, mut together) = (TEXT_BYTES, 0u64);
        for (name, column) in &self.columns {
            let array = column.read_within(rows.clone(), left)?;
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

/// The members of a frame: which is the index, and which are columns, in their order.
pub(super) struct Members {
    pub index: String,
    pub columns: Vec<String>,
    compound: bool,
}

impl Members {
    /// Looks at the frame `object`.
    pub fn of(file: &Hdf5File, object: &str) -> Result<Self, SourceError> {
        let place = file.place(object);
        let members = match file.kind(object)? {
            Kind::Group => file.members(object)?,
            Kind::Compound => {
                let mut fields = file.members(object)?;
                if fields.is_empty() {
                    return Err(place.damaged("it has no fields"));
                }
                // anndata takes the first field as the index, whatever its name.
                let index = fields.remove(0);
                return Ok(Members {
                    index,
                    columns: fields,
                    compound: true,
                });
            }
            _ => return Err(place.damaged("it is not a group")),
        };
        let members: HashSet<String> = members.into_iter().collect();
        let index = index_name(file, object, &members, &place)?;
        let columns = column_order(file, object, &index, members)?;
        Ok(Members {
            index,
            columns,
            compound: false,
        })
    }

    /// The rows of a frame, from its index.
    pub fn rows(&self, file: &Hdf5File, object: &str) -> Result<u64, SourceError> {
        open_index(file, &format!("{object}/{}", self.index)).map(|(_, rows)| rows)
    }
}

/// The columns in the order of the writer; those it does not list come last, by name.
fn column_order(
    file: &Hdf5File,
    object: &str,
    index: &str,
    members: HashSet<String>,
) -> Result<Vec<String>, SourceError> {
    let place = file.place(object);
    let listed = match file.attribute(object, "column-order")? {
        Some(Attribute::Texts(names)) => names,
        Some(Attribute::Text(name)) => vec![name],
        // An empty list has whatever type numpy gave it.
        Some(Attribute::Number(numbers)) if numbers.is_empty() => Vec::new(),
        Some(_) => return Err(place.damaged("its attribute \"column-order\" is not text")),
        None => Vec::new(),
    };
    // An index that the writer lists is a column as well, of the same name.
    let mut seen = HashSet::new();
    let mut order = Vec::new();
    for name in listed {
        if !members.contains(&name) {
            return Err(place.damaged(format!("its column {name:?} is missing")));
        }
        if seen.insert(name.clone()) {
            order.push(name);
        }
    }
    let mut unlisted: Vec<String> = members
        .into_iter()
        .filter(|name| !seen.contains(name) && name != index && name != CATEGORIES)
        .collect();
    unlisted.sort();
    order.extend(unlisted);
    Ok(order)
}

/// The name of the member that is the index.
fn index_name(
    file: &Hdf5File,
    object: &str,
    members: &HashSet<String>,
    place: &Place,
) -> Result<String, SourceError> {
    let named = match file.attribute(object, "_index")? {
        Some(attribute) => attribute.text().map(str::to_string),
        None => ["_index", "index"]
            .iter()
            .find(|name| members.contains(**name))
            .map(|name| name.to_string()),
    };
    match named {
        Some(name) if members.contains(&name) => Ok(name),
        Some(name) => Err(place.damaged(format!("its index {name:?} is missing"))),
        None => Err(place.damaged("it has no index: the attribute \"_index\" is missing")),
    }
}

fn open_index(file: &Hdf5File, object: &str) -> Result<(Index, u64), SourceError> {
    let place = file.place(object);
    let (texts, missing) = match file.kind(object)? {
        Kind::Dataset => (object.to_string(), None),
        // Nullable texts, of which an index uses the texts alone.
        Kind::Group if file.kind(&format!("{object}/values"))? == Kind::Dataset => {
            let mask = file.numbers(&format!("{object}/mask"))?;
            (format!("{object}/values"), Some(mask))
        }
        _ => {
            return Err(place.unsupported(
                "an index that is neither a dataset nor nullable texts",
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
            check_readable(&place, &header)?;
            Index::Texts(texts, missing)
        }
        _ => Index::Numbers(file.numbers(&texts)?),
    };
    Ok((index, rows))
}
