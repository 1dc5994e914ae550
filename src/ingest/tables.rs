//! The tables that a job writes: what they are now, and what becomes of them.

use std::collections::BTreeMap;

use lance_table::format::Fragment;

use super::IngestError;
use super::target::Target;
use crate::dataset::Census;
use crate::plan::Plan;
use crate::table::{Change, Fit, Layout, TableFolder, TableName, schema};

/// A table, from before the job to after it.
#[derive(Debug, Clone)]
pub(super) struct TargetTable {
    pub folder: TableFolder,
    /// The columns after the job.
    pub layout: Layout,
    /// The version before the job, of a table that is there.
    pub before: Option<u64>,
    /// Whether that version can be appended to.
    pub fit: Fit,
}

/// All tables of a job.
pub(super) type Tables = BTreeMap<TableName, TargetTable>;

impl TargetTable {
    /// The tables that a plan writes into.
    pub async fn of_all(
        target: &Target,
        plan: &Plan,
        census: Option<&Census>,
    ) -> Result<Tables, IngestError> {
        let mut tables = Tables::new();
        for name in TableName::of(plan) {
            tables.insert(name, Self::of(target, plan, census, name).await?);
        }
        Ok(tables)
    }

    async fn of(
        target: &Target,
        plan: &Plan,
        census: Option<&Census>,
        name: TableName,
    ) -> Result<Self, IngestError> {
        let folder = target.table(name);
        let wanted = schema(name, plan);
        let versions = plan.base.as_ref().map(|base| &base.versions);
        let before = versions.and_then(|versions| versions.get(name.key()).copied());
        let Some(version) = before else {
            return Ok(TargetTable {
                layout: Layout::new(folder.path(), wanted)?,
                folder,
                before,
                fit: Fit::AsItIs,
            });
        };
        let table = folder.at(version).await?;
        let (layout, mut fit) = Layout::extended(folder.path(), &table, &wanted)?;
        if name == TableName::Cells && census.is_some_and(|census| census.wrong_starts > 0) {
            fit = Fit::Anew;
        }
        Ok(TargetTable {
            folder,
            layout,
            before,
            fit,
        })
    }

    /// How these fragments come into the table; `None` where it stays as it is.
    pub fn change(&self, fragments: &[Fragment]) -> Option<Change<'_>> {
        match (self.before, self.fit) {
            (None, _) => Some(Change::Create(&self.layout)),
            (Some(before), Fit::Anew) => Some(Change::Replace(before, &self.layout)),
            (Some(_), Fit::AsItIs) if fragments.is_empty() => None,
            (Some(before), Fit::AsItIs) => Some(Change::Append(before)),
        }
    }

    /// The version that the table has to be written anew from.
    pub fn replaced(&self) -> Option<u64> {
        self.before.filter(|_| self.fit == Fit::Anew)
    }
}
