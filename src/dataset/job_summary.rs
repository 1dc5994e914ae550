//! Summary of a running job in config.json.

use serde::{Deserialize, Serialize};

use super::job_folder::JobFolder;
use super::{Checkpoint, Status, Writer, timestamp};
use crate::plan::JobId;

/// Version of the format of the summary.
pub(super) const CHECKPOINT_VERSION: u32 = 1;

/// Progress of a job and the location of its plan and records: the key `checkpoint` of config.json.
/// It is updated as shards finish and may lag behind the records, which are decisive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobSummary {
    /// Version of the format.
    pub checkpoint_version: u32,
    /// Identifier of the job.
    pub job: JobId,
    /// What the job is doing.
    pub status: Status,
    /// Time at which the job was started.
    pub started: String,
    /// Time at which this summary was written.
    pub updated: String,
    /// The program that runs the job.
    pub writer: Writer,
    /// Name of the folder with the plan and the records, in the dataset's folder.
    pub folder: String,
    /// Number of finished shards.
    pub shards_done: u64,
    /// Number of shards.
    pub shards: u64,
    /// Number of fragments that finished shards have written.
    pub fragments: u64,
    /// Rows of matrices in them.
    pub rows: u64,
    /// Number of entries of finished shards, as expected by the plan.
    pub entries_done: u64,
    /// Number of entries of all shards, as expected by the plan.
    pub entries: u64,
}

impl JobSummary {
    /// Summarises a job's current state.
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
            shards_done: checkpoint.done(),
            shards: checkpoint.plan.all_shards() as u64,
            fragments: checkpoint.fragments().len() as u64,
            rows: records().map(|record| record.rows).sum(),
            entries_done: records().map(|record| shards[record.shard].entries).sum(),
            entries: checkpoint.plan.expected_entries(),
        }
    }

    /// Returns why the summary is invalid or not supported, if so.
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
