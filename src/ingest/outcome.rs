//! What a job did.

use serde::Serialize;

use crate::dataset::DatasetConfig;
use crate::plan::Widened;

/// The result of a job, for summaries.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// The dataset as config.json describes it.
    pub dataset: DatasetConfig,
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
