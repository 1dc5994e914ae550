//! Whether a checkpoint that was read is the one that was written, and holds together.
//!
//! A resumed run believes everything that it says: the plan, what shards wrote, what the dataset was
//! found to be. Nothing of it is used before it was looked at here.

use serde_json::{Map, Value};

use super::Checkpoint;
use crate::plan::{JobId, PLAN_VERSION, ShardTable};

/// The key of the digest of all others.
const DIGEST: &str = "digest";

/// A job of which something was read, but not what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenJob {
    /// The job, where that much is told.
    pub job: Option<JobId>,
    /// What is wrong with it.
    pub problem: String,
}

impl Checkpoint {
    /// As it is written: with the digest of the rest.
    pub(super) fn sealed(&self) -> Result<Value, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        let digest = digest(&value)?;
        value[DIGEST] = digest.into();
        Ok(value)
    }

    /// A checkpoint that was read.
    ///
    /// # Errors
    /// Where it is another than was written, or of another version, or contradicts itself.
    pub(super) fn believed(mut value: Map<String, Value>) -> Result<Self, BrokenJob> {
        let job = value.get("job").and_then(Value::as_str).map(JobId::of_text);
        let broken = |problem: String| BrokenJob {
            job: job.clone(),
            problem,
        };
        let version = value.get("plan").and_then(|plan| plan.get("plan_version"));
        let version = version.and_then(Value::as_u64).unwrap_or(0);
        if version > u64::from(PLAN_VERSION) {
            return Err(broken(format!(
                "it was written by a newer slaf (its plan is of version {version}): update slaf"
            )));
        }
        if version < u64::from(PLAN_VERSION) {
            return Err(broken(format!(
                "it was written by an older slaf (its plan is of version {version}), which this one cannot go on with"
            )));
        }
        let found = value.shift_remove(DIGEST);
        let value = Value::Object(value);
        let wanted = digest(&value).map_err(|error| broken(error.to_string()))?;
        if found.as_ref().and_then(Value::as_str) != Some(&wanted) {
            return Err(broken(
                "it is not what was written (its digest differs)".into(),
            ));
        }
        let checkpoint: Checkpoint =
            serde_json::from_value(value).map_err(|error| broken(error.to_string()))?;
        if checkpoint.plan.job_id() != checkpoint.job {
            return Err(broken("its plan is not that of its job".into()));
        }
        match checkpoint.contradiction() {
            Some(problem) => Err(broken(problem)),
            None => Ok(checkpoint),
        }
    }

    /// What in it does not go together; what indexes another list is within it, if this is `None`.
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
        for (number, shard) in plan.shards.iter().enumerate() {
            let parts = shard.parts.iter().all(|part| {
                let known = part.input < plan.inputs.len();
                known && part.rows.start <= part.rows.end
            });
            if !parts || shard.parts.is_empty() {
                return Some(format!(
                    "its shard {number} is of an input that it does not have"
                ));
            }
        }
        let mut seen = vec![false; plan.shards.len()];
        for record in &self.shards {
            let number = record.shard;
            let Some(shard) = plan.shards.get(number) else {
                return Some(format!(
                    "it has a record of the shard {number}, which is none"
                ));
            };
            if std::mem::replace(&mut seen[number], true) {
                return Some(format!("it has two records of the shard {number}"));
            }
            let values = plan.values(shard.table).len();
            let parts = record.parts.len() == shard.parts.len()
                && record
                    .parts
                    .iter()
                    .zip(&shard.parts)
                    .all(|(part, planned)| {
                        part.input == planned.input && part.matrices.len() == values
                    });
            let counts = record.counts.is_some() == (shard.table == ShardTable::Expression);
            if !parts || !counts {
                return Some(format!(
                    "its record of the shard {number} is that of another"
                ));
            }
        }
        None
    }
}

/// The beginning of the BLAKE3 digest of what a value says, however it is laid out.
fn digest(value: &Value) -> Result<String, serde_json::Error> {
    let json = serde_json::to_vec(value)?;
    Ok(blake3::hash(&json).to_hex()[..32].to_string())
}
