//! Adds a prefix to the names of cells, and columns with the same text for all cells.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::View;
use crate::remedy::{Remedy, Setting};
use crate::source::error::ErrorContext;
use crate::source::{CellSource, Column, ColumnKind, Description, Note, OpenOptions, SourceError};

/// An input with labelled cells.
pub(in crate::source) struct Labelled {
    source: Box<dyn CellSource>,
    description: Description,
    prefix: String,
    columns: Vec<(String, String)>,
}

impl Labelled {
    /// Applies the options for labels to an input.
    ///
    /// # Errors
    /// If it already has a column with the name of one that is added.
    pub fn over(source: Box<dyn CellSource>, options: &OpenOptions) -> Result<Self, SourceError> {
        let mut description = source.description().clone();
        let name = options.name_of(&description.path);
        let prefix = options.cell_id_prefix.as_deref().unwrap_or_default();
        for (column, _) in &options.add_columns {
            if description.obs.iter().any(|own| own.name == *column) {
                let place = ErrorContext::new(&description.path, format!("obs/{column}"));
                return Err(place.refuses(
                    Setting::any("add-column"),
                    "the input has a column of this name itself",
                    [
                        Remedy::Other("choose another name".into()),
                        Remedy::skip("obs", column),
                    ],
                ));
            }
            description.obs.push(Column {
                name: column.clone(),
                kind: ColumnKind::Text,
            });
        }
        let prefix = prefix.replace("{source}", &name);
        if !prefix.is_empty() {
            let how = format!("names of cells begin with {prefix:?}");
            description.converted.push(Note::new("obs", how));
        }
        Ok(Labelled {
            source,
            description,
            prefix,
            columns: options.add_columns.clone(),
        })
    }
}

impl View for Labelled {
    fn inner(&self) -> &dyn CellSource {
        &*self.source
    }

    fn description(&self) -> &Description {
        &self.description
    }

    fn cell_ids(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        let ids = self.source.obs_names(cells)?;
        if self.prefix.is_empty() {
            return Ok(ids);
        }
        let ids = ids
            .iter()
            .map(|id| format!("{}{}", self.prefix, id.unwrap_or_default()));
        Ok(StringArray::from_iter_values(ids))
    }

    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        let frame = self.source.obs(cells)?;
        let rows = frame.num_rows();
        let mut fields: Vec<Arc<Field>> = frame.schema().fields().iter().cloned().collect();
        let mut columns = frame.columns().to_vec();
        for (name, text) in &self.columns {
            fields.push(Arc::new(Field::new(name, DataType::Utf8, true)));
            let texts = std::iter::repeat_n(text.as_str(), rows);
            let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
            columns.push(texts);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::new(Schema::new(fields));
        RecordBatch::try_new_with_options(schema, columns, &options).map_err(|error| {
            SourceError::Damaged {
                path: self.description.path.clone(),
                object: "obs".into(),
                problem: error.to_string(),
            }
        })
    }
}
