//! Writing one shard.

use tokio::runtime::Handle;

use super::IngestError;
use super::batch::Batch;
use super::counts::CountsWriter;
use super::target::Target;
use crate::dataset::{MatrixRecord, ShardRecord};
use crate::plan::{Plan, ShardTable};
use crate::table::{RowsWriter, TableName, schema};

/// Writes the rows of a shard, and what its record will say.
pub(super) struct ShardWriter {
    shard: usize,
    rows: RowsWriter,
    /// How many rows each cell has, for the table of cells.
    counts: Option<(CountsWriter, String)>,
    matrices: Vec<MatrixRecord>,
    written: u64,
}

impl ShardWriter {
    /// A writer that has written nothing yet.
    pub fn begin(target: &Target, plan: &Plan, shard: usize) -> Result<Self, IngestError> {
        let table = plan.shards[shard].table;
        let name = TableName::from(table);
        let counts = match table {
            ShardTable::Expression => {
                let file = format!("counts-{shard}.arrow");
                let writer = CountsWriter::create(target.job_folder().join(&file))?;
                Some((writer, file))
            }
            _ => None,
        };
        let folder = target.table(name);
        let values = plan.values(table);
        Ok(ShardWriter {
            shard,
            rows: RowsWriter::new(
                folder,
                plan.job_id(),
                schema(name, plan),
                plan.fragment_rows,
            ),
            counts,
            matrices: values
                .iter()
                .map(|value| MatrixRecord::new(value.value_type))
                .collect(),
            written: 0,
        })
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &Batch, runtime: &Handle) -> Result<(), IngestError> {
        runtime.block_on(self.rows.write(batch.columns(), batch.counts()))?;
        if let Some((counts, _)) = &mut self.counts {
            counts.write(batch.counts())?;
        }
        for (record, batch) in self.matrices.iter_mut().zip(batch.matrices()) {
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
        let mut file = None;
        if let Some((counts, name)) = self.counts {
            counts.finish()?;
            file = Some(name);
        }
        crate::failpoint::reach("counts-written");
        Ok(ShardRecord {
            shard: self.shard,
            rows: self.written,
            matrices: self.matrices,
            fragments,
            counts: file,
        })
    }
}
