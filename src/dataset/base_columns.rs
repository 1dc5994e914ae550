//! Plans the columns of a dataset as if they were those of an input.

use arrow::datatypes::{DataType, Schema};

use super::{ColumnNote, Dataset};
use crate::plan::{PlannedColumn, PlannedEmbedding};
use crate::source::{ColumnKind, Part};
use crate::survey::FloatType;

/// Returns the name that a column of the dataset has in its inputs, and the names of its
/// components.
pub(super) fn original(part: Part, name: &str, notes: &[ColumnNote]) -> (String, Vec<String>) {
    let mut notes = notes.iter().filter(|note| note.part == part);
    match notes.find(|note| note.written_as == name) {
        Some(note) => (note.column.clone(), note.columns.clone()),
        None => (name.to_string(), Vec::new()),
    }
}

/// Returns the obs or var columns. Columns whose types no input can have are skipped: they are
/// kept, and appended rows are null.
pub(super) fn columns(
    schema: &Schema,
    own: &[&str],
    part: Part,
    dataset: &Dataset,
) -> Vec<PlannedColumn> {
    let config = dataset.config();
    let fields = schema.fields().iter();
    let fields = fields.filter(|field| !own.contains(&field.name().as_str()));
    fields
        .filter_map(|field| {
            let kind = match ColumnKind::of_arrow(field.data_type())? {
                ColumnKind::Text => match config.category(part, field.name()) {
                    Some(dtype) => dtype.kind(),
                    None => ColumnKind::Text,
                },
                kind => kind,
            };
            Some(PlannedColumn {
                column: original(part, field.name(), &config.column_notes).0,
                written_as: field.name().clone(),
                kind,
            })
        })
        .collect()
}

/// Returns the columns of a table that are neither its own nor among these.
pub(super) fn others(
    schema: &Schema,
    own: &[&str],
    columns: &[PlannedColumn],
    embeddings: &[PlannedEmbedding],
) -> Vec<String> {
    let columns = columns.iter().map(|column| &column.written_as);
    let known: Vec<&String> = columns
        .chain(embeddings.iter().map(|embedding| &embedding.written_as))
        .collect();
    let names = schema.fields().iter().map(|field| field.name());
    names
        .filter(|name| !own.contains(&name.as_str()) && !known.contains(name))
        .cloned()
        .collect()
}

/// Returns the embeddings in the columns of a table.
pub(super) fn embeddings(
    schema: &Schema,
    part: Part,
    notes: &[ColumnNote],
) -> Vec<PlannedEmbedding> {
    let fields = schema.fields().iter();
    fields
        .filter_map(|field| {
            let DataType::FixedSizeList(item, width) = field.data_type() else {
                return None;
            };
            let float_type = FloatType::of_arrow(item.data_type())?;
            let (name, columns) = original(part, field.name(), notes);
            Some(PlannedEmbedding {
                name,
                written_as: field.name().clone(),
                width: u64::try_from(*width).ok()?,
                float_type,
                columns: Some(columns).filter(|columns| !columns.is_empty()),
            })
        })
        .collect()
}
