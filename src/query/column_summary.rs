//! What the columns of cells and genes hold.

use std::path::Path;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{can_cast_types, cast};
use arrow::datatypes::{DataType, Schema};
use datafusion::functions_aggregate::min_max::{MaxAccumulator, MinAccumulator};
use datafusion::logical_expr::Accumulator;
use rustc_hash::FxHashMap;
use serde::Serialize;

use super::error::QueryError;
use crate::dataset::Dataset;
use crate::table::{RowReader, RowsAndColumns, TableName};

/// Bytes of different values of a column that are counted; of more, only that there are more is told.
const MOST_BYTES: usize = 48 << 20;

/// Bytes that a counted value takes beside its text.
const EACH: usize = 48;

/// Most frequent values that are told.
const SHOWN: usize = 5;

/// What a column of cells or genes holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ColumnSummary {
    /// The table: `cells` or `genes`.
    pub table: &'static str,
    /// Name of the column.
    pub column: String,
    /// Its Arrow type.
    pub data_type: String,
    /// Number of missing values.
    pub missing: u64,
    /// Number of different values, if all could be counted.
    pub distinct: Option<u64>,
    /// The most frequent values, and how often they occur, if all could be counted.
    pub most_frequent: Vec<(String, u64)>,
    /// The smallest value of numbers and times.
    pub min: Option<String>,
    /// The largest value of numbers and times.
    pub max: Option<String>,
}

/// Looks through the columns of cells and genes, one after the other, in bounded memory.
///
/// # Errors
/// If the dataset cannot be opened or read.
pub async fn column_summaries(path: &Path) -> Result<Vec<ColumnSummary>, QueryError> {
    let dataset = Dataset::open(path)?;
    let mut all = Vec::new();
    for name in [TableName::Cells, TableName::Genes] {
        let table = dataset.table(name).await?;
        let schema = Schema::from(table.schema());
        for field in schema.fields() {
            let folder = dataset.path().join(name.folder());
            let columns = [field.name().as_str()];
            let wanted = RowsAndColumns {
                columns: Some(&columns),
                rows: None,
            };
            let mut reader = RowReader::of(&table, &folder, wanted).await?;
            let mut tally = Tally::new(field.data_type());
            while let Some(batch) = reader.next().await? {
                tally.add(&batch)?;
            }
            all.push(tally.summary(name.key(), field.name(), field.data_type())?);
        }
    }
    Ok(all)
}

/// Counts of the values of a column.
struct Tally {
    missing: u64,
    counts: Option<FxHashMap<String, u64>>,
    bytes: usize,
    range: Option<(MinAccumulator, MaxAccumulator)>,
}

fn failed(error: impl std::fmt::Display) -> QueryError {
    QueryError::Failed(error.to_string())
}

impl Tally {
    fn new(data_type: &DataType) -> Self {
        let ordered = data_type.is_numeric() || data_type.is_temporal();
        let range = ordered.then(|| {
            let min = MinAccumulator::try_new(data_type).ok()?;
            Some((min, MaxAccumulator::try_new(data_type).ok()?))
        });
        let countable = can_cast_types(data_type, &DataType::Utf8) && !data_type.is_nested();
        Tally {
            missing: 0,
            counts: countable.then(FxHashMap::default),
            bytes: 0,
            range: range.flatten(),
        }
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), QueryError> {
        let column: &ArrayRef = batch.column(0);
        self.missing += column.null_count() as u64;
        if let Some((min, max)) = &mut self.range {
            let values = std::slice::from_ref(column);
            min.update_batch(values).map_err(failed)?;
            max.update_batch(values).map_err(failed)?;
        }
        let Some(counts) = &mut self.counts else {
            return Ok(());
        };
        let texts = cast(column, &DataType::Utf8).map_err(failed)?;
        for text in texts.as_string::<i32>().iter().flatten() {
            if let Some(count) = counts.get_mut(text) {
                *count += 1;
                continue;
            }
            self.bytes += text.len() + EACH;
            counts.insert(text.to_string(), 1);
        }
        if self.bytes > MOST_BYTES {
            self.counts = None;
        }
        Ok(())
    }

    fn summary(
        self,
        table: &'static str,
        column: &str,
        data_type: &DataType,
    ) -> Result<ColumnSummary, QueryError> {
        let mut most_frequent: Vec<(String, u64)> = Vec::new();
        let distinct = self.counts.as_ref().map(|counts| counts.len() as u64);
        if let Some(counts) = self.counts {
            let mut all: Vec<(String, u64)> = counts.into_iter().collect();
            all.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
            all.truncate(SHOWN);
            // Of values that all differ, none is frequent.
            if all.first().is_some_and(|(_, count)| *count > 1) {
                most_frequent = all;
            }
        }
        let (mut min, mut max) = (None, None);
        if let Some((mut least, mut most)) = self.range {
            let text = |value: datafusion::scalar::ScalarValue| {
                (!value.is_null()).then(|| value.to_string())
            };
            min = text(least.evaluate().map_err(failed)?);
            max = text(most.evaluate().map_err(failed)?);
        }
        Ok(ColumnSummary {
            table,
            column: column.to_string(),
            data_type: data_type.to_string(),
            missing: self.missing,
            distinct,
            most_frequent,
            min,
            max,
        })
    }
}
