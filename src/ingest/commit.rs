//! Making a job visible: one commit a table, then config.json.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Schema};
use lance_table::format::Fragment;
use tokio::runtime::Handle;

use super::IngestError;
use super::counts::CountsReader;
use super::target::Target;
use crate::chunk::{Tidied, ValueStats};
use crate::dataset::{
    Checkpoint, ColumnDtype, ColumnNote, ConfigFile, DatasetConfig, Metadata, MultiFile,
    Optimizations, SourceFile, SourceNote, ValueNote, Writer,
};
use crate::plan::{Plan, PlannedColumn, Table};
use crate::progress::{Event, Progress};
use crate::source::{CellSource, ColumnKind};
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
        let mut versions = BTreeMap::new();
        for table in TableName::IN_COMMIT_ORDER {
            self.progress.report(Event::Committing { table });
            let version = self.runtime.block_on(self.table(table))?;
            versions.insert(table.key().to_string(), version);
        }
        let dataset = self.config(versions)?;
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

    fn config(&self, versions: BTreeMap<String, u64>) -> Result<DatasetConfig, IngestError> {
        let plan = self.plan();
        let mut stats = ValueStats::default();
        let mut records: Vec<_> = self.checkpoint.shards.iter().collect();
        records.sort_by_key(|record| record.shard);
        for record in &records {
            stats.add(&record.stats);
        }
        let sources = plan.inputs.iter().enumerate().map(|(number, input)| {
            let mut note = SourceNote {
                path: input.path.clone(),
                source_file: input.source_file.clone(),
                fingerprint: input.fingerprint.clone(),
                first_cell: input.cells.start,
                cells: input.cells.end - input.cells.start,
                entries: 0,
                rows: 0,
                tidied: Tidied::default(),
                left_out: input.left_out.clone(),
                repeated_cells: input.repeated_cells.clone(),
                repeated_genes: input.repeated_genes.clone(),
            };
            for record in records
                .iter()
                .filter(|record| plan.shards[record.shard].input == number)
            {
                note.entries += record.entries;
                note.rows += record.stats.rows;
                note.tidied.add(&record.tidied);
            }
            note
        });
        let files = plan.inputs.iter().map(|input| SourceFile {
            file_path: input.path.display().to_string(),
            file_name: input.source_file.clone(),
            n_cells: input.cells.end - input.cells.start,
            cell_offset: input.cells.start,
            others: Default::default(),
        });
        let shape = [plan.cells, plan.genes];
        Ok(DatasetConfig {
            format_version: DatasetConfig::current_format(),
            array_shape: shape,
            n_cells: plan.cells,
            n_genes: plan.genes,
            tables: TableName::IN_COMMIT_ORDER
                .into_iter()
                .map(|table| (table.key().to_string(), table.folder().to_string()))
                .collect(),
            optimizations: Optimizations::default(),
            metadata: Metadata::new(shape, &stats),
            obs_dtypes: dtypes(&self.source.obs(0..0)?, &plan.obs),
            var_dtypes: dtypes(&self.source.var(0..0)?, &plan.var),
            created_at: super::job::now(),
            multi_file: Some(MultiFile {
                total_files: plan.inputs.len() as u64,
                total_cells_from_files: plan.cells,
                source_files: files.collect(),
            }),
            writer: Some(Writer::this()),
            versions,
            value: Some(ValueNote {
                r#type: plan.value.value_type.to_string(),
                reason: plan.value.reason(),
                stored: plan.value.stored.to_string(),
            }),
            sources: sources.collect(),
            column_notes: notes(&plan.obs, Table::Obs)
                .chain(notes(&plan.var, Table::Var))
                .collect(),
            jobs: vec![self.checkpoint.job.clone()],
            others: Default::default(),
        })
    }
}

/// Identifiers as the tables hold them. The plan counted that they fit 32 bits.
fn signed(ids: &std::ops::Range<u64>) -> std::ops::Range<i64> {
    ids.start as i64..ids.end as i64
}

fn notes(columns: &[PlannedColumn], table: Table) -> impl Iterator<Item = ColumnNote> {
    columns
        .iter()
        .filter(|column| column.column != column.written_as)
        .map(move |column| ColumnNote {
            table,
            column: column.column.clone(),
            written_as: column.written_as.clone(),
        })
}

/// What restores the categorical columns of a frame.
fn dtypes(frame: &RecordBatch, columns: &[PlannedColumn]) -> BTreeMap<String, ColumnDtype> {
    let mut dtypes = BTreeMap::new();
    for (array, column) in frame.columns().iter().zip(columns) {
        let ColumnKind::Categorical { ordered } = column.kind else {
            continue;
        };
        if !matches!(array.data_type(), DataType::Dictionary(_, _)) {
            continue;
        }
        let values = array
            .as_dictionary::<Int32Type>()
            .values()
            .as_string::<i32>()
            .clone();
        dtypes.insert(
            column.written_as.clone(),
            ColumnDtype {
                dtype: "category".into(),
                ordered: Some(ordered),
                categories: Some(
                    (0..values.len())
                        .map(|i| values.value(i).to_string())
                        .collect(),
                ),
                others: Default::default(),
            },
        );
    }
    dtypes
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
