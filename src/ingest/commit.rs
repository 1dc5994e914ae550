//! Making a job visible: one commit a table, then config.json.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::error::ArrowError;
use lance_table::format::Fragment;
use tokio::runtime::Handle;

use super::IngestError;
use super::base_rows;
use super::counts::CountsReader;
use super::describe::describe;
use super::genes::{DatasetGenes, Genes};
use super::tables::{Tables, TargetTable};
use super::target::Target;
use crate::chunk::Digest;
use crate::dataset::{Checkpoint, ConfigFile, Dataset, DatasetConfig, UNS};
use crate::plan::{Described, JobId, Plan, PlannedEmbedding, ShardTable};
use crate::progress::{Event, Progress};
use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::{Axis, CellSource, Inputs};
use crate::store::replace_file;
use crate::table::{
    CellRows, FragmentWriter, GeneRows, RowReader, TableError, TableName, embedding_column,
    missing_embeddings, planned_columns, row_digest, schema,
};

/// The commit of a job whose shards are all recorded.
pub(super) struct Commit<'a> {
    pub inputs: &'a Inputs,
    pub genes: &'a DatasetGenes<'a>,
    pub target: &'a Target,
    pub tables: &'a Tables,
    pub checkpoint: &'a Checkpoint,
    pub progress: &'a dyn Progress,
    pub runtime: &'a Handle,
}

impl Commit<'_> {
    /// Commits what is not committed yet and writes the config of the complete dataset.
    pub fn run(&self) -> Result<DatasetConfig, IngestError> {
        for (number, input) in self.plan().inputs.iter().enumerate() {
            let files = self.inputs.files(number)?;
            input.fingerprint.check_unchanged(&input.path, &files)?;
        }
        let before = self.target.before().map(Dataset::config);
        // Tables that the job does not write stay as they are.
        let mut versions = match &self.plan().base {
            Some(base) => base.versions.clone(),
            None => BTreeMap::new(),
        };
        let mut digests = before.map_or_else(BTreeMap::new, |before| before.digests.clone());
        for (&table, of_job) in self.tables {
            self.progress.report(Event::Committing { table });
            let version = self.runtime.block_on(self.table(table, of_job))?;
            versions.insert(table.key().to_string(), version);
            if matches!(table, TableName::Genes | TableName::Cells) {
                let digest = self.runtime.block_on(self.digest(table, of_job, version))?;
                digests.insert(table.key().to_string(), digest);
            }
        }
        self.write_uns()?;
        let dataset = describe(self.inputs, self.checkpoint, before, versions, digests)?;
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

    async fn table(&self, table: TableName, of_job: &TargetTable) -> Result<u64, IngestError> {
        let TargetTable { folder, before, .. } = of_job;
        let job = &self.checkpoint.job;
        let (begun, ended) = match table {
            TableName::Expression => ("before-expression-commit", "after-expression-commit"),
            TableName::Layers => ("before-layers-commit", "after-layers-commit"),
            TableName::Genes => ("before-genes-commit", "after-genes-commit"),
            TableName::GenePairs => ("before-gene-pairs-commit", "after-gene-pairs-commit"),
            TableName::CellPairs => ("before-cell-pairs-commit", "after-cell-pairs-commit"),
            TableName::Cells => ("before-cells-commit", "after-cells-commit"),
        };
        // A commit that was killed may have landed.
        if let Some(version) = folder.landed(job, *before).await? {
            return Ok(version);
        }
        let mut fragments = Vec::new();
        if let Some(shards) = shard_table(table) {
            if let Some(replaced) = of_job.replaced() {
                fragments = base_rows::entries(of_job, replaced, job).await?;
            }
            fragments.extend(self.shards(shards));
        } else if table == TableName::Genes {
            fragments = self.genes(of_job).await?;
        } else {
            fragments = self.cells(of_job).await?;
        }
        let Some(change) = of_job.change(&fragments) else {
            return Ok(before.unwrap_or_default());
        };
        crate::failpoint::reach(begun);
        let version = folder.commit(job, change, fragments).await?;
        crate::failpoint::reach(ended);
        Ok(version)
    }

    /// The digest of a table as it was committed. It is read again, so that it is right even where
    /// an earlier run committed the table and died.
    async fn digest(
        &self,
        table: TableName,
        of_job: &TargetTable,
        version: u64,
    ) -> Result<Digest, IngestError> {
        let folder = &of_job.folder;
        let opened = folder.at(version).await?;
        let (mut digest, new) = self.digest_before(table, of_job);
        if new.as_ref().is_some_and(Range::is_empty) {
            return Ok(digest);
        }
        let mut rows = RowReader::over(&opened, folder.path(), new).await?;
        while let Some(batch) = rows.next().await? {
            digest.add(row_digest(&batch).map_err(|source| TableError::Arrow {
                path: folder.path().to_path_buf(),
                source,
            })?);
        }
        Ok(digest)
    }

    /// What is known of a table's digest without reading it, and the rows that are to be added;
    /// `None` for all rows.
    fn digest_before(
        &self,
        table: TableName,
        of_job: &TargetTable,
    ) -> (Digest, Option<Range<u64>>) {
        let plan = self.plan();
        let nothing = (Digest::default(), None);
        let (Some(base), Some(before)) = (&plan.base, self.target.before()) else {
            return nothing;
        };
        if base.described != Described::Whole || of_job.replaced().is_some() {
            return nothing;
        }
        let new = match table {
            TableName::Cells => base.cells..plan.cells,
            _ => base.genes..plan.genes,
        };
        match before.config().digests.get(table.key()) {
            Some(&digest) => (digest, Some(new)),
            None => nothing,
        }
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

    async fn genes(&self, table: &TargetTable) -> Result<Vec<Fragment>, IngestError> {
        let plan = self.plan();
        let schema = schema(TableName::Genes, plan);
        let mut writer = self.writer(TableName::Genes, table).await?;
        let mut next = plan.base.as_ref().map_or(0, |base| base.genes as i64);
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
                let batch = taken.batch(table.folder.path(), &schema)?;
                let batch = table.layout.rows(&batch);
                let batch = batch.map_err(|e| self.arrow(TableName::Genes, e))?;
                writer.write(&batch).await?;
            }
        }
        writer.finish().await
    }

    async fn cells(&self, table: &TargetTable) -> Result<Vec<Fragment>, IngestError> {
        let plan = self.plan();
        let schema = schema(TableName::Cells, plan);
        let mut writer = self.writer(TableName::Cells, table).await?;
        // Rows of the whole table are counted, whoever wrote them.
        let mut next_row = plan.base.as_ref().map_or(0, |base| base.rows as i64);
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
                    let batch = batch.batch(table.folder.path(), &schema)?;
                    let batch = table.layout.rows(&batch);
                    let batch = batch.map_err(|e| self.arrow(TableName::Cells, e))?;
                    blocks.held(bytes_of(batch.columns()));
                    writer.write(&batch).await?;
                }
            }
        }
        writer.finish().await
    }

    /// A writer of a table's new rows, after those that must be written anew.
    async fn writer<'s>(
        &'s self,
        name: TableName,
        table: &'s TargetTable,
    ) -> Result<LazyWriter<'s>, IngestError> {
        let mut writer = LazyWriter {
            table,
            job: &self.checkpoint.job,
            open: None,
        };
        if let Some(replaced) = table.replaced() {
            let census = self.checkpoint.census.as_ref();
            base_rows::frame(self.target, census, name, table, replaced, &mut writer).await?;
        }
        Ok(writer)
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

/// The shards of which a table is made; none of those that describe cells or genes.
fn shard_table(table: TableName) -> Option<ShardTable> {
    let mut tables = ShardTable::ALL.into_iter();
    tables.find(|&shards| TableName::from(shards) == table)
}

/// Writes one fragment, or none where there are no rows.
pub(super) struct LazyWriter<'a> {
    table: &'a TargetTable,
    job: &'a JobId,
    open: Option<FragmentWriter>,
}

impl LazyWriter<'_> {
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), IngestError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let writer = match &mut self.open {
            Some(writer) => writer,
            closed => {
                let TargetTable { folder, layout, .. } = self.table;
                closed.insert(FragmentWriter::create(folder, self.job, layout).await?)
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
