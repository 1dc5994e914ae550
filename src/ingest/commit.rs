//! Making a job visible: one commit a table, then config.json.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use lance_table::format::Fragment;
use tokio::runtime::Handle;

use super::IngestError;
use super::counts::CountsReader;
use super::describe::describe;
use super::target::Target;
use crate::chunk::Digest;
use crate::dataset::{Checkpoint, ConfigFile, DatasetConfig, UNS};
use crate::plan::{Plan, PlannedEmbedding, ShardTable};
use crate::progress::{Event, Progress};
use crate::source::{Axis, CellSource};
use crate::store::replace_file;
use crate::survey::blocks;
use crate::table::{
    CellRows, FragmentWriter, GeneRows, TableError, TableName, embedding_column, row_digest, schema,
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
            input.fingerprint.check_unchanged(self.source)?;
        }
        let mut versions = BTreeMap::new();
        let mut digests = BTreeMap::new();
        for table in TableName::of(self.plan()) {
            self.progress.report(Event::Committing { table });
            let version = self.runtime.block_on(self.table(table))?;
            versions.insert(table.key().to_string(), version);
            if matches!(table, TableName::Genes | TableName::Cells) {
                let digest = self.runtime.block_on(self.digest(table, version))?;
                digests.insert(table.key().to_string(), digest);
            }
        }
        self.write_uns()?;
        let dataset = describe(self.source, self.checkpoint, versions, digests)?;
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
        let (before, after) = match table {
            TableName::Expression => ("before-expression-commit", "after-expression-commit"),
            TableName::Layers => ("before-layers-commit", "after-layers-commit"),
            TableName::Genes => ("before-genes-commit", "after-genes-commit"),
            TableName::GenePairs => ("before-gene-pairs-commit", "after-gene-pairs-commit"),
            TableName::CellPairs => ("before-cell-pairs-commit", "after-cell-pairs-commit"),
            TableName::Cells => ("before-cells-commit", "after-cells-commit"),
        };
        let schema = schema(table, self.plan());
        // A commit that was killed may have landed.
        if let Some(version) = folder.landed(job).await? {
            return Ok(version);
        }
        let fragments = match table {
            TableName::Expression => self.shards(ShardTable::Expression),
            TableName::Layers => self.shards(ShardTable::Layers),
            TableName::GenePairs => self.shards(ShardTable::GenePairs),
            TableName::CellPairs => self.shards(ShardTable::CellPairs),
            TableName::Genes => self.genes(&schema).await?,
            TableName::Cells => self.cells(&schema).await?,
        };
        crate::failpoint::reach(before);
        let version = folder.create(job, &schema, fragments).await?;
        crate::failpoint::reach(after);
        Ok(version)
    }

    /// The digest of a table as it was committed. It is read again, so that it is right even where
    /// an earlier run committed the table and died.
    async fn digest(&self, table: TableName, version: u64) -> Result<Digest, IngestError> {
        let folder = self.target.table(table);
        let mut rows = folder.rows(version).await?;
        let mut digest = Digest::default();
        while let Some(batch) = rows.next().await? {
            digest.add(row_digest(&batch).map_err(|source| TableError::Arrow {
                path: folder.path().to_path_buf(),
                source,
            })?);
        }
        Ok(digest)
    }

    /// The fragments of all shards of a table in the order of their rows.
    fn shards(&self, table: ShardTable) -> Vec<Fragment> {
        let records = self.checkpoint.records(table).into_iter();
        records
            .flat_map(|record| record.fragments.clone())
            .collect()
    }

    /// Columns of embeddings for a range of rows.
    fn embeddings(
        &self,
        axis: Axis,
        planned: &[PlannedEmbedding],
        rows: &Range<u64>,
        table: TableName,
    ) -> Result<Vec<ArrayRef>, IngestError> {
        let length = (rows.end - rows.start) as usize;
        let column = |planned: &PlannedEmbedding| {
            let numbers = self.source.embedding(axis, &planned.name, rows.clone())?;
            let column = embedding_column(&numbers, length, planned);
            Ok(column.map_err(|source| TableError::Arrow {
                path: self.target.table(table).path().to_path_buf(),
                source,
            })?)
        };
        planned.iter().map(column).collect()
    }

    async fn genes(&self, schema: &Schema) -> Result<Vec<Fragment>, IngestError> {
        let plan = self.plan();
        let table = self.target.table(TableName::Genes);
        let mut writer = LazyWriter {
            commit: self,
            table: TableName::Genes,
            schema,
            open: None,
        };
        for rows in blocks(0..plan.genes, width(plan.var.len(), &plan.varm)) {
            let batch = GeneRows {
                var: &self.source.var(rows.clone())?,
                gene_ids: self.source.gene_ids(rows.clone())?,
                ids: signed(&rows),
                varm: self.embeddings(Axis::Genes, &plan.varm, &rows, TableName::Genes)?,
            };
            writer.write(&batch.batch(table.path(), schema)?).await?;
        }
        writer.finish().await
    }

    async fn cells(&self, schema: &Schema) -> Result<Vec<Fragment>, IngestError> {
        let plan = self.plan();
        let table = self.target.table(TableName::Cells);
        let mut writer = LazyWriter {
            commit: self,
            table: TableName::Cells,
            schema,
            open: None,
        };
        let mut next_row = 0i64;
        for record in self.checkpoint.records(ShardTable::Expression) {
            let shard = &plan.shards[record.shard];
            let input = &plan.inputs[shard.input];
            let counts = record.counts.as_deref().unwrap_or_default();
            let mut counts = CountsReader::open(self.target.job_folder().join(counts))?;
            for rows in blocks(shard.rows.clone(), width(plan.obs.len(), &plan.obsm)) {
                let counts = counts.next(rows.end - rows.start)?;
                let starts = counts.into_iter().map(|count| {
                    let start = next_row;
                    next_row += i64::from(count);
                    start
                });
                let ids = input.cells.start + rows.start..input.cells.start + rows.end;
                let batch = CellRows {
                    starts: starts.collect(),
                    obs: &self.source.obs(rows.clone())?,
                    cell_ids: self.source.cell_ids(rows.clone())?,
                    ids: signed(&ids),
                    source_file: &input.source_file,
                    obsm: self.embeddings(Axis::Cells, &plan.obsm, &rows, TableName::Cells)?,
                };
                writer.write(&batch.batch(table.path(), schema)?).await?;
            }
        }
        writer.finish().await
    }

    /// Writes what is neither a table nor a matrix.
    fn write_uns(&self) -> Result<(), IngestError> {
        if !self.plan().uns {
            return Ok(());
        }
        let uns = self.source.uns()?;
        let mut json = serde_json::to_vec_pretty(&uns.values).map_err(|source| {
            crate::dataset::DatasetError::Config {
                path: self.target.folder().join(UNS),
                source,
            }
        })?;
        json.push(b'\n');
        crate::failpoint::reach("before-uns");
        Ok(replace_file(&self.target.folder().join(UNS), &json)?)
    }
}

/// Values in a row of a table that describes cells or genes.
fn width(columns: usize, embeddings: &[PlannedEmbedding]) -> usize {
    let numbers: u64 = embeddings.iter().map(|embedding| embedding.width).sum();
    columns.saturating_add(usize::try_from(numbers).unwrap_or(usize::MAX))
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
