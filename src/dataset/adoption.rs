//! Adopts changes that other programs have made to a dataset: recorded values must be unchanged,
//! and new ones are digested.

use std::collections::BTreeSet;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use serde::{Deserialize, Serialize};

use super::changes::{AddedColumn, Known, TableChange, names_of, width};
use super::compared::differences;
use super::order::FrameOrder;
use super::tally::{Counting, value_columns};
use super::{Dataset, DatasetConfig, DatasetError};
use crate::chunk::{Digest, IdHash};
use crate::source::Part;
use crate::table::{RowReader, TableError, TableName, row_digest};

/// The state that a job continues from instead of the one that config.json describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adoption {
    /// The config, including the changes.
    pub config: DatasetConfig,
    /// Tables whose rows are not sorted by cell and gene.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unordered: BTreeSet<TableName>,
    /// Descriptions of what other programs have done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

/// Maximum number of columns that are assumed to have been added since a version that no longer
/// exists.
const MOST_ADDED: usize = 16;

/// Hashes of the identifiers of all cells and genes.
pub(super) struct Identifiers {
    cells: Vec<IdHash>,
    genes: Vec<IdHash>,
}

impl Identifiers {
    /// Reads the identifiers. `unordered` are the tables whose rows are not sorted.
    pub async fn of(
        dataset: &Dataset,
        unordered: &BTreeSet<TableName>,
    ) -> Result<Self, DatasetError> {
        let of = async |table: TableName, id: &str| {
            let columns = [table.number_columns()[0], id];
            let ascending = !unordered.contains(&table);
            let mut rows = dataset.in_order(table, &columns, ascending).await?;
            let mut hashes = Vec::new();
            while let Some(batch) = rows.next().await? {
                let ids = cast(batch.column(1), &DataType::Utf8);
                let ids = ids.map_err(|source| TableError::Arrow {
                    path: dataset.path().join(table.folder()),
                    source,
                })?;
                hashes.extend(IdHash::of_all(ids.as_string::<i32>()));
            }
            Ok::<_, DatasetError>(hashes)
        };
        Ok(Identifiers {
            cells: of(TableName::Cells, "cell_id").await?,
            genes: of(TableName::Genes, "gene_id").await?,
        })
    }

    /// Returns the hashes for the rows and for the columns of a table's matrices.
    pub fn of_table(&self, table: TableName) -> [&[IdHash]; 2] {
        match table {
            TableName::Obsp => [&self.cells, &self.cells],
            TableName::Varp => [&self.genes, &self.genes],
            _ => [&self.cells, &self.genes],
        }
    }
}

impl DatasetConfig {
    /// Returns the key of the digest of a column of a table of non-zeros.
    pub(crate) fn digest_key(&self, table: TableName, column: &str) -> String {
        let part = match table {
            TableName::Layers => Part::Layers,
            TableName::Obsp => Part::Obsp,
            TableName::Varp => Part::Varp,
            _ => return "expression".into(),
        };
        let mut notes = self.column_notes.iter();
        let note = notes.find(|note| note.part == part && note.written_as == column);
        let name = note.map_or(column, |note| &note.column);
        format!("{}/{name}", part.name())
    }
}

/// Comparison of a dataset as described by config.json with its current state.
struct Check<'a> {
    described: &'a Dataset,
    now: &'a Dataset,
    adoption: Adoption,
    /// Descriptions of recorded values that have changed.
    problems: Vec<String>,
}

impl Adoption {
    /// Compares recorded values with the current ones, and describes what is new. `now` is the
    /// dataset with these changes.
    ///
    /// # Errors
    /// [`DatasetError::Changed`] if recorded values have changed; reading errors.
    pub async fn take(
        described: &Dataset,
        now: &Dataset,
        changes: &[TableChange],
    ) -> Result<Self, DatasetError> {
        let (adoption, problems) = Self::compare(described, now, changes).await?;
        match problems.is_empty() {
            true => Ok(adoption),
            false => Err(DatasetError::Changed {
                path: now.path().to_path_buf(),
                what: problems.join("; "),
            }),
        }
    }

    /// Like [`Adoption::take`], but returns descriptions of the recorded values that have changed.
    ///
    /// # Errors
    /// Reading errors.
    pub async fn compare(
        described: &Dataset,
        now: &Dataset,
        changes: &[TableChange],
    ) -> Result<(Self, Vec<String>), DatasetError> {
        let mut check = Check {
            described,
            now,
            adoption: Adoption {
                config: now.config().clone(),
                unordered: BTreeSet::new(),
                changes: changes.iter().map(TableChange::to_string).collect(),
            },
            problems: Vec::new(),
        };
        let of_frame =
            |change: &&TableChange| matches!(change.table, TableName::Cells | TableName::Genes);
        for change in changes.iter().filter(of_frame) {
            check.frame(change).await?;
        }
        if !check.problems.is_empty() {
            return Ok((check.adoption, check.problems));
        }
        let mut identifiers = None;
        for change in changes.iter().filter(|change| !of_frame(change)) {
            let table = now.table(change.table).await?;
            let columns = check.columns_to_read(change, &Schema::from(table.schema()));
            check.removed(change);
            if columns.is_empty() && change.known == Known::Same {
                continue;
            }
            if identifiers.is_none() {
                let unordered = &check.adoption.unordered;
                identifiers = Some(Identifiers::of(now, unordered).await?);
            }
            if let Some(identifiers) = &identifiers {
                check.entries(change, columns, identifiers).await?;
            }
        }
        Ok((check.adoption, check.problems))
    }
}

impl Check<'_> {
    fn problem(&mut self, change: &TableChange, what: String) {
        let (folder, newest) = (change.table.folder(), change.newest);
        self.problems
            .push(format!("{folder}, version {newest}: {what}"));
    }

    /// Checks for known columns that no longer exist.
    fn removed(&mut self, change: &TableChange) {
        let of_others = self.described.config().columns_of_others(change.table);
        let known = change
            .removed
            .iter()
            .filter(|name| !of_others.contains(*name));
        let known: Vec<String> = known.cloned().collect();
        if !known.is_empty() {
            self.problem(change, format!("columns are gone: {}", known.join(", ")));
        }
    }

    /// Checks a cells or genes table.
    async fn frame(&mut self, change: &TableChange) -> Result<(), DatasetError> {
        let name = change.table;
        let [cells, genes] = self.described.config().array_shape;
        let expected = match name {
            TableName::Genes => genes,
            _ => cells,
        };
        let path = self.now.path().join(name.folder());
        let table = self.now.table(name).await?;
        self.removed(change);
        let mut ascending = true;
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
            ascending = order.ascending;
            if !ascending && name == TableName::Genes {
                // Genes are looked up by position.
                let what = "its rows are no longer in the order of gene_integer_id";
                self.problem(change, what.into());
            } else if !ascending {
                self.adoption.unordered.insert(name);
            }
        }
        match change.known {
            Known::Same | Known::Nothing => {}
            Known::Rewritten => self.frame_values(change, &table, ascending).await?,
            Known::Gone => self.frame_digest(change, &table).await?,
        }
        let digest = digest_of(&table, &path, None).await?;
        let digests = &mut self.adoption.config.digests;
        digests.insert(name.key().into(), digest);
        Ok(())
    }

    /// Compares the known columns of both versions.
    async fn frame_values(
        &mut self,
        change: &TableChange,
        table: &lance::Dataset,
        ascending: bool,
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
            self.described.in_order(name, &columns, true).await?,
            self.now.in_order(name, &columns, ascending).await?,
            1,
        );
        if let Some(different) = different.await? {
            self.problem(change, different);
        }
        Ok(())
    }

    /// Checks the digest if the version it was computed from no longer exists: over all columns,
    /// over all but those recorded as added by others, and without the last ones.
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

    /// Records the columns of a table that were not known before.
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

    /// Returns the value columns that are not known to be unchanged.
    fn columns_to_read(&self, change: &TableChange, schema: &Schema) -> Vec<String> {
        let mut columns = value_columns(change.table, schema);
        if change.known == Known::Same {
            let added = |name: &String| change.added.iter().any(|column| column.name == *name);
            columns.retain(|name| added(name) || change.changed.contains(name));
        }
        columns
    }

    /// Checks a table of non-zeros.
    async fn entries(
        &mut self,
        change: &TableChange,
        columns: Vec<String>,
        identifiers: &Identifiers,
    ) -> Result<(), DatasetError> {
        let name = change.table;
        let first_cells: Vec<u64> = self.sources().map(|source| source.first_cell).collect();
        let counting = Counting {
            dataset: self.now,
            table: name,
            columns: columns.clone(),
            hashes: identifiers.of_table(name),
            sources: &first_cells,
            starts: &[],
        };
        let tally = match counting.read().await {
            Err(DatasetError::CannotContinue { why, .. }) => {
                self.problem(change, why);
                return Ok(());
            }
            other => other?,
        };
        if !tally.ascending {
            self.adoption.unordered.insert(name);
        }
        let of_others = self.now.config().columns_of_others(name);
        let mut different = None;
        for (place, column) in columns.iter().enumerate() {
            let key = self.now.config().digest_key(name, column);
            let theirs = change.known == Known::Nothing || of_others.contains(column);
            let sources = &mut self.adoption.config.sources;
            for (source, found) in sources.iter_mut().zip(&tally.sources) {
                let found = found.digests[place];
                // What another program wrote was never digested.
                let unknown = source.job.is_none() && !source.digests.contains_key(&key);
                let expected = source.digests.get(&key).copied().unwrap_or_default();
                if theirs {
                    source.digests.insert(key.clone(), found);
                } else if !unknown && expected != found {
                    different.get_or_insert((column.clone(), source.source_file.clone()));
                }
            }
        }
        for removed in &change.removed {
            let key = self.now.config().digest_key(name, removed);
            for source in &mut self.adoption.config.sources {
                source.digests.remove(&key);
            }
        }
        let known_rows = self.described.config().metadata.expression_count;
        if name == TableName::Expression && tally.rows != known_rows && different.is_none() {
            different = Some(("value".into(), String::new()));
        }
        let Some((column, source)) = different else {
            return Ok(());
        };
        let columns = [name.number_columns(), &[column.as_str()]].concat();
        let mut what = None;
        if change.known == Known::Rewritten {
            let path = self.now.path().join(name.folder());
            let before = self.described.in_order(name, &columns, true).await?;
            let now = self.now.in_order(name, &columns, tally.ascending).await?;
            what = differences(&path, before, now, 2).await?;
        }
        let what = what.unwrap_or_else(|| {
            format!("{column} of {source} is not what was written ({known_rows} rows are known, {} are there)", tally.rows)
        });
        self.problem(change, what);
        Ok(())
    }

    fn sources(&self) -> impl Iterator<Item = &super::SourceNote> {
        self.now.config().sources.iter()
    }
}

/// Returns the digest of the rows of a cells or genes table, or of some of its columns.
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
