//! Writes one shard.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::IngestError;
use super::contents::contents_name;
use super::counts::CountsWriter;
use super::output_dir::OutputDir;
use super::scale_samples::ScaleSamples;
use super::tables::{Tables, TargetTable};
use crate::chunk::EntryBatch;
use crate::dataset::{HashFileWriter, MatrixRecord, PartRecord, ShardRecord};
use crate::plan::{Plan, ShardPart, ShardTable};
use crate::table::{RowsWriter, schema};

/// Writes the rows of a shard and collects the data for its record.
pub(super) struct ShardWriter {
    shard: usize,
    rows: RowsWriter,
    /// Row count of each cell, for the cells table.
    counts: Option<CountsWriter>,
    /// Content hash of each cell.
    contents: Option<HashFileWriter>,
    parts: Vec<PartRecord>,
    /// Samples of the current part.
    samples: Option<ScaleSamples>,
    written: u64,
}

impl ShardWriter {
    /// Creates a writer.
    pub fn begin(
        target: &OutputDir,
        tables: &Tables,
        plan: &Plan,
        shard: usize,
    ) -> Result<Self, IngestError> {
        let table = plan.shards[shard].table;
        let contents = match table {
            ShardTable::Expression => {
                let path = target.job_folder().path().join(contents_name(shard));
                Some(HashFileWriter::create(path)?)
            }
            _ => None,
        };
        let counts = match table {
            ShardTable::Expression => {
                Some(CountsWriter::create(target.job_folder().path(), shard)?)
            }
            _ => None,
        };
        let TargetTable { folder, layout, .. } = &tables[&table.into()];
        let job = target.job().clone();
        Ok(ShardWriter {
            shard,
            rows: RowsWriter::new(
                folder.clone(),
                job,
                layout.clone(),
                Arc::new(schema(table.into(), plan)),
                plan.fragment_rows,
            ),
            counts,
            contents,
            parts: Vec::new(),
            samples: None,
            written: 0,
        })
    }

    /// Starts the next part of the shard.
    pub fn begin_part(&mut self, plan: &Plan, part: &ShardPart, table: ShardTable) {
        self.end_part();
        self.samples = Some(ScaleSamples::of(plan, part, table));
        let values = plan.values(table);
        self.parts.push(PartRecord {
            input: part.input,
            matrices: values
                .iter()
                .map(|value| MatrixRecord::new(value.value_type))
                .collect(),
        });
    }

    fn end_part(&mut self) {
        let verdicts = self.samples.take().map(ScaleSamples::verdicts);
        let records = self.parts.last_mut().map(|part| &mut part.matrices[..]);
        let records = records.unwrap_or_default().iter_mut();
        for (record, verdict) in records.zip(verdicts.unwrap_or_default()) {
            record.scale = verdict;
        }
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &EntryBatch, runtime: &Handle) -> Result<(), IngestError> {
        runtime.block_on(self.rows.write(batch.columns(), batch.counts()))?;
        if let Some(counts) = &mut self.counts {
            counts.write(batch.counts())?;
        }
        if let (Some(contents), [batch]) = (&mut self.contents, batch.matrices()) {
            contents.add(batch.contents.iter().copied())?;
        }
        if let Some(samples) = &mut self.samples {
            samples.add(batch.matrices());
        }
        let records = self.parts.last_mut().map(|part| &mut part.matrices[..]);
        let records = records.unwrap_or_default().iter_mut();
        for (record, batch) in records.zip(batch.matrices()) {
            for stats in &batch.stats {
                record.stats.add(stats);
            }
            record.fractions += batch.fractions;
            record.canonicalized.add(&batch.canonicalized);
            record.entries += batch.entries;
            record.digest.add(batch.digest);
        }
        self.written += batch
            .counts()
            .iter()
            .map(|&count| u64::from(count))
            .sum::<u64>();
        Ok(())
    }

    /// Finishes all files, which are then durable.
    pub fn finish(mut self, runtime: &Handle) -> Result<ShardRecord, IngestError> {
        self.end_part();
        let fragments = runtime.block_on(self.rows.finish())?;
        let counts = self.counts.map(CountsWriter::finish).transpose()?;
        let contents = match self.contents {
            Some(contents) => Some(contents.finish()?.1),
            None => None,
        };
        crate::failpoint::reach("counts-written");
        Ok(ShardRecord {
            shard: self.shard,
            rows: self.written,
            parts: self.parts,
            fragments,
            counts,
            contents,
        })
    }
}
