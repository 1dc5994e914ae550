//! Adopts changes that other programs have made to a dataset: recorded values must be unchanged,
//! and new ones are digested.

use std::collections::BTreeSet;

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};

use super::changes::{Changes, Known, TableChange};
use super::identifiers::Identifiers;
use super::{Dataset, DatasetConfig, DatasetError, RowOrder, UnsChange};
use crate::source::Part;
use crate::table::TableName;

/// The state that a job continues from instead of the one that config.json describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
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

/// A dataset as config.json describes it, and as it is now.
pub(super) struct Check<'a> {
    pub described: &'a Dataset,
    pub now: &'a Dataset,
    pub adoption: Adoption,
    /// Known values that are not what they were.
    pub problems: Vec<String>,
}

impl Adoption {
    /// How the rows of a table lie, by what is known of other programs' changes.
    pub(crate) fn order_of(adoption: Option<&Adoption>, table: TableName) -> RowOrder {
        if adoption.is_some_and(|adoption| adoption.unordered.contains(&table)) {
            RowOrder::Unsorted
        } else {
            RowOrder::Sorted
        }
    }

    /// Compares what is known with what is there, and describes what is new. `now` is the dataset
    /// with these changes.
    ///
    /// # Errors
    /// [`DatasetError::Changed`] if recorded values have changed; reading errors.
    pub async fn take(
        described: &Dataset,
        now: &Dataset,
        changes: &Changes,
    ) -> Result<Self, DatasetError> {
        let (adoption, problems) = Self::compare(described, now, changes).await?;
        if problems.is_empty() {
            Ok(adoption)
        } else {
            Err(DatasetError::Changed {
                path: now.path().to_path_buf(),
                what: problems.join("; "),
            })
        }
    }

    /// Like [`Adoption::take`], but returns descriptions of the recorded values that have changed.
    ///
    /// # Errors
    /// Reading errors.
    pub async fn compare(
        described: &Dataset,
        now: &Dataset,
        changes: &Changes,
    ) -> Result<(Self, Vec<String>), DatasetError> {
        let mut check = Check {
            described,
            now,
            adoption: Adoption {
                config: now.config().clone(),
                unordered: BTreeSet::new(),
                changes: changes.texts().collect(),
            },
            problems: Vec::new(),
        };
        let of_frame =
            |change: &&TableChange| matches!(change.table, TableName::Cells | TableName::Genes);
        let problem = changes.uns.as_ref().filter(|uns| uns.problem.is_some());
        check.problems.extend(problem.map(UnsChange::to_string));
        for change in changes.tables.iter().filter(of_frame) {
            check.frame(change).await?;
        }
        if !check.problems.is_empty() {
            return Ok((check.adoption, check.problems));
        }
        let mut identifiers = None;
        for change in changes.tables.iter().filter(|change| !of_frame(change)) {
            let table = now.table(change.table).await?;
            let columns = check.columns_to_read(change, &Schema::from(table.schema()));
            check.removed(change);
            if columns.is_empty() && change.known == Known::Same {
                continue;
            }
            if identifiers.is_none() {
                let order = Adoption::order_of(Some(&check.adoption), TableName::Cells);
                identifiers = Some(Identifiers::of(now, order).await?);
            }
            if let Some(identifiers) = &identifiers {
                check.entries(change, columns, identifiers).await?;
            }
        }
        Ok((check.adoption, check.problems))
    }
}

impl Check<'_> {
    pub fn problem(&mut self, change: &TableChange, what: String) {
        let (folder, newest) = (change.table.folder(), change.newest);
        self.problems
            .push(format!("{folder}, version {newest}: {what}"));
    }

    /// Known columns that are gone.
    pub fn removed(&mut self, change: &TableChange) {
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
}
