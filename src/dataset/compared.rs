//! Compares two versions of a table, row by row.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::DatasetError;
use crate::table::{RowReader, TableError};

/// Maximum number of differences that are reported.
const EXAMPLES: usize = 5;

/// Describes the differences; `None` if there are none. Both versions are sorted by their first
/// `keys` columns.
pub(super) async fn differences(
    path: &Path,
    before: RowReader,
    now: RowReader,
    keys: usize,
) -> Result<Option<String>, DatasetError> {
    let mut before = Side::new(path, before, keys);
    let mut now = Side::new(path, now, keys);
    let (mut gone, mut new, mut changed) = (Found::default(), Found::default(), Found::default());
    let mut columns = BTreeSet::new();
    before.fill(None).await?;
    let types = before.batch.as_ref().map(RecordBatch::schema);
    now.fill(types.as_deref()).await?;
    loop {
        let order = match (before.key(), now.key()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(a), Some(b)) => a.cmp(&b),
        };
        match order {
            std::cmp::Ordering::Less => gone.add(|| before.name()),
            std::cmp::Ordering::Greater => new.add(|| now.name()),
            std::cmp::Ordering::Equal if before.value() != now.value() => {
                let (was, is) = (before.texts(), now.texts());
                changed.add(|| before.name());
                for (name, was) in &was {
                    if is.iter().any(|(other, is)| other == name && is != was) {
                        columns.insert(name.clone());
                    }
                }
            }
            std::cmp::Ordering::Equal => {}
        }
        if order.is_le() {
            before.at += 1;
            before.fill(None).await?;
        }
        if order.is_ge() {
            now.at += 1;
            now.fill(types.as_deref()).await?;
        }
    }
    let columns: Vec<String> = columns.into_iter().collect();
    let other = format!("have other values in {}", columns.join(", "));
    let what = [(gone, "are gone"), (new, "are new"), (changed, &other)];
    let what = what.into_iter().filter(|(found, _)| found.count > 0);
    let what = what.map(|(found, verb)| {
        let more = if found.count > EXAMPLES as u64 {
            " …"
        } else {
            ""
        };
        let examples = found.examples.join("; ");
        format!("{} rows {verb} ({examples}{more})", found.count)
    });
    let what: Vec<String> = what.collect();
    Ok(Some(what.join(", ")).filter(|what| !what.is_empty()))
}

#[derive(Default)]
struct Found {
    count: u64,
    examples: Vec<String>,
}

impl Found {
    fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(name());
        }
    }
}

/// One of the two versions, and the reading position.
struct Side {
    path: PathBuf,
    reader: RowReader,
    keys: usize,
    batch: Option<RecordBatch>,
    rows: Option<[Rows; 2]>,
    at: usize,
}

impl Side {
    fn new(path: &Path, reader: RowReader, keys: usize) -> Self {
        Side {
            path: path.to_path_buf(),
            reader,
            keys,
            batch: None,
            rows: None,
            at: 0,
        }
    }

    /// Reads on once all rows of a batch are processed, converting to the types of the other
    /// version.
    async fn fill(&mut self, types: Option<&arrow::datatypes::Schema>) -> Result<(), DatasetError> {
        while self
            .batch
            .as_ref()
            .is_none_or(|batch| self.at == batch.num_rows())
        {
            let Some(batch) = self.reader.next().await? else {
                (self.batch, self.rows) = (None, None);
                return Ok(());
            };
            let converted = self.converted(batch, types);
            let (batch, rows) = converted.map_err(|source| TableError::Arrow {
                path: self.path.clone(),
                source,
            })?;
            (self.batch, self.rows, self.at) = (Some(batch), Some(rows), 0);
        }
        Ok(())
    }

    fn converted(
        &self,
        batch: RecordBatch,
        types: Option<&arrow::datatypes::Schema>,
    ) -> Result<(RecordBatch, [Rows; 2]), ArrowError> {
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        if let Some(types) = types {
            for (column, field) in columns.iter_mut().zip(types.fields()) {
                if column.data_type() != field.data_type() {
                    *column = cast(column, field.data_type())?;
                }
            }
        }
        let rows = |columns: &[ArrayRef]| {
            let fields = columns
                .iter()
                .map(|column| SortField::new(column.data_type().clone()));
            RowConverter::new(fields.collect())?.convert_columns(columns)
        };
        let (keys, values) = columns.split_at(self.keys);
        let rows = [rows(keys)?, rows(values)?];
        Ok((batch, rows))
    }

    fn key(&self) -> Option<arrow::row::Row<'_>> {
        self.rows.as_ref().map(|[keys, _]| keys.row(self.at))
    }

    fn value(&self) -> Option<arrow::row::Row<'_>> {
        self.rows.as_ref().map(|[_, values]| values.row(self.at))
    }

    /// Returns the columns of a row as strings.
    fn texts(&self) -> Vec<(String, String)> {
        let Some(batch) = &self.batch else {
            return Vec::new();
        };
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let text = |column: &ArrayRef| {
            let formatter = ArrayFormatter::try_new(column, &FormatOptions::new()).ok()?;
            formatter.value(self.at).try_to_string().ok()
        };
        columns
            .map(|(field, column)| (field.name().clone(), text(column).unwrap_or_default()))
            .collect()
    }

    /// Returns the name of a row, made from its keys.
    fn name(&self) -> String {
        let texts = self.texts().into_iter().take(self.keys);
        let named = texts.map(|(name, text)| format!("{name} {text}"));
        named.collect::<Vec<_>>().join(", ")
    }
}
