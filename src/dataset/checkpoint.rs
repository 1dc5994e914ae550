//! What a job has done so far.

use lance_table::format::Fragment;
use serde::{Deserialize, Serialize};

use super::Writer;
use crate::chunk::{Tidied, ValueStats};
use crate::plan::{JobId, Plan};
use crate::survey::ValueType;

/// A job under way: its plan and the records of its finished shards.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    pub job: JobId,
    pub status: Status,
    /// When the job was begun.
    pub started: String,
    pub writer: Writer,
    pub plan: Plan,
    /// In the order in which they were finished.
    pub shards: Vec<ShardRecord>,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Shards are written.
    Writing,
    /// All shards are there; tables are committed.
    Committing,
}

/// A finished shard. All its files are durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShardRecord {
    /// The shard, by its position in the plan.
    pub shard: usize,
    /// The type in which its values are written.
    pub value_type: ValueType,
    /// Entries as stored in the input.
    pub entries: u64,
    pub stats: ValueStats,
    pub tidied: Tidied,
    /// Fragments of the expression table, in order.
    pub expression: Vec<Fragment>,
    /// The file in the job's folder that holds the number of rows of each cell.
    pub counts: String,
}

impl Checkpoint {
    /// The record of a shard, if it is finished.
    pub fn record(&self, shard: usize) -> Option<&ShardRecord> {
        self.shards.iter().find(|record| record.shard == shard)
    }

    /// The shards that are still to be written.
    pub fn missing(&self) -> Vec<usize> {
        let done: std::collections::HashSet<usize> = self.shards.iter().map(|r| r.shard).collect();
        (0..self.plan.shards.len())
            .filter(|shard| !done.contains(shard))
            .collect()
    }
}
