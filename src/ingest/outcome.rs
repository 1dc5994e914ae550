//! Results of a job.

use serde::Serialize;

use crate::dataset::DatasetConfig;
use crate::plan::Widened;
use crate::table::TableName;

/// What was appended to a dataset.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Appended {
    /// Number of cells.
    pub cells: u64,
    /// Number of genes.
    pub genes: u64,
    /// Number of rows of the expression table.
    pub rows: u64,
    /// Tables that were rewritten.
    pub rewritten: Vec<TableName>,
    /// Descriptions of what other programs had done to the dataset.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adopted: Vec<String>,
    /// Descriptions of what another program had omitted or got wrong.
    pub repaired: Vec<String>,
}

/// Result of a job, for summaries.
#[must_use]
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// The dataset as described by config.json.
    pub dataset: DatasetConfig,
    /// What was appended, unless the dataset is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appended: Option<Appended>,
    /// Value types that were tried before the final one.
    pub widened: Vec<Widened>,
    /// Size of the inputs in bytes.
    pub bytes_in: u64,
    /// Size of the data files of all tables in bytes.
    pub bytes_out: u64,
    /// Number of fragments of the expression table.
    pub fragments: u64,
    /// Number of shards that an earlier run had written.
    pub resumed_shards: u64,
    /// Number of shards.
    pub shards: u64,
}

impl Outcome {
    /// Number of cells of the whole dataset.
    pub fn n_obs(&self) -> u64 {
        self.dataset.array_shape[0]
    }

    /// Number of genes of the whole dataset.
    pub fn n_vars(&self) -> u64 {
        self.dataset.array_shape[1]
    }

    /// Number of rows of the expression table, that is, non-zeros of the whole dataset.
    pub fn nnz(&self) -> u64 {
        self.dataset.metadata.expression_count
    }
}
