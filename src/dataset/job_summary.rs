//! What config.json says of a job under way.

use serde::{Deserialize, Serialize};

use super::job_folder::JobFolder;
use super::{Checkpoint, Status, Writer, timestamp};
use crate::plan::JobId;

/// The version of what config.json says of a job.
pub(super) const CHECKPOINT_VERSION: u32 = 1;

/// How far a job is, and where its plan and its records are: the key `checkpoint` of config.json. It is
/// refreshed as shards finish, and may be somewhat behind the records, which decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    pub checkpoint_version: u32,
    pub job: JobId,
    pub status: Status,
    /// When the job was begun.
    pub started: String,
    /// When this was written.
    pub updated: String,
    pub writer: Writer,
    /// The folder of the plan and the records, in the dataset's.
    pub folder: String,
    pub shards_done: u64,
    pub shards: u64,
    /// Fragments that finished shards have written.
    pub fragments: u64,
    /// Rows in them.
    pub rows: u64,
    /// Stored entries of finished shards and of all, as the plan expects them.
    pub entries_done: u64,
    pub entries: u64,
}

impl JobSummary {
    /// What is to be said of a job now.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let records = || checkpoint.shards.iter();
        let shards = &checkpoint.plan.shards;
        JobSummary {
            checkpoint_version: CHECKPOINT_VERSION,
            job: checkpoint.job.clone(),
            status: checkpoint.status,
            started: checkpoint.started.clone(),
            updated: timestamp(),
            writer: checkpoint.writer.clone(),
            folder: JobFolder::name(&checkpoint.job),
            shards_done: checkpoint.shards.len() as u64,
            shards: checkpoint.plan.shards.len() as u64,
            fragments: records().map(|record| record.fragments.len() as u64).sum(),
            rows: records().map(|record| record.rows).sum(),
            entries_done: records().map(|record| shards[record.shard].entries).sum(),
            entries: checkpoint.plan.expected_entries(),
        }
    }

    /// Why this cannot be what was written, or cannot be understood.
    pub(super) fn problem(&self) -> Option<String> {
        let version = self.checkpoint_version;
        if version > CHECKPOINT_VERSION {
            return Some(format!(
                "it was written by a newer slaf (its version is {version}): update slaf"
            ));
        }
        let job = self.job.as_str();
        let is_job = !job.is_empty() && job.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_job || self.folder != JobFolder::name(&self.job) {
            return Some("it names no job, or the folder of another".into());
        }
        None
    }
}
