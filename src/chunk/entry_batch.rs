//! Rows of a shard that are ready to be written.

use arrow::array::ArrayRef;

use super::{CooBatch, LayersBatch};

/// Rows of a table of non-zeros.
pub(crate) enum EntryBatch {
    /// Rows of one matrix.
    One(Box<CooBatch>),
    /// United rows of several matrices.
    Several(LayersBatch),
}

impl EntryBatch {
    /// Columns of the table.
    pub fn columns(&self) -> Vec<ArrayRef> {
        match self {
            EntryBatch::One(batch) => vec![
                batch.cell_ids.clone(),
                batch.gene_ids.clone(),
                batch.values.clone(),
            ],
            EntryBatch::Several(batch) => {
                let mut columns = vec![batch.cell_ids.clone(), batch.gene_ids.clone()];
                columns.extend(batch.values.iter().cloned());
                columns
            }
        }
    }

    /// Number of rows of the table for each row of the matrices.
    pub fn counts(&self) -> &[u32] {
        match self {
            EntryBatch::One(batch) => &batch.counts,
            EntryBatch::Several(batch) => &batch.counts,
        }
    }

    /// The rows of each matrix.
    pub fn matrices(&self) -> &[CooBatch] {
        match self {
            EntryBatch::One(batch) => std::slice::from_ref(batch),
            EntryBatch::Several(batch) => &batch.layers,
        }
    }

    /// Number of entries as stored, over all matrices.
    pub fn entries(&self) -> u64 {
        self.matrices().iter().map(|batch| batch.entries).sum()
    }
}
