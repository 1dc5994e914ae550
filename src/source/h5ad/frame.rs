//! Data frames: obs and var.

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{Field, Schema};

use super::column::{ColumnReader, Opened};
use crate::source::error::Place;
use crate::source::hdf5::{Attribute, Container, Element, Kind, NumberArray, check_texts};
use crate::source::number_column::text_of_numbers;
use crate::source::{Column, LeftOut, ReadBudget, SourceError};

/// A data frame whose index identifies its rows.
pub(super) struct Frame {
    place: Place,
    rows: u64,
    index: Index,
    columns: Vec<(String, ColumnReader)>,
    left_out: Vec<LeftOut>,
    container: Arc<dyn Container>,
}

enum Index {
    /// The object that holds the texts, and which of them are missing: none may be.
    Texts(String, Option<NumberArray>),
    Numbers(NumberArray),
}

impl Frame {
    /// Opens the group `object` and the headers of its columns.
    pub fn open(
        container: &Arc<dyn Container>,
        file: &Arc<File>,
        object: &str,
        budget: ReadBudget,
    ) -> Result<Self, SourceError> {
        let place = Place::new(container.path(), object);
        const OLD: &str = "an encoding of anndata before 0.8";
        const REWRITE: &str =
            "rewrite the file with a current anndata: anndata.read_h5ad(OLD).write_h5ad(NEW)";
        match container.kind(object)? {
            Kind::Group => {}
            Kind::Dataset => {
                return Err(place.unsupported(format!("{OLD} (a compound dataset)"), REWRITE));
            }
            _ => return Err(place.damaged("it is not a group")),
        }
        let members: HashSet<String> = container.members(object)?.into_iter().collect();
        if members.contains("__categories") {
            return Err(place.unsupported(format!("{OLD} (the group __categories)"), REWRITE));
        }
        let index_name = index_name(&**container, object, &members, &place)?;
        let (index, rows) = open_index(container, file, &format!("{object}/{index_name}"), budget)?;
        let mut frame = Frame {
            place,
            rows,
            index,
            columns: Vec::new(),
            left_out: Vec::new(),
            container: container.clone(),
        };
        for name in frame.column_order(object, &index_name, members)? {
            let path = format!("{object}/{name}");
            match ColumnReader::open(container, file, &path, rows, budget)? {
                Opened::Column(column) => frame.columns.push((name, column)),
                Opened::LeftOut(reason) => frame.left_out.push(LeftOut {
                    object: path,
                    reason,
                }),
            }
        }
        Ok(frame)
    }

    /// The columns in the order of the writer; those it does not list come last, by name.
    fn column_order(
        &mut self,
        object: &str,
        index: &str,
        members: HashSet<String>,
    ) -> Result<Vec<String>, SourceError> {
        let listed = match self.container.attribute(object, "column-order")? {
            Some(Attribute::Texts(names)) => names,
            Some(Attribute::Text(name)) => vec![name],
            Some(_) => {
                return Err(self
                    .place
                    .damaged("its attribute \"column-order\" is not text"));
            }
            None => Vec::new(),
        };
        // An index that the writer lists is a column as well, of the same name.
        let mut seen = HashSet::new();
        let mut order = Vec::new();
        for name in listed {
            if !members.contains(&name) {
                return Err(self
                    .place
                    .damaged(format!("its column {name:?} is missing")));
            }
            if seen.insert(name.clone()) {
                order.push(name);
            }
        }
        let mut unlisted: Vec<String> = members
            .into_iter()
            .filter(|name| !seen.contains(name) && name != index)
            .collect();
        unlisted.sort();
        order.extend(unlisted);
        Ok(order)
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    pub fn left_out(&self) -> &[LeftOut] {
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
                self.container.texts(object, rows)
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
        for (name, column) in &self.columns {
            let array = column.read(rows.clone())?;
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

/// The name of the member that is the index.
fn index_name(
    container: &dyn Container,
    object: &str,
    members: &HashSet<String>,
    place: &Place,
) -> Result<String, SourceError> {
    let named = match container.attribute(object, "_index")? {
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

fn open_index(
    container: &Arc<dyn Container>,
    file: &Arc<File>,
    object: &str,
    budget: ReadBudget,
) -> Result<(Index, u64), SourceError> {
    let place = Place::new(container.path(), object);
    let (texts, missing) = match container.kind(object)? {
        Kind::Dataset => (object.to_string(), None),
        // Nullable texts, of which an index uses the texts alone.
        Kind::Group if container.kind(&format!("{object}/values"))? == Kind::Dataset => {
            let mask = NumberArray::open(container, file, &format!("{object}/mask"), budget)?;
            (format!("{object}/values"), Some(mask))
        }
        _ => {
            return Err(place.unsupported(
                "an index that is neither a dataset nor nullable texts",
                "rewrite the file with names of plain text",
            ));
        }
    };
    let header = container.array(&texts)?;
    let [rows] = header.shape[..] else {
        return Err(place.damaged(format!(
            "its shape is {:?}, where one dimension is expected",
            header.shape
        )));
    };
    let index = match header.element {
        Element::Text => {
            check_texts(&place, &header)?;
            Index::Texts(texts, missing)
        }
        _ => Index::Numbers(NumberArray::open(container, file, &texts, budget)?),
    };
    Ok((index, rows))
}
