//! Writes the cells and genes tables from the inputs.

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;

use super::IngestError;
use super::base_rows;
use super::commit::Commit;
use super::counts::CountsReader;
use super::frame_writer::{FrameWriter, Written};
use super::genes::Genes;
use super::tables::TargetTable;
use crate::dataset::RowOrder;
use crate::plan::{PlannedEmbedding, ShardTable};
use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::{Axis, CellSource};
use crate::table::{
    CellRows, GeneRows, TableError, TableName, embedding_column, missing_embeddings,
    planned_columns, schema, with_nulls,
};

impl Commit<'_> {
    /// Returns the embeddings for a range of rows of an input; null if the input lacks them.
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
            let nulls = source.embedding_nulls(axis, &planned.name, rows.clone())?;
            let column = embedding_column(&numbers, length, planned);
            let column = column.and_then(|column| with_nulls(column, nulls));
            column.map_err(|source| self.arrow(table, source))
        };
        planned.iter().map(column).collect()
    }

    fn arrow(&self, table: TableName, source: ArrowError) -> IngestError {
        let path = self.target.table(table).path().to_path_buf();
        TableError::Arrow { path, source }.into()
    }

    /// Writes genes that are not in the table yet.
    pub(super) async fn genes(&self, table: &TargetTable) -> Result<Written, IngestError> {
        let plan = self.plan();
        let schema = schema(TableName::Genes, plan);
        let mut writer = self.writer(TableName::Genes, table).await?;
        let mut next = plan.base.as_ref().map_or(0, |base| base.genes as i64);
        for described in &self.genes.described {
            let source = self.inputs.get(described.input)?;
            let values = width(plan.var.len(), &plan.varm);
            let mut blocks = RowBlocks::new(0..source.description().n_vars, values);
            let read = |rows: Range<u64>| -> Result<_, IngestError> {
                Ok(GeneRows {
                    var: planned_columns(&source.var(rows.clone())?, &plan.var)
                        .map_err(|e| self.arrow(TableName::Genes, e))?,
                    gene_ids: source.var_names(rows.clone())?,
                    ids: 0..(rows.end - rows.start) as i64,
                    varm: self.embeddings(&*source, Axis::Genes, &plan.varm, &rows)?,
                })
            };
            while let Some((rows, all)) = blocks.read(read)? {
                // The genes of this block that no earlier input has, in the order of the dataset,
                // which is that of this input unless only some are taken in another order.
                let kept = match &described.genes {
                    Genes::All => None,
                    Genes::These(genes) => Some(genes),
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

    /// Writes the cells of the job, each with its first row in the expression table.
    pub(super) async fn cells(&self, table: &TargetTable) -> Result<Written, IngestError> {
        let plan = self.plan();
        let schema = schema(TableName::Cells, plan);
        let mut writer = self.writer(TableName::Cells, table).await?;
        let mut hashes = self.hash_writer().await?;
        // Row numbers are those of the whole table, whoever wrote it.
        let mut next_row = plan.base.as_ref().map_or(0, |base| base.rows as i64);
        for record in self.checkpoint.records(ShardTable::Expression) {
            let Some(counts) = &record.counts else {
                return Err(IngestError::WorkerDied);
            };
            let mut counts = CountsReader::open(self.target.job_folder().path(), counts)?;
            for part in &plan.shards[record.shard].parts {
                let input = &plan.inputs[part.input];
                let source = self.inputs.get(part.input)?;
                let values = width(plan.obs.len(), &plan.obsm);
                let mut blocks = RowBlocks::new(part.rows.clone(), values);
                let read = |rows: Range<u64>| -> Result<_, IngestError> {
                    let obs = planned_columns(&source.obs(rows.clone())?, &plan.obs);
                    Ok((
                        obs.map_err(|e| self.arrow(TableName::Cells, e))?,
                        source.obs_names(rows.clone())?,
                        self.embeddings(&*source, Axis::Cells, &plan.obsm, &rows)?,
                    ))
                };
                while let Some((rows, (obs, cell_ids, obsm))) = blocks.read(read)? {
                    let counts = counts.next(rows.end - rows.start)?;
                    let starts = counts.into_iter().map(|count| {
                        let start = next_row;
                        next_row += i64::from(count);
                        start
                    });
                    let ids = input.cells.start + rows.start..input.cells.start + rows.end;
                    hashes.add(&cell_ids)?;
                    let batch = CellRows {
                        starts: starts.collect(),
                        obs,
                        cell_ids,
                        ids: signed(&ids),
                        source_file: &input.source_file,
                        obsm,
                    };
                    let batch = batch.batch(table.folder.path(), &schema)?;
                    let batch = table.layout.rows(&batch);
                    let batch = batch.map_err(|e| self.arrow(TableName::Cells, e))?;
                    blocks.held(bytes_of(batch.columns()));
                    writer.write(&batch).await?;
                }
            }
        }
        let hashes = hashes.finish()?;
        crate::failpoint::reach("cell-hashes-written");
        Ok(Written {
            hashes: Some(hashes),
            ..writer.finish().await?
        })
    }

    /// Creates a writer for a table's new rows, and first writes those that must be rewritten.
    async fn writer<'s>(
        &'s self,
        name: TableName,
        table: &'s TargetTable,
    ) -> Result<FrameWriter<'s>, IngestError> {
        let mut writer = FrameWriter::new(table, &self.checkpoint.job);
        if let Some(replaced) = table.replaced() {
            let recounted = self.checkpoint.recounted.as_ref();
            let expression = self.tables.get(&TableName::Expression);
            let entries = expression.map_or(RowOrder::Sorted, |expression| expression.order);
            let into = &mut writer;
            base_rows::frame(self.target, recounted, name, table, replaced, entries, into).await?;
        }
        Ok(writer)
    }
}

/// Number of values in a row of the cells or genes table.
fn width(columns: usize, embeddings: &[PlannedEmbedding]) -> usize {
    let numbers: u64 = embeddings.iter().map(|embedding| embedding.width).sum();
    columns.saturating_add(usize::try_from(numbers).unwrap_or(usize::MAX))
}

/// Converts identifiers to the type of the tables. The plan has checked that they fit 32 bits.
fn signed(ids: &Range<u64>) -> Range<i64> {
    ids.start as i64..ids.end as i64
}
