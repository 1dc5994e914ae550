//! Lance schemas of tables.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use lance_file::version::ConcreteFileVersion;

use super::TableError;
use super::column::in_type;

/// Columns of a table, with Lance's field ids, and the version of its files.
#[derive(Debug, Clone)]
pub struct Layout {
    arrow: Arc<Schema>,
    lance: lance_core::datatypes::Schema,
    files: ConcreteFileVersion,
}

/// Whether rows of some columns can be added to a table as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaFit {
    /// It has all columns, in types that hold the values.
    AsItIs,
    /// Columns are missing or too narrow: the table must be rewritten.
    Anew,
}

impl Layout {
    /// Creates the layout of a new table.
    ///
    /// # Errors
    /// If Lance does not support a type.
    pub fn new(path: &Path, schema: Schema) -> Result<Self, TableError> {
        // 2.1 explicitly, because Lance's default changes between releases.
        Self::with_files(path, schema, ConcreteFileVersion::V2_1)
    }

    fn with_files(
        path: &Path,
        schema: Schema,
        files: ConcreteFileVersion,
    ) -> Result<Self, TableError> {
        let lance = lance_core::datatypes::Schema::try_from(&schema)
            .map_err(|e| TableError::lance("write", path, e))?;
        Ok(Layout {
            arrow: Arc::new(schema),
            lance,
            files,
        })
    }

    /// Extends the layout of a table by these columns. Its own columns keep their positions, and
    /// its files keep their version.
    ///
    /// # Errors
    /// If Lance does not support a type.
    pub fn extended(
        path: &Path,
        table: &lance::Dataset,
        wanted: &Schema,
    ) -> Result<(Self, SchemaFit), TableError> {
        let own = Schema::from(table.schema());
        let files = table.manifest().data_storage_format.version;
        let mut fit = SchemaFit::AsItIs;
        let mut fields: Vec<Field> = Vec::new();
        for field in own.fields() {
            let new = wanted.field_with_name(field.name()).ok();
            let new = new.filter(|new| !is_compatible(field.data_type(), new.data_type()));
            fields.push(match new {
                None => field.as_ref().clone(),
                Some(new) => {
                    fit = SchemaFit::Anew;
                    field
                        .as_ref()
                        .clone()
                        .with_data_type(new.data_type().clone())
                }
            });
        }
        for field in wanted.fields() {
            if own.field_with_name(field.name()).is_err() {
                fit = SchemaFit::Anew;
                fields.push(field.as_ref().clone());
            }
        }
        let layout = match fit {
            SchemaFit::AsItIs => Layout {
                arrow: Arc::new(own),
                lance: table.schema().clone(),
                files,
            },
            SchemaFit::Anew => Self::with_files(path, Schema::new(fields), files)?,
        };
        Ok((layout, fit))
    }

    /// Whether any column contains strings, whose size does not follow from the type.
    pub(super) fn has_texts(schema: &Schema) -> bool {
        let mut types = schema.fields().iter().map(|field| field.data_type());
        types.any(|data_type| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8))
    }

    /// Arrow schema of the columns.
    pub fn arrow(&self) -> &Arc<Schema> {
        &self.arrow
    }

    /// Schema of the columns in Lance's form.
    pub(super) fn lance(&self) -> &lance_core::datatypes::Schema {
        &self.lance
    }

    /// Version of the table's files.
    pub(super) fn files(&self) -> ConcreteFileVersion {
        self.files
    }

    /// Returns the rows with these columns in their types, whatever their order in `batch`. Columns
    /// that `batch` lacks are null.
    ///
    /// # Errors
    /// If a value would be lost.
    pub fn rows(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let column = |field: &Arc<Field>| -> Result<ArrayRef, ArrowError> {
            match batch.column_by_name(field.name()) {
                Some(column) => in_type(column, field.data_type()),
                None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            }
        };
        let columns: Result<Vec<ArrayRef>, _> = self.arrow.fields().iter().map(column).collect();
        RecordBatch::try_new(self.arrow.clone(), columns?)
    }
}

/// Whether a column of the first type can hold what is written as the second.
fn is_compatible(own: &DataType, new: &DataType) -> bool {
    let text = |data_type: &DataType| match data_type {
        DataType::Dictionary(_, values) => {
            matches!(**values, DataType::Utf8 | DataType::LargeUtf8)
        }
        other => matches!(
            other,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        ),
    };
    match (own, new) {
        (DataType::Timestamp(..), DataType::Timestamp(..)) => true,
        (DataType::FixedSizeList(a, width), DataType::FixedSizeList(b, other)) => {
            width == other && a.data_type() == b.data_type()
        }
        _ => own == new || (text(own) && text(new)),
    }
}
