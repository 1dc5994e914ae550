//! Making a job visible: one commit a table, then config.json.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use lance_table::format::Fragment;
use tokio::runtime::Handle;

use super::IngestError;
use super::counts::CountsReader;
use super::describe::describe;
use super::genes::{DatasetGenes, Genes};
use super::target::Target;
use crate::chunk::Digest;
use crate::dataset::{Checkpoint, ConfigFile, DatasetConfig, UNS};
use crate::plan::{Plan, PlannedEmbedding, ShardTable};
use crate::progress::{Event, Progress};
use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::{Axis, CellSource, Inputs};
use crate::store::replace_file;
use crate::table::{
    CellRows, FragmentWriter, GeneRows, TableError, TableName, embedding_column,
    missing_embeddings, planned_columns, row_digest, schema,
};

/// The commit of a job whose shards are all recorded.
pub(super) struct Commit<'a> {
    pub inputs: &'a Inputs,
    pub genes: &'a DatasetGenes,
    pub target: &'a Target,
    pub checkpoint: &'a Checkpoint,
    pub progress: &'a dyn Progress,
    pub runtime: &'a Handle,
}

impl Commit<'_> {
    /// Commits what is not committed yet and writes the config of the complete dataset.
    pub fn run(&self) -> Result<DatasetConfig, IngestError> {
        for (number, input) in self.plan().inputs.iter().enumerate() {
            input
                .fingerprint
                .check_unchanged(&*self.inputs.get(number)?)?;
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
        let dataset = describe(self.inputs, self.checkpoint, versions, digests)?;
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

    /// Columns of embeddings for a range of rows of an input; missing where it lacks them.
    fn embeddings(
        &self,
        source: &dyn CellSource,
        axis: Axis,
        planned: &[PlannedEmbedding],
        rows: &Range<u64>,
    ) -> Result<Vec<ArrayRef>, IngestError> {
        let length = (rows.end - rows.start) as usize;
        let description = source.description();
        let (table, own) = match axis {
            Axis::Cells => (TableName::Cells, &description.obsm),
            Axis::Genes => (TableName::Genes, &description.varm),
        };
        let column = |planned: &PlannedEmbedding| {
            if !own.iter().any(|embedding| embedding.name == planned.name) {
                return Ok(missing_embeddings(planned, length));
            }
            let numbers = source.embedding(axis, &planned.name, rows.clone())?;
            let column = embedding_column(&numbers, length, planned);
            column.map_err(|source| self.arrow(table, source))
        };
        planned.iter().map(column).collect()
    }

    fn arrow(&self, table: TableName, source: ArrowError) -> IngestError {
        let path = self.target.table(table).path().to_path_buf();
        TableError::Arrow { path, source }.into()
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
        let mut next = 0;
        for described in &self.genes.described {
            let source = self.inputs.get(described.input)?;
            let values = width(plan.var.len(), &plan.varm);
            let mut blocks = RowBlocks::new(0..source.description().genes, values);
            while let Some(rows) = blocks.next() {
                // Of the block, the genes that no input before has, in the order of the dataset:
                // that of this input, unless only some of them are taken in another order.
                let kept = match &described.genes {
                    Genes::All => None,
                    Genes::These(genes) => Some(genes),
                };
                let all = GeneRows {
                    var: planned_columns(&source.var(rows.clone())?, &plan.var)
                        .map_err(|e| self.arrow(TableName::Genes, e))?,
                    gene_ids: source.gene_ids(rows.clone())?,
                    ids: 0..(rows.end - rows.start) as i64,
                    varm: self.embeddings(&*source, Axis::Genes, &plan.varm, &rows)?,
                };
                blocks.held(bytes_of(all.var.iter().chain(&all.varm)));
                let taken = all.taken(&rows, kept.map(Vec::as_slice), &mut next);
                let taken = taken.map_err(|e| self.arrow(TableName::Genes, e))?;
                writer.write(&taken.batch(table.path(), schema)?).await?;
            }
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
            let counts = record.counts.as_deref().unwrap_or_default();
            let mut counts = CountsReader::open(self.target.job_folder().join(counts))?;
            for part in &plan.shards[record.shard].parts {
                let input = &plan.inputs[part.input];
                let source = self.inputs.get(part.input)?;
                let values = width(plan.obs.len(), &plan.obsm);
                let mut blocks = RowBlocks::new(part.rows.clone(), values);
                while let Some(rows) = blocks.next() {
                    let counts = counts.next(rows.end - rows.start)?;
                    let starts = counts.into_iter().map(|count| {
                        let start = next_row;
                        next_row += i64::from(count);
                        start
                    });
                    let ids = input.cells.start + rows.start..input.cells.start + rows.end;
                    let obs = planned_columns(&source.obs(rows.clone())?, &plan.obs);
                    let batch = CellRows {
                        starts: starts.collect(),
                        obs: obs.map_err(|e| self.arrow(TableName::Cells, e))?,
                        cell_ids: source.cell_ids(rows.clone())?,
                        ids: signed(&ids),
                        source_file: &input.source_file,
                        obsm: self.embeddings(&*source, Axis::Cells, &plan.obsm, &rows)?,
                    };
                    let batch = batch.batch(table.path(), schema)?;
                    blocks.held(bytes_of(batch.columns()));
                    writer.write(&batch).await?;
                }
            }
        }
        writer.finish().await
    }

    /// Writes what is neither a table nor a matrix: that of a single input as it is, that of several
    /// under their names.
    fn write_uns(&self) -> Result<(), IngestError> {
        if !self.plan().uns {
            return Ok(());
        }
        let mut values = serde_json::Map::new();
        for (number, input) in self.plan().inputs.iter().enumerate() {
            let uns = self.inputs.get(number)?.uns()?;
            if self.plan().inputs.len() == 1 {
                values = uns.values;
            } else if !uns.values.is_empty() {
                values.insert(input.source_file.clone(), uns.values.into());
            }
        }
        let path = self.target.folder().join(UNS);
        let mut json = serde_json::to_vec_pretty(&values).map_err(|source| {
            crate::dataset::DatasetError::Config {
                path: path.clone(),
                source,
            }
        })?;
        json.push(b'\n');
        crate::failpoint::reach("before-uns");
        Ok(replace_file(&path, &json)?)
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
