//! Making a job visible: one commit a table, then config.json.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use lance_table::format::Fragment;
use tokio::runtime::Handle;

use super::IngestError;
use super::counts::CountsReader;
use super::describe::describe;
use super::target::Target;
use crate::dataset::{Checkpoint, ConfigFile, DatasetConfig};
use crate::plan::Plan;
use crate::progress::{Event, Progress};
use crate::source::CellSource;
use crate::survey::blocks;
use crate::table::{
    FragmentWriter, TableName, cells_batch, cells_schema, expression_schema, genes_batch,
    genes_schema,
};

/// The commit of a job whose shards are all recorded.
pub(super) struct Commit<'a> {
    pub source: &'a dyn CellSource,
    pub target: &'a Target,
    pub checkpoint: &'a Checkpoint,
    pub progress: &'a dyn Progress,
    pub runtime: &'a Handle,
}

impl Commit<'_> {
    /// Commits what is not committed yet and writes the config of the complete dataset.
    pub fn run(&self) -> Result<DatasetConfig, IngestError> {
        for input in &self.plan().inputs {
            input.fingerprint.check_unchanged(&input.path)?;
        }
        let mut versions = BTreeMap::new();
        for table in TableName::IN_COMMIT_ORDER {
            self.progress.report(Event::Committing { table });
            let version = self.runtime.block_on(self.table(table))?;
            versions.insert(table.key().to_string(), version);
        }
        let dataset = describe(self.source, self.checkpoint, versions)?;
        crate::failpoint::reach("before-config");
        let file = ConfigFile {
            dataset: Some(dataset.clone()),
            checkpoint: None,
        };
        file.write(self.target.folder())?;
        crate::failpoint::reach("after-config");
        Ok(dataset)
    }

    fn plan(&self) -> &Plan {
        &self.checkpoint.plan
    }

    async fn table(&self, table: TableName) -> Result<u64, IngestError> {
        let folder = self.target.table(table);
        let job = &self.checkpoint.job;
        let (schema, before, after) = match table {
            TableName::Expression => (
                expression_schema(self.plan()),
                "before-expression-commit",
                "after-expression-commit",
            ),
            TableName::Genes => (
                genes_schema(self.plan()),
                "before-genes-commit",
                "after-genes-commit",
            ),
            TableName::Cells => (
                cells_schema(self.plan()),
                "before-cells-commit",
                "after-cells-commit",
            ),
        };
        // A commit that was killed may have landed.
        if let Some(version) = folder.landed(job).await? {
            return Ok(version);
        }
        let fragments = match table {
            TableName::Expression => self.expression(),
            TableName::Genes => self.genes(&schema).await?,
            TableName::Cells => self.cells(&schema).await?,
        };
        crate::failpoint::reach(before);
        let version = folder.create(job, &schema, fragments).await?;
        crate::failpoint::reach(after);
        Ok(version)
    }

    /// The fragments of all shards in the order of their cells.
    fn expression(&self) -> Vec<Fragment> {
        let mut records: Vec<_> = self.checkpoint.shards.iter().collect();
        records.sort_by_key(|record| record.shard);
        records
            .iter()
            .flat_map(|record| record.expression.clone())
            .collect()
    }

    async fn genes(&self, schema: &Schema) -> Result<Vec<Fragment>, IngestError> {
        let table = self.target.table(TableName::Genes);
        let mut writer = LazyWriter {
            commit: self,
            table: TableName::Genes,
            schema,
            open: None,
        };
        let genes = self.plan().genes;
        for rows in blocks(0..genes, self.plan().var.len()) {
            let var = self.source.var(rows.clone())?;
            let ids = self.source.gene_ids(rows.clone())?;
            let batch = genes_batch(table.path(), schema, &var, ids, signed(&rows))?;
            writer.write(&batch).await?;
        }
        writer.finish().await
    }

    async fn cells(&self, schema: &Schema) -> Result<Vec<Fragment>, IngestError> {
        let table = self.target.table(TableName::Cells);
        let mut writer = LazyWriter {
            commit: self,
            table: TableName::Cells,
            schema,
            open: None,
        };
        let mut next_row = 0i64;
        for (number, shard) in self.plan().shards.iter().enumerate() {
            let input = &self.plan().inputs[shard.input];
            let name = self
                .checkpoint
                .record(number)
                .map(|record| record.counts.clone());
            let mut counts =
                CountsReader::open(self.target.job_folder().join(name.unwrap_or_default()))?;
            for rows in blocks(shard.cells.clone(), self.plan().obs.len()) {
                let starts = counts
                    .next(rows.end - rows.start)?
                    .into_iter()
                    .map(|count| {
                        let start = next_row;
                        next_row += i64::from(count);
                        start
                    });
                let starts = starts.collect();
                let obs = self.source.obs(rows.clone())?;
                let cell_ids = self.source.cell_ids(rows.clone())?;
                let ids = input.cells.start + rows.start..input.cells.start + rows.end;
                let batch = cells_batch(
                    table.path(),
                    schema,
                    &obs,
                    cell_ids,
                    signed(&ids),
                    &input.source_file,
                    starts,
                )?;
                writer.write(&batch).await?;
            }
        }
        writer.finish().await
    }
}

/// Identifiers as the tables hold them. The plan counted that they fit 32 bits.
fn signed(ids: &std::ops::Range<u64>) -> std::ops::Range<i64> {
    ids.start as i64..ids.end as i64
}

/// Writes one fragment, or none where there are no rows.
struct LazyWriter<'a> {
    commit: &'a Commit<'a>,
    table: TableName,
    schema: &'a Schema,
    open: Option<FragmentWriter>,
}

impl LazyWriter<'_> {
    async fn write(&mut self, batch: &RecordBatch) -> Result<(), IngestError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let writer = match &mut self.open {
            Some(writer) => writer,
            closed => {
                let table = self.commit.target.table(self.table);
                let job = &self.commit.checkpoint.job;
                closed.insert(FragmentWriter::create(&table, job, self.schema).await?)
            }
        };
        Ok(writer.write(batch).await?)
    }

    async fn finish(self) -> Result<Vec<Fragment>, IngestError> {
        match self.open {
            Some(writer) => Ok(vec![writer.finish().await?]),
            None => Ok(Vec::new()),
        }
    }
}
