//! A job's own folder in the dataset: its plan, which is written once, and a record of each finished
//! shard, one small file a shard.
//!
//! Records decide: a shard with a record that can be believed is done, any other is written anew. Each
//! file is written under another name and renamed, and has a digest of its own.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::believed::{seal, unseal};
use super::{BrokenJob, Checkpoint, DatasetError, ShardRecord};
use crate::plan::JobId;
use crate::store::{
    Named, StoreError, create_folder, read_regular, remove_file, replace_file, sync_folder,
};

/// The beginning of the names of job folders.
pub(crate) const JOB_FOLDER: &str = ".job-";

const PLAN: &str = "plan.json";
const RECORDS: &str = "records";

/// The version of records that is written and understood.
const RECORD_VERSION: u32 = 1;

/// Bytes of a record at most: it grows with the inputs that a shard has parts of.
const LARGEST_RECORD: u64 = 256 << 20;

/// The folder of a job.
#[derive(Debug, Clone)]
pub(crate) struct JobFolder {
    path: PathBuf,
    job: JobId,
}

/// What was found of a job.
#[derive(Debug)]
pub enum JobState {
    /// There is no job.
    None,
    /// It was begun, and has written nothing.
    Begun(JobId),
    /// Its plan is known.
    Known(Box<Checkpoint>),
    /// It cannot be gone on with.
    Broken(BrokenJob),
}

impl JobFolder {
    /// The folder of a job in a dataset's.
    pub fn of(dataset: &Path, job: &JobId) -> Self {
        JobFolder {
            path: dataset.join(Self::name(job)),
            job: job.clone(),
        }
    }

    /// The name of the folder of a job.
    pub fn name(job: &JobId) -> String {
        format!("{JOB_FOLDER}{}", job.short())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the folder, if it is not there.
    pub fn create(&self) -> Result<(), StoreError> {
        create_folder(&self.path)?;
        create_folder(&self.path.join(RECORDS))
    }

    fn plan(&self) -> PathBuf {
        self.path.join(PLAN)
    }

    fn record(&self, shard: usize) -> PathBuf {
        self.path.join(RECORDS).join(format!("{shard}.json"))
    }

    /// Writes the plan and what else the job found out about its inputs and its base.
    pub fn write_plan(&self, checkpoint: &Checkpoint) -> Result<(), DatasetError> {
        Ok(write(&self.plan(), serde_json::to_value(checkpoint))?)
    }

    /// Records a finished shard.
    pub fn put(&self, record: &ShardRecord) -> Result<(), DatasetError> {
        let value = serde_json::to_value(record).map(|mut value| {
            value["record_version"] = RECORD_VERSION.into();
            value["job"] = self.job.as_str().into();
            value
        });
        Ok(write(&self.record(record.shard), value)?)
    }

    /// Removes the records of shards that are to be written anew.
    pub fn forget(&self, records: &[ShardRecord]) -> Result<(), StoreError> {
        for record in records {
            remove_file(&self.record(record.shard))?;
        }
        sync_folder(&self.path.join(RECORDS))
    }

    /// Reads the plan, without the records.
    pub fn read_plan(&self) -> Result<JobState, StoreError> {
        let path = self.plan();
        let bytes = match read_regular(&path, u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(match self.record_names()?.is_empty() {
                    true => JobState::Begun(self.job.clone()),
                    false => self.broken("it is missing, although shards are recorded".into()),
                });
            }
            Err(error) => return Err(StoreError::from_io("read", &path, error)),
        };
        let believed = unseal(&bytes).and_then(Checkpoint::believed);
        Ok(match believed {
            Ok(checkpoint) if checkpoint.job == self.job => JobState::Known(Box::new(checkpoint)),
            Ok(_) => self.broken("it is that of another job".into()),
            Err(problem) => self.broken(problem),
        })
    }

    fn broken(&self, problem: String) -> JobState {
        JobState::Broken(BrokenJob {
            job: Some(self.job.clone()),
            path: self.plan(),
            problem,
        })
    }

    fn record_names(&self) -> Result<Vec<String>, StoreError> {
        let folder = self.path.join(RECORDS);
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.named("list", &folder)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.named("list", &folder)?.file_name();
            names.push(name.to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Adds the records of finished shards to the plan that they are of. Of those that cannot be
    /// believed it is told, and their shards are missing.
    pub fn read_records(&self, checkpoint: &mut Checkpoint) -> Result<(), StoreError> {
        for name in self.record_names()? {
            // One that was not written to its end.
            if name.starts_with('.') {
                continue;
            }
            let path = self.path.join(RECORDS).join(&name);
            let shard = name.strip_suffix(".json").and_then(|n| n.parse().ok());
            // No other way to write the number: two files would be of one shard.
            let shard = shard.filter(|shard: &usize| name == format!("{shard}.json"));
            let Some(shard) = shard else {
                tracing::warn!(
                    "{}: it is no record of a shard, and is ignored",
                    path.display()
                );
                continue;
            };
            let bytes = match read_regular(&path, LARGEST_RECORD) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(StoreError::from_io("read", &path, error)),
            };
            match self.believed(shard, &bytes, checkpoint) {
                Ok(record) => checkpoint.shards.push(record),
                Err(problem) => {
                    tracing::warn!("{}: {problem}: its shard is written again", path.display());
                }
            }
        }
        checkpoint.shards.sort_by_key(|record| record.shard);
        Ok(())
    }

    fn believed(
        &self,
        shard: usize,
        bytes: &[u8],
        checkpoint: &Checkpoint,
    ) -> Result<ShardRecord, String> {
        let value = unseal(bytes)?;
        let version = value.get("record_version").and_then(Value::as_u64);
        if version != Some(RECORD_VERSION.into()) {
            let version = version.map_or("none".into(), |version| version.to_string());
            return Err(format!("its version, {version}, is unknown"));
        }
        if value.get("job").and_then(Value::as_str) != Some(self.job.as_str()) {
            return Err("it is of another job".into());
        }
        let record: ShardRecord =
            serde_json::from_value(value).map_err(|error| error.to_string())?;
        if record.shard != shard {
            return Err(format!("it is of the shard {}", record.shard));
        }
        match checkpoint.contradicts(&record) {
            Some(problem) => Err(problem),
            None => Ok(record),
        }
    }
}

/// Writes a value with its digest.
fn write(path: &Path, value: Result<Value, serde_json::Error>) -> Result<(), StoreError> {
    let bytes = value.and_then(seal);
    let bytes = bytes.map_err(|error| StoreError::from_io("write", path, error.into()))?;
    replace_file(path, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_not_what_was_sealed() {
        let sealed = seal(serde_json::json!({"shard": 3, "rows": 1.5})).unwrap();
        assert_eq!(unseal(&sealed).unwrap()["shard"], 3);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            // What is laid out otherwise says the same.
            if sealed[place].is_ascii_whitespace() {
                continue;
            }
            assert!(unseal(&changed).is_err(), "{place}");
            assert!(unseal(&sealed[..place]).is_err(), "{place}");
        }
    }

    #[test]
    fn a_folder_without_a_plan_is_of_a_job_that_has_only_begun() {
        let dataset = tempfile::tempdir().unwrap();
        let folder = JobFolder::of(dataset.path(), &JobId::of_text("0123456789abcdef0123"));
        assert!(matches!(folder.read_plan().unwrap(), JobState::Begun(_)));
        folder.create().unwrap();
        assert!(matches!(folder.read_plan().unwrap(), JobState::Begun(_)));
        std::fs::write(folder.record(0), b"{}").unwrap();
        assert!(matches!(folder.read_plan().unwrap(), JobState::Broken(_)));
    }
}
