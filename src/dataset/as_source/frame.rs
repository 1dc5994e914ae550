//! The cells and genes tables as obs and var.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, RecordBatchOptions,
    StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int64Type, Schema, TimeUnit};

use super::table::OpenTable;
use crate::source::{Column, ColumnKind, Embedding, ScalarType, SourceError, TypedVec};
use crate::table::TableName;

/// A cells or genes table.
pub(super) struct Frame {
    /// The table.
    pub table: Arc<OpenTable>,
    /// Its columns.
    pub columns: Vec<FrameColumn>,
    /// Its embeddings.
    pub embeddings: Vec<FrameEmbedding>,
}

/// A column and its name in the table.
pub(super) struct FrameColumn {
    /// The column, as described to callers.
    pub column: Column,
    /// Name in the table.
    pub written_as: String,
    /// Categories, if it is a categorical.
    pub categories: Option<Categories>,
}

/// An embedding and its name in the table.
pub(super) struct FrameEmbedding {
    /// The embedding, as described to callers.
    pub embedding: Embedding,
    /// Name in the table.
    pub written_as: String,
    /// The rows that were read last, and which of them have none.
    pub seen: Mutex<Option<(Range<u64>, Option<NullBuffer>)>>,
}

fn nulls_of(column: &ArrayRef) -> Option<NullBuffer> {
    column
        .nulls()
        .filter(|nulls| nulls.null_count() > 0)
        .cloned()
}

/// Categories of a column in their order, with an index sorted by text.
pub(super) struct Categories {
    texts: StringArray,
    sorted: Vec<i32>,
}

impl Categories {
    /// Creates categories from a list; `None` if there are too many to be numbered.
    pub fn of(texts: StringArray) -> Option<Self> {
        let count = i32::try_from(texts.len()).ok()?;
        let mut sorted: Vec<i32> = (0..count).collect();
        sorted.sort_by_key(|&code| texts.value(code as usize));
        Some(Categories { texts, sorted })
    }

    /// Converts a column of strings to a categorical.
    fn coded(&self, texts: &StringArray) -> Result<ArrayRef, String> {
        let code = |text: &str| {
            let place = self
                .sorted
                .partition_point(|&code| self.texts.value(code as usize) < text);
            let found = self.sorted.get(place).copied();
            found
                .filter(|&code| self.texts.value(code as usize) == text)
                .ok_or_else(|| format!("{text:?} is none of its categories in config.json"))
        };
        let codes = texts.iter().map(|text| text.map(code).transpose());
        let codes = codes.collect::<Result<Int32Array, String>>()?;
        Ok(Arc::new(DictionaryArray::new(
            codes,
            Arc::new(self.texts.clone()),
        )))
    }
}

impl Frame {
    /// Returns the identifiers of a range of rows, whose positions must match their numbers.
    pub fn ids(&self, rows: Range<u64>) -> Result<StringArray, SourceError> {
        let (id, number) = match self.table.name {
            TableName::Genes => ("gene_id", "gene_integer_id"),
            _ => ("cell_id", "cell_integer_id"),
        };
        let batch = self
            .table
            .read(&[id, number].map(String::from), rows.clone())?;
        let numbers = self.cast(batch.column(1), &DataType::Int64, number)?;
        let numbers = numbers.as_primitive::<Int64Type>().iter();
        for (row, found) in rows.zip(numbers) {
            if found.and_then(|found| u64::try_from(found).ok()) != Some(row) {
                let found = found.map_or("none".into(), |found| found.to_string());
                return Err(self.table.place().unsupported(
                    format!("a table whose row {row} has the number {found}"),
                    "another program has changed the rows; take them as they are with `slaf adopt`",
                ));
            }
        }
        let ids = self.cast(batch.column(0), &DataType::Utf8, id)?;
        match ids.null_count() {
            0 => Ok(ids.as_string::<i32>().clone()),
            missing => Err(self
                .table
                .place()
                .damaged(format!("{missing} rows have no {id}"))),
        }
    }

    /// Returns the columns of a range of rows.
    pub fn read(&self, rows: Range<u64>) -> Result<RecordBatch, SourceError> {
        let names = self.columns.iter().map(|column| column.written_as.clone());
        let length = usize::try_from(rows.end - rows.start).unwrap_or(usize::MAX);
        let batch = self.table.read(&names.collect::<Vec<_>>(), rows)?;
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (column, array) in self.columns.iter().zip(batch.columns()) {
            let array = self.converted(column, array)?;
            let name = &column.column.name;
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(length));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .map_err(|error| self.table.place().damaged(error.to_string()))
    }

    fn converted(&self, column: &FrameColumn, array: &ArrayRef) -> Result<ArrayRef, SourceError> {
        let name = &column.written_as;
        match (&column.column.kind, &column.categories) {
            (ColumnKind::Text, _) => self.cast(array, &DataType::Utf8, name),
            (ColumnKind::Categorical { .. }, Some(categories)) => {
                let texts = self.cast(array, &DataType::Utf8, name)?;
                let coded = categories.coded(texts.as_string::<i32>());
                coded.map_err(|problem| self.table.place().damaged(format!("{name}: {problem}")))
            }
            (ColumnKind::Time, _) => {
                let nanoseconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
                self.cast(array, &nanoseconds, name)
            }
            _ => Ok(array.clone()),
        }
    }

    /// Converts a column to another type; this must be lossless.
    fn cast(
        &self,
        array: &ArrayRef,
        wanted: &DataType,
        name: &str,
    ) -> Result<ArrayRef, SourceError> {
        if array.data_type() == wanted {
            return Ok(array.clone());
        }
        let place = self.table.place();
        let found = cast(array, wanted).map_err(|error| place.damaged(error.to_string()))?;
        if found.null_count() != array.logical_null_count() {
            let own = array.data_type();
            let what = format!("{name}: {own} of which some are no {wanted}");
            return Err(place.unsupported(what, "rewrite the column"));
        }
        Ok(found)
    }

    /// Which rows have an embedding; `None` where all have.
    pub fn embedding_nulls(
        &self,
        embedding: &FrameEmbedding,
        rows: Range<u64>,
    ) -> Result<Option<NullBuffer>, SourceError> {
        let seen = embedding
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((known, nulls)) = &*seen
            && *known == rows
        {
            return Ok(nulls.clone());
        }
        drop(seen);
        let batch = self
            .table
            .read(std::slice::from_ref(&embedding.written_as), rows)?;
        Ok(nulls_of(batch.column(0)))
    }

    /// Returns the numbers of an embedding for a range of rows; NaN where it is null.
    pub fn embedding(
        &self,
        embedding: &FrameEmbedding,
        rows: Range<u64>,
    ) -> Result<TypedVec, SourceError> {
        let names = [embedding.written_as.clone()];
        let batch = self.table.read(&names, rows.clone())?;
        let seen = embedding.seen.lock();
        *seen.unwrap_or_else(PoisonError::into_inner) = Some((rows, nulls_of(batch.column(0))));
        let damaged = || {
            let what = format!("{} is {}", names[0], batch.column(0).data_type());
            self.table.place().damaged(what)
        };
        let lists = batch
            .column(0)
            .as_fixed_size_list_opt()
            .ok_or_else(damaged)?;
        let width = usize::try_from(lists.value_length()).unwrap_or(0);
        let values = lists.values();
        let there = |place: usize| {
            let row = place / width.max(1);
            lists.is_valid(row) && values.is_valid(place)
        };
        match embedding.embedding.number_type {
            ScalarType::Float32 => {
                let numbers = values
                    .as_primitive_opt::<Float32Type>()
                    .ok_or_else(damaged)?;
                let numbers = numbers.values().iter().enumerate();
                let numbers = numbers.map(|(place, &v)| if there(place) { v } else { f32::NAN });
                Ok(TypedVec::Float32(numbers.collect()))
            }
            _ => {
                let numbers = values
                    .as_primitive_opt::<Float64Type>()
                    .ok_or_else(damaged)?;
                let numbers = numbers.values().iter().enumerate();
                let numbers = numbers.map(|(place, &v)| if there(place) { v } else { f64::NAN });
                Ok(TypedVec::Float64(numbers.collect()))
            }
        }
    }
}
