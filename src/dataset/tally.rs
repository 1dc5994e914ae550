//! Counts and digests the rows of a table of non-zeros.

use std::path::PathBuf;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema, UInt32Type};

use super::column_tally::{ColumnTally, Sampled, Scales};
use super::{Dataset, DatasetError, RowOrder};
use crate::chunk::{IdHash, ValueStats};
use crate::survey::ValueType;
use crate::table::{TableError, TableName};

/// Parameters of counting a table.
pub(super) struct Counting<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// The table.
    pub table: TableName,
    /// Columns of values, and their types.
    pub columns: &'a [(String, ValueType)],
    /// The identifiers of the rows and of the columns of the matrices.
    pub hashes: [&'a [IdHash]; 2],
    /// First row of the matrix that belongs to each source.
    pub sources: &'a [u64],
    /// Table row at which each row of the matrix should begin; empty if unknown.
    pub starts: &'a [i64],
    pub scales: Scales,
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Number of rows.
    pub rows: u64,
    pub order: RowOrder,
    pub stats: ValueStats,
    /// Rows of the table of each source.
    pub rows_of: Vec<u64>,
    /// For each source, what was counted of each column.
    pub columns_of: Vec<Vec<ColumnTally>>,
    /// Rows of the matrix that begin somewhere else.
    pub wrong_starts: u64,
    last: Option<(u32, u32)>,
    next_row: usize,
    sampled: Sampled,
}

/// Returns the columns of a table that contain values of matrices.
pub(crate) fn value_columns(table: TableName, schema: &Schema) -> Vec<String> {
    let typed = typed_columns(table, schema).into_iter();
    typed.map(|(name, _)| name).collect()
}

/// Likewise, with their types.
pub(super) fn typed_columns(table: TableName, schema: &Schema) -> Vec<(String, ValueType)> {
    let numbers = table.number_columns();
    let is_value = |name: &str| match table {
        TableName::Expression => name == "value",
        _ => !numbers.contains(&name),
    };
    let fields = schema.fields().iter();
    let fields = fields.filter(|field| is_value(field.name()));
    let value_type = |of: &DataType| match table {
        // It is there, whatever it is.
        TableName::Expression => Some(ValueType::of_arrow(of).unwrap_or(ValueType::Float64)),
        _ => ValueType::of_arrow(of),
    };
    fields
        .filter_map(|field| Some((field.name().clone(), value_type(field.data_type())?)))
        .collect()
}

impl Counting<'_> {
    /// Counts the rows of a table, sorting them if they are not sorted.
    ///
    /// # Errors
    /// [`DatasetError::CannotContinue`] if a row refers to a cell or gene that does not exist, or
    /// two rows have the same coordinates; reading errors.
    pub async fn read(&self) -> Result<Tally, DatasetError> {
        match self.read_as(RowOrder::Sorted).await? {
            tally if tally.order == RowOrder::Sorted => Ok(tally),
            _ => self.read_as(RowOrder::Unsorted).await,
        }
    }

    /// Reads rows that lie like this; those that were thought to be in order are not read to their end
    /// where they are not.
    async fn read_as(&self, order: RowOrder) -> Result<Tally, DatasetError> {
        let sources = self.sources.len().max(1);
        let mut tally = Tally {
            order,
            rows_of: vec![0; sources],
            columns_of: vec![vec![ColumnTally::default(); self.columns.len()]; sources],
            ..Tally::default()
        };
        let numbers = self.table.number_columns().iter().copied();
        let values = self.columns.iter().map(|(name, _)| name.as_str());
        let columns: Vec<&str> = numbers.chain(values).collect();
        let mut rows = self
            .dataset
            .sorted_rows(self.table, &columns, order)
            .await?;
        let mut ascending = true;
        while let Some(batch) = rows.next().await? {
            ascending &= self.add(&batch, &mut tally)?;
            if !ascending && order == RowOrder::Sorted {
                tally.order = RowOrder::Unsorted;
                return Ok(tally);
            }
        }
        if !ascending {
            return Err(self.refused("two rows are of the same place"));
        }
        self.starts_until(self.starts.len(), &mut tally);
        let Tally {
            sampled,
            columns_of,
            ..
        } = &mut tally;
        sampled.finish(self.columns, columns_of);
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

    /// Adds rows. Returns whether they, and those before, are in the order of their numbers.
    fn add(&self, batch: &RecordBatch, tally: &mut Tally) -> Result<bool, DatasetError> {
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
        let (mut ascending, mut begin) = (true, 0);
        for run in rows.chunk_by(|a, b| a == b) {
            let range = begin..begin + run.len();
            begin = range.end;
            for &column in &columns[range.clone()] {
                let here = (run[0], column);
                ascending &= tally.last.is_none_or(|last| last < here);
                tally.last = Some(here);
            }
            self.starts_until(run[0] as usize + 1, tally);
            let values: Vec<&[f64]> = values.iter().map(|all| &all[range.clone()]).collect();
            self.add_row(run[0], &columns[range], &values, tally)?;
        }
        Ok(ascending)
    }

    /// Adds a row of the matrices, or a part of it.
    fn add_row(
        &self,
        row: u32,
        columns: &[u32],
        values: &[&[f64]],
        tally: &mut Tally,
    ) -> Result<(), DatasetError> {
        let Some(&row_hash) = self.hashes[0].get(row as usize) else {
            return Err(self.refused("a row names a cell that does not exist"));
        };
        let hashes = columns
            .iter()
            .map(|&column| self.hashes[1].get(column as usize).copied());
        let Some(hashes) = hashes.collect::<Option<Vec<IdHash>>>() else {
            return Err(self.refused("a row names a gene that does not exist"));
        };
        if let Some(values) = values.first() {
            tally.stats.add(&ValueStats::of_values(values));
        }
        let source = match self.table {
            TableName::Varp => 0,
            _ => {
                let after = self
                    .sources
                    .partition_point(|&first| first <= u64::from(row));
                after.saturating_sub(1)
            }
        };
        let rows = columns.len() as u64;
        tally.rows += rows;
        tally.rows_of[source] += rows;
        let mut takes = false;
        if self.scales == Scales::Judge {
            let Tally {
                sampled,
                columns_of,
                ..
            } = &mut *tally;
            sampled.begin(source, self.columns, columns_of);
            let first = self.sources.get(source).copied().unwrap_or(0);
            let end = self.sources.get(source + 1).copied();
            let end = end.unwrap_or(self.hashes[0].len() as u64);
            takes = sampled.takes(end.saturating_sub(first));
        }
        for (place, values) in values.iter().enumerate() {
            let column = &mut tally.columns_of[source][place];
            for (&hash, &value) in hashes.iter().zip(*values) {
                if value != 0.0 {
                    column.digest.add_entry(row_hash, hash, value);
                }
            }
            if self.scales == Scales::Judge {
                column.add(values);
                if takes {
                    tally.sampled.add(place, columns, values);
                }
            }
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
