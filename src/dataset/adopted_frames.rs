//! Taking over what other programs have done to the tables that describe cells and genes.

use std::collections::BTreeSet;

use arrow::datatypes::Schema;

use super::adoption::Check;
use super::changes::{AddedColumn, Known, TableChange, names_of, width};
use super::compared::differences;
use super::order::FrameOrder;
use super::{DatasetError, RowOrder};
use crate::chunk::Digest;
use crate::table::{RowReader, TableError, TableName, row_digest};

/// Columns that may have been added since a version that is gone, at most.
const MOST_ADDED: usize = 16;

impl Check<'_> {
    /// A table that describes cells or genes.
    pub async fn frame(&mut self, change: &TableChange) -> Result<(), DatasetError> {
        let name = change.table;
        let [cells, genes] = self.described.config().array_shape;
        let expected = match name {
            TableName::Genes => genes,
            _ => cells,
        };
        let path = self.now.path().join(name.folder());
        let table = self.now.table(name).await?;
        self.removed(change);
        let mut row_order = RowOrder::Sorted;
        if change.known != Known::Same {
            let own = name.own_columns().iter();
            let missing = own.filter(|own| table.schema().field(own).is_none());
            let missing: Vec<&str> = missing.copied().collect();
            if !missing.is_empty() {
                self.problem(change, format!("columns are gone: {}", missing.join(", ")));
                return Ok(());
            }
            let order = FrameOrder::of(&table, &path, name, expected).await?;
            if let Some(problem) = order.problem {
                self.problem(change, problem);
                return Ok(());
            }
            row_order = order.order;
            match (row_order, name) {
                (RowOrder::Sorted, _) => {}
                // Genes are looked up by their places.
                (RowOrder::Unsorted, TableName::Genes) => {
                    let what = "its rows are no longer in the order of gene_integer_id";
                    self.problem(change, what.into());
                }
                (RowOrder::Unsorted, _) => {
                    self.adoption.unordered.insert(name);
                }
            }
        }
        match change.known {
            Known::Same | Known::Nothing => {}
            Known::Rewritten => self.frame_values(change, &table, row_order).await?,
            Known::Gone => self.frame_digest(change, &table).await?,
        }
        let digest = digest_of(&table, &path, None).await?;
        let digests = &mut self.adoption.config.digests;
        digests.insert(name.key().into(), digest);
        Ok(())
    }

    /// The known columns of both versions.
    async fn frame_values(
        &mut self,
        change: &TableChange,
        table: &lance::Dataset,
        order: RowOrder,
    ) -> Result<(), DatasetError> {
        let name = change.table;
        let of_others = self.described.config().columns_of_others(name);
        let before = self.described.table(name).await?;
        let (had, has) = (names_of(&before), names_of(table));
        let number = name.number_columns()[0];
        let known = had
            .intersection(&has)
            .filter(|name| !of_others.contains(*name));
        let known = known.map(String::as_str).filter(|name| *name != number);
        let columns: Vec<&str> = std::iter::once(number).chain(known).collect();
        let path = self.now.path().join(name.folder());
        let different = differences(
            &path,
            self.described
                .sorted_rows(name, &columns, RowOrder::Sorted)
                .await?,
            self.now.sorted_rows(name, &columns, order).await?,
            1,
        );
        if let Some(different) = different.await? {
            self.problem(change, different);
        }
        Ok(())
    }

    /// The digest, where the version that it was taken of is gone: of all columns, of all but those
    /// that are said to be others', or without the last ones.
    async fn frame_digest(
        &mut self,
        change: &TableChange,
        table: &lance::Dataset,
    ) -> Result<(), DatasetError> {
        let name = change.table;
        let Some(expected) = self.described.config().digests.get(name.key()).copied() else {
            return Ok(());
        };
        let path = self.now.path().join(name.folder());
        let of_others = self.described.config().columns_of_others(name);
        let all: Vec<&str> = table.schema().fields.iter().map(|f| &f.name[..]).collect();
        let mut newest: Vec<(i32, &str)> = Vec::new();
        for field in &table.schema().fields {
            if !name.own_columns().contains(&field.name.as_str()) {
                newest.push((field.id, &field.name));
            }
        }
        newest.sort_unstable();
        for theirs in [BTreeSet::new(), of_others] {
            for added in 0..=newest.len().min(MOST_ADDED) {
                let added = newest.iter().rev().take(added);
                let added: BTreeSet<&str> = added.map(|(_, name)| *name).collect();
                let kept = all.iter().copied();
                let kept = kept.filter(|name| !added.contains(name) && !theirs.contains(*name));
                let kept: Vec<&str> = kept.collect();
                if digest_of(table, &path, Some(&kept)).await? == expected {
                    self.enter(name, table, &kept);
                    return Ok(());
                }
            }
        }
        let described = change.described.unwrap_or_default();
        let what = format!(
            "its version {described}, which config.json describes, was removed, and its values are not those that were digested"
        );
        self.problem(change, what);
        Ok(())
    }

    /// Enters the columns of a table that are not among those which were known.
    fn enter(&mut self, name: TableName, table: &lance::Dataset, known: &[&str]) {
        let schema = Schema::from(table.schema());
        let fields = schema.fields().iter();
        let added = fields.filter(|field| !known.contains(&field.name().as_str()));
        let added: Vec<AddedColumn> = added
            .map(|field| AddedColumn {
                name: field.name().clone(),
                width: width(field.data_type()),
            })
            .collect();
        if !added.is_empty() {
            let config = &mut self.adoption.config;
            config.enter_columns(name, &added);
            let names = config.added_columns.entry(name.key().into()).or_default();
            for column in added {
                if !names.contains(&column.name) {
                    names.push(column.name);
                }
            }
            names.sort();
        }
    }
}

/// The digest of the rows of a table that describes cells or genes, or of some of its columns.
async fn digest_of(
    table: &lance::Dataset,
    path: &std::path::Path,
    columns: Option<&[&str]>,
) -> Result<Digest, DatasetError> {
    let mut rows = match columns {
        Some(columns) => RowReader::of_columns(table, path, columns).await?,
        None => RowReader::over(table, path, None).await?,
    };
    let mut digest = Digest::default();
    while let Some(batch) = rows.next().await? {
        digest.add(row_digest(&batch).map_err(|source| TableError::Arrow {
            path: path.to_path_buf(),
            source,
        })?);
    }
    Ok(digest)
}
