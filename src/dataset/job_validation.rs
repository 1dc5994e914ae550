//! Validates the plan and the records of a job: they must be unchanged and consistent.
//!
//! A resumed run relies on everything they contain: the plan, what shards wrote, and what was found
//! out about the dataset. Nothing of it is used before it has been checked here.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

use super::{Checkpoint, FrameRecord, ShardRecord};
use crate::plan::{FrameTable, JobId, PLAN_VERSION, ShardPart, ShardTable};

/// Key of the digest of all other keys.
const DIGEST: &str = "digest";

/// A job whose plan or records are invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenJob {
    /// Identifier of the job, if known.
    pub job: Option<JobId>,
    /// File that describes the job.
    pub path: PathBuf,
    /// What is wrong with the file.
    pub problem: String,
}

/// Writes an object together with its digest. It is serialized twice instead of held as text, since
/// what is known of a dataset may be large.
pub(super) fn seal(value: &impl Serialize, output: &mut dyn Write) -> io::Result<()> {
    #[derive(Serialize)]
    struct Sealed<'a, T> {
        #[serde(flatten)]
        value: &'a T,
        digest: String,
    }
    let digest = digest(value)?;
    serde_json::to_writer_pretty(&mut *output, &Sealed { value, digest })?;
    output.write_all(b"\n")
}

/// Parses a sealed value and removes its digest.
///
/// # Errors
/// If the value is not what was written.
pub(super) fn unseal(bytes: &[u8]) -> Result<Value, String> {
    let mut value: Value = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is not what was written ({error})"))?;
    let found = value
        .as_object_mut()
        .and_then(|map| map.shift_remove(DIGEST));
    let wanted = digest(&value).map_err(|error| error.to_string())?;
    if found.as_ref().and_then(Value::as_str) != Some(&wanted) {
        return Err("it is not what was written (its digest differs)".into());
    }
    Ok(value)
}

impl Checkpoint {
    /// Parses a plan.
    ///
    /// # Errors
    /// If it has another version or is inconsistent.
    pub(super) fn believed(value: Value) -> Result<Self, String> {
        let version = value.get("plan").and_then(|plan| plan.get("plan_version"));
        let version = version.and_then(Value::as_u64).unwrap_or(0);
        if version > u64::from(PLAN_VERSION) {
            return Err(format!(
                "it was written by a newer slaf (its plan is of version {version}): update slaf"
            ));
        }
        if version < u64::from(PLAN_VERSION) {
            return Err(format!(
                "it was written by an older slaf (its plan is of version {version}), which this one cannot go on with"
            ));
        }
        let checkpoint: Checkpoint =
            serde_json::from_value(value).map_err(|error| error.to_string())?;
        if checkpoint.plan.job_id() != checkpoint.job {
            return Err("its plan is not that of its job".into());
        }
        match checkpoint.contradiction() {
            Some(problem) => Err(problem),
            None => Ok(checkpoint),
        }
    }

    /// Returns an inconsistency of the plan. If there is none, all indices are in range.
    fn contradiction(&self) -> Option<String> {
        let plan = &self.plan;
        for (number, input) in plan.inputs.iter().enumerate() {
            let matrices = ShardTable::ALL
                .into_iter()
                .all(|table| input.matrices(table).len() == plan.values(table).len());
            if !matrices || input.cells.start > input.cells.end || input.cells.end > plan.cells {
                return Some(format!("its input {number} does not go with its plan"));
            }
        }
        let known =
            |part: &ShardPart| part.input < plan.inputs.len() && part.rows.start <= part.rows.end;
        let of_matrices = plan.shards.iter().map(|shard| (&shard.parts, false));
        let of_frames = plan.frames.iter().map(|frame| {
            let may_be_empty = frame.table == FrameTable::Notes;
            (&frame.parts, may_be_empty)
        });
        for (number, (parts, may_be_empty)) in of_matrices.chain(of_frames).enumerate() {
            if !parts.iter().all(known) || (parts.is_empty() && !may_be_empty) {
                return Some(format!(
                    "its shard {number} is of an input that it does not have"
                ));
            }
        }
        None
    }

    /// Returns why a record does not belong to this plan. If it does, all its indices are in range.
    pub(super) fn contradicts(&self, record: &ShardRecord) -> Option<String> {
        let plan = &self.plan;
        let number = record.shard;
        let Some(shard) = plan.shards.get(number) else {
            return Some(format!("it is of the shard {number}, which is none"));
        };
        let values = plan.values(shard.table);
        let parts = record.parts.len() == shard.parts.len()
            && record
                .parts
                .iter()
                .zip(&shard.parts)
                .all(|(part, planned)| {
                    // Types are wider than planned originally if a value did not fit.
                    let types = part.matrices.iter().map(|matrix| matrix.value_type);
                    part.input == planned.input && types.eq(values.iter().map(|v| v.value_type))
                });
        let counts = record.counts.is_some() == (shard.table == ShardTable::Expression);
        (!parts || !counts).then(|| "it is not of this plan".into())
    }
}

impl Checkpoint {
    /// Likewise, of a record of cells, genes or notes.
    pub(super) fn contradicts_frame(&self, record: &FrameRecord) -> Option<String> {
        let number = record.shard;
        let Some(frame) = self.plan.frame(number) else {
            return Some(format!("it is of the shard {number}, which is none"));
        };
        let files = frame.files(number, self.plan.uns);
        let counted = record.counted.is_some() == (frame.table == FrameTable::Cells);
        let fits = counted && record.files.keys().eq(files.iter());
        (!fits).then(|| "it is not of this plan".into())
    }
}

/// Returns the beginning of the BLAKE3 digest of a value, independent of its formatting.
fn digest(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut hasher = BufWriter::with_capacity(1 << 16, blake3::Hasher::new());
    serde_json::to_writer(&mut hasher, value)?;
    let hasher = hasher
        .into_inner()
        .map_err(|error| serde_json::Error::io(error.into()))?;
    Ok(hasher.finalize().to_hex()[..32].to_string())
}
