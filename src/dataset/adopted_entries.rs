//! Taking over what other programs have done to the tables of non-zeros.

use arrow::datatypes::Schema;

use super::adoption::Check;
use super::changes::{Known, TableChange};
use super::column_tally::Scales;
use super::compared::differences;
use super::identifiers::Identifiers;
use super::tally::{Counting, Tally, typed_columns};
use super::{DatasetError, RowOrder};
use crate::survey::ValueType;
use crate::table::TableName;

/// A column that is not what was written, and the source of whose values that is known.
struct Different {
    column: String,
    source: String,
}

impl Check<'_> {
    /// The columns of values that are not known to be what they were.
    pub fn columns_to_read(
        &self,
        change: &TableChange,
        schema: &Schema,
    ) -> Vec<(String, ValueType)> {
        let mut columns = typed_columns(change.table, schema);
        if change.known == Known::Same {
            let added = |name: &String| change.added.iter().any(|column| column.name == *name);
            columns.retain(|(name, _)| added(name) || change.changed.contains(name));
        }
        columns
    }

    /// A table of non-zeros.
    pub async fn entries(
        &mut self,
        change: &TableChange,
        columns: Vec<(String, ValueType)>,
        identifiers: &Identifiers,
    ) -> Result<(), DatasetError> {
        let name = change.table;
        let sources = self.now.config().sources.iter();
        let first_cells: Vec<u64> = sources.map(|source| source.first_cell).collect();
        let counting = Counting {
            dataset: self.now,
            table: name,
            columns: &columns,
            hashes: identifiers.of_table(name),
            sources: &first_cells,
            starts: &[],
            scales: Scales::Leave,
        };
        let tally = match counting.read().await {
            Err(DatasetError::CannotContinue { why, .. }) => {
                self.problem(change, why);
                return Ok(());
            }
            other => other?,
        };
        if tally.order == RowOrder::Unsorted {
            self.adoption.unordered.insert(name);
        }
        let different = self.take_digests(change, &columns, &tally);
        for removed in &change.removed {
            let key = self.now.config().digest_key(name, removed);
            for source in &mut self.adoption.config.sources {
                source.digests.remove(&key);
            }
        }
        match different {
            Some(different) => self.tell(change, &different, &tally).await,
            None => Ok(()),
        }
    }

    /// Takes over the digests of columns that are others', and compares those of the rest. Returns the
    /// first that differs.
    fn take_digests(
        &mut self,
        change: &TableChange,
        columns: &[(String, ValueType)],
        tally: &Tally,
    ) -> Option<Different> {
        let name = change.table;
        let of_others = self.now.config().columns_of_others(name);
        let mut different = None;
        for (place, (column, _)) in columns.iter().enumerate() {
            let key = self.now.config().digest_key(name, column);
            let theirs = change.known == Known::Nothing || of_others.contains(column);
            let sources = &mut self.adoption.config.sources;
            for (source, found) in sources.iter_mut().zip(&tally.columns_of) {
                let found = found[place].digest;
                // What another program wrote was never digested.
                let unknown = source.job.is_none() && !source.digests.contains_key(&key);
                let expected = source.digests.get(&key).copied().unwrap_or_default();
                if theirs {
                    source.digests.insert(key.clone(), found);
                } else if !unknown && expected != found {
                    different.get_or_insert(Different {
                        column: column.clone(),
                        source: source.source_file.clone(),
                    });
                }
            }
        }
        let known_rows = self.described.config().metadata.expression_count;
        if name == TableName::Expression && tally.rows != known_rows {
            different.get_or_insert(Different {
                column: "value".into(),
                source: String::new(),
            });
        }
        different
    }

    /// Tells which rows differ, where both versions are there; else which source's.
    async fn tell(
        &mut self,
        change: &TableChange,
        different: &Different,
        tally: &Tally,
    ) -> Result<(), DatasetError> {
        let (name, Different { column, source }) = (change.table, different);
        let columns = [name.number_columns(), &[column.as_str()]].concat();
        let mut what = None;
        if change.known == Known::Rewritten {
            let path = self.now.path().join(name.folder());
            let sorted = RowOrder::Sorted;
            let before = self.described.sorted_rows(name, &columns, sorted).await?;
            let now = self.now.sorted_rows(name, &columns, tally.order).await?;
            what = differences(&path, before, now, 2).await?;
        }
        let what = what.unwrap_or_else(|| {
            let known_rows = self.described.config().metadata.expression_count;
            let rows = tally.rows;
            format!("{column} of {source} is not what was written ({known_rows} rows are known, {rows} are there)")
        });
        self.problem(change, what);
        Ok(())
    }
}
