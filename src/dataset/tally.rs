//! Counts and digests the rows of a table of non-zeros.

use std::path::PathBuf;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema, UInt32Type};

use super::base_columns::value_type;
use super::{Dataset, DatasetError};
use crate::chunk::{Digest, IdHash, ValueStats};
use crate::table::{TableError, TableName};

/// Parameters of counting a table.
pub(super) struct Counting<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// The table.
    pub table: TableName,
    /// Names of the value columns.
    pub columns: Vec<String>,
    /// Identifier hashes of the rows and of the columns of the matrices.
    pub hashes: [&'a [IdHash]; 2],
    /// First row of the matrix that belongs to each source.
    pub sources: &'a [u64],
    /// Table row at which each row of the matrix should begin; empty if unknown.
    pub starts: &'a [i64],
}

/// Result of counting a table.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Number of rows.
    pub rows: u64,
    /// Whether the rows are sorted.
    pub ascending: bool,
    /// Statistics of the values.
    pub stats: ValueStats,
    /// Result for each source.
    pub sources: Vec<SourceTally>,
    /// Number of rows of the matrix that begin elsewhere.
    pub wrong_starts: u64,
    last: Option<(u32, u32)>,
    next_row: usize,
}

/// Result for one source.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceTally {
    /// Number of rows.
    pub rows: u64,
    /// Digest of each value column.
    pub digests: Vec<Digest>,
}

/// Returns the columns of a table that contain values of matrices.
pub(crate) fn value_columns(table: TableName, schema: &Schema) -> Vec<String> {
    if table == TableName::Expression {
        return vec!["value".into()];
    }
    let fields = schema.fields().iter();
    let fields = fields.filter(|field| value_type(field.data_type()).is_some());
    let names = fields.map(|field| field.name().clone());
    let numbers = table.number_columns();
    names
        .filter(|name| !numbers.contains(&name.as_str()))
        .collect()
}

impl Counting<'_> {
    /// Counts the rows of a table, sorting them if they are not sorted.
    ///
    /// # Errors
    /// [`DatasetError::CannotContinue`] if a row refers to a cell or gene that does not exist, or
    /// two rows have the same coordinates; reading errors.
    pub async fn read(&self) -> Result<Tally, DatasetError> {
        match self.read_in(true).await? {
            tally if tally.ascending => Ok(tally),
            _ => Ok(Tally {
                ascending: false,
                ..self.read_in(false).await?
            }),
        }
    }

    async fn read_in(&self, as_it_lies: bool) -> Result<Tally, DatasetError> {
        let source = SourceTally {
            rows: 0,
            digests: vec![Digest::default(); self.columns.len()],
        };
        let mut tally = Tally {
            ascending: true,
            sources: vec![source; self.sources.len().max(1)],
            ..Tally::default()
        };
        let numbers = self.table.number_columns().iter().copied();
        let values = self.columns.iter().map(String::as_str);
        let columns: Vec<&str> = numbers.chain(values).collect();
        let mut rows = self
            .dataset
            .in_order(self.table, &columns, as_it_lies)
            .await?;
        while let Some(batch) = rows.next().await? {
            self.add(&batch, &mut tally)?;
            if !tally.ascending && as_it_lies {
                return Ok(tally);
            }
        }
        if !tally.ascending {
            return Err(self.refused("two rows are of the same place"));
        }
        self.starts_until(self.starts.len(), &mut tally);
        Ok(tally)
    }

    fn path(&self) -> PathBuf {
        self.dataset.path().join(self.table.folder())
    }

    fn refused(&self, why: &str) -> DatasetError {
        DatasetError::CannotContinue {
            path: self.path(),
            why: why.into(),
        }
    }

    fn in_type(&self, column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, DatasetError> {
        let converted = cast(column, wanted);
        Ok(converted.map_err(|source| TableError::Arrow {
            path: self.path(),
            source,
        })?)
    }

    fn add(&self, batch: &RecordBatch, tally: &mut Tally) -> Result<(), DatasetError> {
        let mut ids = Vec::new();
        for column in &batch.columns()[..2] {
            let numbers = self.in_type(column, &DataType::UInt32)?;
            if numbers.null_count() > 0 {
                return Err(self.refused("an identifier is negative or missing"));
            }
            ids.push(numbers);
        }
        let rows = ids[0].as_primitive::<UInt32Type>().values();
        let columns = ids[1].as_primitive::<UInt32Type>().values();
        let mut values = Vec::new();
        for column in &batch.columns()[2..] {
            let numbers = self.in_type(column, &DataType::Float64)?;
            let numbers = numbers.as_primitive::<Float64Type>();
            // A null is a zero.
            let numbers: Vec<f64> = numbers.iter().map(Option::unwrap_or_default).collect();
            values.push(numbers);
        }
        let mut begin = 0;
        for run in rows.chunk_by(|a, b| a == b) {
            let range = begin..begin + run.len();
            begin = range.end;
            let Some(&row) = self.hashes[0].get(run[0] as usize) else {
                return Err(self.refused("a row names a cell that does not exist"));
            };
            for &column in &columns[range.clone()] {
                let here = (run[0], column);
                tally.ascending &= tally.last.is_none_or(|last| last < here);
                tally.last = Some(here);
            }
            self.starts_until(run[0] as usize + 1, tally);
            if let Some(values) = values.first() {
                tally
                    .stats
                    .add(&ValueStats::of_values(&values[range.clone()]));
            }
            let source = match self.table {
                TableName::Varp => 0,
                _ => {
                    let cell = u64::from(run[0]);
                    let after = self.sources.partition_point(|&first| first <= cell);
                    after.saturating_sub(1)
                }
            };
            let source = &mut tally.sources[source];
            source.rows += run.len() as u64;
            for (place, &column) in range.clone().zip(&columns[range.clone()]) {
                let Some(&column) = self.hashes[1].get(column as usize) else {
                    return Err(self.refused("a row names a gene that does not exist"));
                };
                for (digest, values) in source.digests.iter_mut().zip(&values) {
                    if values[place] != 0.0 {
                        digest.add_entry(row, column, values[place]);
                    }
                }
            }
            tally.rows += run.len() as u64;
        }
        Ok(())
    }

    /// Processes the rows of the matrix before `end` that were not seen yet: they begin at the next
    /// table row.
    fn starts_until(&self, end: usize, tally: &mut Tally) {
        while tally.next_row < end.min(self.starts.len()) {
            if u64::try_from(self.starts[tally.next_row]) != Ok(tally.rows) {
                tally.wrong_starts += 1;
            }
            tally.next_row += 1;
        }
    }
}
