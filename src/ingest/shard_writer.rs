//! Writing one shard.

use tokio::runtime::Handle;

use super::IngestError;
use super::batch::Batch;
use super::counts::CountsWriter;
use super::tables::{Tables, TargetTable};
use super::target::Target;
use crate::dataset::{MatrixRecord, PartRecord, ShardRecord};
use crate::plan::{Plan, ShardTable};
use crate::table::RowsWriter;

/// Writes the rows of a shard, and what its record will say.
pub(super) struct ShardWriter {
    shard: usize,
    rows: RowsWriter,
    /// How many rows each cell has, for the table of cells.
    counts: Option<CountsWriter>,
    parts: Vec<PartRecord>,
    written: u64,
}

impl ShardWriter {
    /// A writer that has written nothing yet.
    pub fn begin(
        target: &Target,
        tables: &Tables,
        plan: &Plan,
        shard: usize,
    ) -> Result<Self, IngestError> {
        let table = plan.shards[shard].table;
        let counts = match table {
            ShardTable::Expression => Some(CountsWriter::create(&target.job_folder(), shard)?),
            _ => None,
        };
        let TargetTable { folder, layout, .. } = &tables[&table.into()];
        let job = target.job().clone();
        Ok(ShardWriter {
            shard,
            rows: RowsWriter::new(folder.clone(), job, layout.clone(), plan.fragment_rows),
            counts,
            parts: Vec::new(),
            written: 0,
        })
    }

    /// What follows is of this input.
    pub fn begin_part(&mut self, plan: &Plan, input: usize, table: ShardTable) {
        let values = plan.values(table);
        self.parts.push(PartRecord {
            input,
            matrices: values
                .iter()
                .map(|value| MatrixRecord::new(value.value_type))
                .collect(),
        });
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &Batch, runtime: &Handle) -> Result<(), IngestError> {
        runtime.block_on(self.rows.write(batch.columns(), batch.counts()))?;
        if let Some(counts) = &mut self.counts {
            counts.write(batch.counts())?;
        }
        let records = self.parts.last_mut().map(|part| &mut part.matrices[..]);
        let records = records.unwrap_or_default().iter_mut();
        for (record, batch) in records.zip(batch.matrices()) {
            for stats in &batch.stats {
                record.stats.add(stats);
            }
            record.tidied.add(&batch.tidied);
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

    /// Ends all files, which are durable then.
    pub fn finish(self, runtime: &Handle) -> Result<ShardRecord, IngestError> {
        let fragments = runtime.block_on(self.rows.finish())?;
        let counts = self.counts.map(CountsWriter::finish).transpose()?;
        crate::failpoint::reach("counts-written");
        Ok(ShardRecord {
            shard: self.shard,
            rows: self.written,
            parts: self.parts,
            fragments,
            counts,
        })
    }
}
