//! What a job did.

use serde::Serialize;

use crate::dataset::DatasetConfig;
use crate::plan::Widened;
use crate::table::TableName;

/// What was appended to a dataset.
#[derive(Debug, Clone, Serialize)]
pub struct Appended {
    pub cells: u64,
    pub genes: u64,
    /// Rows of the expression table.
    pub rows: u64,
    /// Tables that were written anew.
    pub rewritten: Vec<TableName>,
    /// What other programs had done to the dataset.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adopted: Vec<String>,
    /// What another program had left wrong or out.
    pub repaired: Vec<String>,
}

/// The result of a job, for summaries.
#[must_use]
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The dataset as config.json describes it.
    pub dataset: DatasetConfig,
    /// What was appended, unless the dataset is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appended: Option<Appended>,
    /// Types that were tried before the values' final one.
    pub widened: Vec<Widened>,
    /// Bytes of the inputs.
    pub bytes_in: u64,
    /// Bytes of the data files of all tables.
    pub bytes_out: u64,
    /// Fragments of the expression table.
    pub fragments: u64,
    /// Shards that an earlier run had written.
    pub resumed_shards: u64,
    pub shards: u64,
}

impl Outcome {
    /// Cells of the whole dataset.
    pub fn n_obs(&self) -> u64 {
        self.dataset.array_shape[0]
    }

    /// Genes of the whole dataset.
    pub fn n_vars(&self) -> u64 {
        self.dataset.array_shape[1]
    }

    /// Rows of the expression table: non-zeros of the whole dataset.
    pub fn nnz(&self) -> u64 {
        self.dataset.metadata.expression_count
    }
}
