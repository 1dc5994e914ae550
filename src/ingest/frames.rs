//! Shards of the tables that describe cells and genes, and of what else inputs say.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;

use arrow::array::ArrayRef;
use arrow::error::ArrowError;
use serde::Serializer;
use serde::ser::SerializeMap;
use serde_json::{Map, Value};

use super::IngestError;
use super::categories::Categories;
use super::cell_counts::{CellCounts, CountsDigest};
use super::frame_writer::FrameWriter;
use super::genes::Genes;
use super::shards::ShardRun;
use super::tables::Tables;
use crate::dataset::{FrameRecord, HashFileWriter, hash_of_file, id_hashes};
use crate::plan::{
    CATEGORIES_FILE, FrameShard, FrameTable, Plan, PlannedEmbedding, UNS_FILE, row_width,
};
use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::{Axis, CellSource};
use crate::store::replace_file_with;
use crate::table::{
    CellRows, GeneRows, TableError, TableName, embedding_column, missing_embeddings,
    planned_columns, schema, with_nulls,
};

/// Writes shards of cells, genes and notes.
pub(super) struct FrameRun<'a> {
    pub run: &'a ShardRun<'a>,
    pub plan: &'a Plan,
    pub tables: &'a Tables,
}

impl FrameRun<'_> {
    /// Writes the shard of this number, all files of which are durable then. Only cells need counts.
    pub fn write(
        &self,
        number: usize,
        counts: Option<CellCounts<'_>>,
    ) -> Result<FrameRecord, IngestError> {
        let frame = self.plan.frame(number).ok_or(IngestError::WorkerDied)?;
        let runtime = &self.run.runtime;
        match (frame.table, counts) {
            (FrameTable::Genes, _) => runtime.block_on(self.genes(number)),
            (FrameTable::Cells, Some(counts)) => {
                runtime.block_on(self.cells(number, frame, counts))
            }
            (FrameTable::Cells, None) => Err(IngestError::WorkerDied),
            (FrameTable::Notes, _) => self.notes(number),
        }
    }

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
        let path = self.run.target.table(table).path().to_path_buf();
        TableError::Arrow { path, source }.into()
    }

    /// Writes the genes that are not in the dataset yet.
    async fn genes(&self, number: usize) -> Result<FrameRecord, IngestError> {
        let plan = self.plan;
        let table = &self.tables[&TableName::Genes];
        let schema = schema(TableName::Genes, plan);
        let mut writer = FrameWriter::new(table, self.run.target.job());
        let mut next = plan.base.as_ref().map_or(0, |base| base.genes as i64);
        for described in &self.run.genes.described {
            let source = self.run.inputs.get(described.input)?;
            let values = row_width(plan.var.len(), &plan.varm);
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
        let written = writer.finish().await?;
        Ok(FrameRecord {
            shard: number,
            rows: written.rows(),
            fragments: written.fragment.into_iter().collect(),
            row_digest: written.digest,
            counted: None,
            files: BTreeMap::new(),
        })
    }

    /// Writes cells, each with where its rows of the expression table begin, and the hashes of their
    /// identifiers.
    async fn cells(
        &self,
        number: usize,
        frame: &FrameShard,
        mut counts: CellCounts<'_>,
    ) -> Result<FrameRecord, IngestError> {
        let plan = self.plan;
        let table = &self.tables[&TableName::Cells];
        let schema = schema(TableName::Cells, plan);
        let mut writer = FrameWriter::new(table, self.run.target.job());
        let files = frame.files(number, plan.uns);
        let mut hashes = HashFileWriter::create(self.file(&files[0]))?;
        // Row numbers are those of the whole table, whoever wrote it.
        let mut next_row = counts.next_row() as i64;
        let mut digest = CountsDigest::from_row(counts.next_row());
        for part in &frame.parts {
            let input = &plan.inputs[part.input];
            let source = self.run.inputs.get(part.input)?;
            let values = row_width(plan.obs.len(), &plan.obsm);
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
                digest.add(&counts);
                let starts = counts.into_iter().map(|count| {
                    let start = next_row;
                    // No table has so many rows.
                    next_row = next_row.saturating_add_unsigned(count);
                    start
                });
                let ids = input.cells.start + rows.start..input.cells.start + rows.end;
                hashes.add(id_hashes(&cell_ids))?;
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
        let (_, xxh3) = hashes.finish()?;
        let written = writer.finish().await?;
        Ok(FrameRecord {
            shard: number,
            rows: written.rows(),
            fragments: written.fragment.into_iter().collect(),
            row_digest: written.digest,
            counted: Some(digest.finish()),
            files: files.into_iter().zip([xxh3]).collect(),
        })
    }

    /// Writes the categories of columns, and what is unstructured, as files of the job.
    fn notes(&self, number: usize) -> Result<FrameRecord, IngestError> {
        let before = self.run.target.before().map(|before| before.config());
        let categories = Categories::of(self.run.inputs, self.plan, before)?;
        let path = self.file(CATEGORIES_FILE);
        replace_file_with(&path, |output| {
            Ok(serde_json::to_writer(output, &categories)?)
        })?;
        let mut files = BTreeMap::new();
        let mut add = |name: &str| -> Result<(), IngestError> {
            let hash = hash_of_file(&self.file(name))?;
            files.insert(name.to_string(), hash.unwrap_or_default());
            Ok(())
        };
        add(CATEGORIES_FILE)?;
        if self.plan.uns {
            self.write_uns()?;
            add(UNS_FILE)?;
        }
        Ok(FrameRecord {
            shard: number,
            rows: 0,
            fragments: Vec::new(),
            row_digest: Default::default(),
            counted: None,
            files,
        })
    }

    /// Writes what is neither a table nor a matrix: that of a single input as it is, that of several
    /// under their names. One input's is in memory at a time.
    fn write_uns(&self) -> Result<(), IngestError> {
        let mut unread = None;
        let written = replace_file_with(&self.file(UNS_FILE), |output| {
            let write = |values: &Map<String, Value>, output: &mut dyn Write| {
                serde_json::to_writer_pretty(&mut *output, values)?;
                output.write_all(b"\n")
            };
            let mut read = |number: usize| {
                let uns = self.run.inputs.get(number).and_then(|input| input.uns());
                uns.map(|uns| uns.values).map_err(|error| {
                    unread = Some(error);
                    io::Error::other("an input cannot be read")
                })
            };
            if let [_] = self.plan.inputs[..] {
                return write(&read(0)?, output);
            }
            let mut json = serde_json::Serializer::pretty(&mut *output);
            let mut all = json.serialize_map(None)?;
            for (number, input) in self.plan.inputs.iter().enumerate() {
                let values = read(number)?;
                if !values.is_empty() {
                    all.serialize_entry(&input.source_file, &values)?;
                }
            }
            all.end()?;
            output.write_all(b"\n")
        });
        match unread {
            Some(error) => Err(error.into()),
            None => Ok(written?),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.run.target.job_folder().path().join(name)
    }
}

/// Converts identifiers to the type of the tables. The plan has checked that they fit 32 bits.
fn signed(ids: &Range<u64>) -> Range<i64> {
    ids.start as i64..ids.end as i64
}
