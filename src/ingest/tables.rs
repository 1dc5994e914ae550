//! The tables that a job writes: their current state and how they change.

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use lance_table::format::Fragment;

use super::IngestError;
use super::output_dir::OutputDir;
use crate::dataset::{Adoption, Checkpoint, RowOrder};
use crate::table::{Layout, SchemaFit, TableCommit, TableFolder, TableName, schema};

/// A table before and after the job.
#[derive(Debug, Clone)]
pub(super) struct TargetTable {
    /// Folder of the table.
    pub folder: TableFolder,
    /// Layout after the job.
    pub layout: Layout,
    /// Version before the job, if the table exists.
    pub before: Option<u64>,
    /// Whether that version can be appended to.
    pub fit: SchemaFit,
    /// How the rows before the job lie.
    pub order: RowOrder,
}

/// All tables of a job.
pub(super) type Tables = BTreeMap<TableName, TargetTable>;

impl TargetTable {
    /// Inspects the tables that a plan writes to.
    pub async fn of_all(
        target: &OutputDir,
        checkpoint: &Checkpoint,
    ) -> Result<Tables, IngestError> {
        let mut tables = Tables::new();
        let of_plan: Vec<TableName> = TableName::of(&checkpoint.plan).collect();
        for &name in &of_plan {
            tables.insert(name, Self::of(target, checkpoint, name).await?);
        }
        // Tables to which nothing is added may need sorting.
        let adoption = checkpoint.adoption.as_deref();
        let unordered = adoption.iter().flat_map(|adoption| &adoption.unordered);
        for &name in unordered.filter(|name| !of_plan.contains(name)) {
            tables.insert(name, Self::of(target, checkpoint, name).await?);
        }
        Ok(tables)
    }

    async fn of(
        target: &OutputDir,
        checkpoint: &Checkpoint,
        name: TableName,
    ) -> Result<Self, IngestError> {
        let plan = &checkpoint.plan;
        let recounted = checkpoint.recounted.as_ref();
        let folder = target.table(name);
        // Tables that are not in the plan keep their columns.
        let wanted = if TableName::of(plan).any(|of_plan| of_plan == name) {
            schema(name, plan)
        } else {
            Schema::empty()
        };
        let versions = plan.base.as_ref().map(|base| &base.versions);
        let before = versions.and_then(|versions| versions.get(name.key()).copied());
        let Some(version) = before else {
            return Ok(TargetTable {
                layout: Layout::new(folder.path(), wanted)?,
                folder,
                before,
                fit: SchemaFit::AsItIs,
                order: RowOrder::Sorted,
            });
        };
        let table = folder.at(version).await?;
        let (layout, mut fit) = Layout::extended(folder.path(), &table, &wanted)?;
        if name == TableName::Cells && recounted.is_some_and(|recounted| recounted.wrong_starts > 0)
        {
            fit = SchemaFit::Anew;
        }
        let order = Adoption::order_of(checkpoint.adoption.as_deref(), name);
        if order == RowOrder::Unsorted {
            fit = SchemaFit::Anew;
        }
        Ok(TargetTable {
            folder,
            layout,
            before,
            fit,
            order,
        })
    }

    /// Returns the change that adds these fragments to the table; `None` if it stays as it is.
    pub fn change(&self, fragments: &[Fragment]) -> Option<TableCommit<'_>> {
        match (self.before, self.fit) {
            (None, _) => Some(TableCommit::Create(&self.layout)),
            (Some(before), SchemaFit::Anew) => Some(TableCommit::Replace(before, &self.layout)),
            (Some(_), SchemaFit::AsItIs) if fragments.is_empty() => None,
            (Some(before), SchemaFit::AsItIs) => Some(TableCommit::Append(before)),
        }
    }

    /// Returns the version that the table must be rewritten from, if any.
    pub fn replaced(&self) -> Option<u64> {
        self.before.filter(|_| self.fit == SchemaFit::Anew)
    }
}
