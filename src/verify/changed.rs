//! Detects what other programs have done to the tables since config.json described them.

use crate::dataset::{Adoption, Changes, Dataset, DatasetError, Known};
use crate::table::TableName;

use super::{Problem, Problems};

/// Differences between the tables and their description.
pub(super) struct Changed {
    /// The dataset as described, as far as it can still be read.
    pub described: Dataset,
    /// Descriptions of what is not described by config.json.
    pub undescribed: Vec<String>,
    /// Tables created by other programs.
    pub made: Vec<TableName>,
}

impl Changed {
    /// Returns a dataset without known differences.
    pub fn nothing(described: Dataset) -> Self {
        Changed {
            described,
            undescribed: Vec::new(),
            made: Vec::new(),
        }
    }
}

/// Compares recorded values with those of the newest versions.
pub(super) async fn check(
    dataset: &Dataset,
    problems: &mut Problems,
) -> Result<Changed, DatasetError> {
    let changes = Changes {
        // That is looked at with the other files.
        uns: None,
        ..dataset.changes().await?
    };
    let mut config = dataset.config().clone();
    let mut versions = dataset.versions().clone();
    let mut made = Vec::new();
    for change in &changes.tables {
        if change.described > Some(change.newest) {
            let what = "the version that config.json describes is newer than the newest";
            let described = change.described.unwrap_or_default();
            let problem = Problem::new(change.table.key(), what);
            problems.add(problem.differing(described, change.newest));
        }
        match change.known {
            Known::Same | Known::Rewritten => {}
            Known::Gone => {
                // Only the newest version can still be read; it is compared below.
                config.digests.remove(change.table.key());
                versions.insert(change.table.key().into(), change.newest);
            }
            Known::Nothing => {
                config.tables.remove(change.table.key());
                made.push(change.table);
            }
        }
    }
    if !changes.is_empty() && config.is_described() {
        let now = dataset.with_changes(&changes).await?;
        let (_, different) = Adoption::compare(dataset, &now, &changes).await?;
        for what in different {
            let (place, what) = what.split_once(", ").unwrap_or(("tables", &what));
            let what = format!("another program has changed known values: {what}");
            problems.add(Problem::new(place, what));
        }
    }
    Ok(Changed {
        described: Dataset::at(dataset.path(), config, versions),
        undescribed: changes.texts().collect(),
        made,
    })
}
