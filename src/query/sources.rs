//! The table `sources`: the inputs that a dataset was made from.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::MemTable;
use datafusion::common::Result;

use crate::dataset::{DatasetConfig, SourceNote};

/// One row for each input, in the order of their cells.
pub(super) fn table(config: &DatasetConfig) -> Result<MemTable> {
    let sources = &config.sources;
    let texts = |text: &dyn Fn(&SourceNote) -> Option<String>| -> ArrayRef {
        Arc::new(sources.iter().map(text).collect::<StringArray>())
    };
    let numbers = |number: &dyn Fn(&SourceNote) -> u64| -> ArrayRef {
        let numbers = sources
            .iter()
            .map(|source| i64::try_from(number(source)).ok());
        Arc::new(numbers.collect::<Int64Array>())
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "source_file",
            texts(&|source| Some(source.source_file.clone())),
        ),
        (
            "path",
            texts(&|source| Some(source.path.display().to_string())),
        ),
        (
            "matrix",
            texts(&|source| Some(source.matrix.clone()).filter(|name| !name.is_empty())),
        ),
        ("first_cell", numbers(&|source| source.first_cell)),
        ("cells", numbers(&|source| source.cells)),
        ("entries", numbers(&|source| source.entries)),
        ("rows", numbers(&|source| source.rows)),
        ("scale", texts(&|source| Some(source.scale?.to_string()))),
        (
            "job",
            texts(&|source| Some(source.job.as_ref()?.to_string())),
        ),
    ];
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, column)| match column.data_type() {
            DataType::Int64 => Field::new(*name, DataType::Int64, true),
            _ => Field::new(*name, DataType::Utf8, true),
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    MemTable::try_new(schema, vec![vec![batch]])
}
