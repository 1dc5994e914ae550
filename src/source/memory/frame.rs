//! Columns in memory, in the types that inputs have.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use xxhash_rust::xxh3::Xxh3;

use crate::source::{Column, ColumnKind, ErrorContext, ScalarType, SourceError};

/// The columns of cells or genes.
pub(super) struct Frame {
    columns: Vec<Column>,
    batch: RecordBatch,
    place: ErrorContext,
}

impl Frame {
    /// Checks columns, and brings them into the types that inputs have.
    pub fn of(
        path: &Path,
        part: &str,
        batch: Option<RecordBatch>,
        rows: u64,
        hasher: &mut Xxh3,
    ) -> Result<Self, SourceError> {
        let place = ErrorContext::new(path, part);
        let (mut columns, mut arrays, mut fields) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(batch) = batch {
            let found = batch.num_rows() as u64;
            if found != rows {
                let what = format!("it has {found} rows, and {rows} are needed");
                return Err(place.damaged(what));
            }
            for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
                let name = field.name().clone();
                if columns.iter().any(|column: &Column| column.name == name) {
                    return Err(place.damaged(format!("the column {name} is there twice")));
                }
                let place = ErrorContext::new(path, format!("{part}/{name}"));
                let (array, kind) = converted(&place, field, array)?;
                hasher.update(name.as_bytes());
                digest(&array, hasher);
                fields.push(Field::new(&name, array.data_type().clone(), true));
                arrays.push(array);
                columns.push(Column { name, kind });
            }
        }
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options);
        Ok(Frame {
            columns,
            batch: batch.map_err(|error| place.damaged(error.to_string()))?,
            place,
        })
    }

    pub fn columns(&self) -> Vec<Column> {
        self.columns.clone()
    }

    pub fn read(&self, rows: Range<u64>) -> Result<RecordBatch, SourceError> {
        let (start, end) = (rows.start as usize, rows.end as usize);
        if start <= end && end <= self.batch.num_rows() {
            Ok(self.batch.slice(start, end - start))
        } else {
            Err(self.place.damaged("a row beyond the last was asked for"))
        }
    }
}

/// A column and what it holds.
fn converted(
    place: &ErrorContext,
    field: &Field,
    array: &ArrayRef,
) -> Result<(ArrayRef, ColumnKind), SourceError> {
    let in_type = |wanted: DataType| {
        let found = cast(array, &wanted).map_err(|error| place.damaged(error.to_string()))?;
        if found.null_count() == array.logical_null_count() {
            Ok(found)
        } else {
            Err(place.damaged(format!("some of its values are no {wanted}")))
        }
    };
    let number = |number_type| match array.null_count() {
        0 => ColumnKind::Number(number_type),
        _ => ColumnKind::Nullable(number_type),
    };
    let kind = match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            return Ok((in_type(DataType::Utf8)?, ColumnKind::Text));
        }
        DataType::Dictionary(_, values)
            if matches!(
                **values,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
            ) =>
        {
            let texts = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
            let coded = in_type(texts)?;
            if coded.as_any_dictionary().values().null_count() > 0 {
                return Err(place.damaged("one of its categories is missing"));
            }
            let ordered = field.dict_is_ordered().unwrap_or(false);
            return Ok((coded, ColumnKind::Categorical { ordered }));
        }
        DataType::Timestamp(_, None) => {
            let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
            return Ok((in_type(nanoseconds)?, ColumnKind::Time));
        }
        other => match ScalarType::of_arrow(other) {
            Some(scalar) => number(scalar),
            None => {
                return Err(place.unsupported(
                    format!("a column of {other}"),
                    "make it one of numbers, texts, dictionaries of texts or timestamps",
                ));
            }
        },
    };
    Ok((array.clone(), kind))
}

/// Digests a column, row by row: two that hold the same have the same digest.
fn digest(array: &ArrayRef, hasher: &mut Xxh3) {
    hasher.update(array.data_type().to_string().as_bytes());
    let data = array.to_data();
    for row in 0..array.len() {
        hasher.update(&[u8::from(array.is_valid(row))]);
    }
    // Texts and numbers alike: what lies behind offsets, or the numbers.
    let texts = match array.data_type() {
        DataType::Dictionary(_, _) => cast(array, &DataType::Utf8).ok(),
        DataType::Utf8 => Some(array.clone()),
        _ => None,
    };
    if let Some(texts) = texts {
        for text in texts.as_string::<i32>() {
            let text = text.unwrap_or_default();
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        return;
    }
    if let Some(bits) = array.as_boolean_opt() {
        let values = bits.values().iter();
        values.for_each(|value| hasher.update(&[u8::from(value)]));
        return;
    }
    let width = array.data_type().primitive_width().unwrap_or(0);
    for buffer in data.buffers() {
        let start = data.offset() * width;
        let end = start + data.len() * width;
        hasher.update(buffer.as_slice().get(start..end).unwrap_or_default());
    }
}
