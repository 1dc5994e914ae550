//! A job's folder in the dataset. It contains the plan, which is written once, and a small file
//! with the record of each finished shard.
//!
//! The records are decisive: a shard with a valid record is done; any other is written again. Each
//! file is written under a temporary name and renamed, and contains its own digest.

use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::job_validation::{seal, unseal};
use super::{BrokenJob, Checkpoint, DatasetError, FrameRecord, ShardRecord};
use crate::plan::JobId;
use crate::store::{
    Named, StoreError, create_folder, read_regular, remove_file, replace_file_with, sync_folder,
};

/// Prefix of the names of job folders.
pub(crate) const JOB_FOLDER: &str = ".job-";

const PLAN: &str = "plan.json";
const RECORDS: &str = "records";

/// Version of the format of records.
const RECORD_VERSION: u32 = 1;

/// Maximum size of a record in bytes; it grows with the number of inputs of which a shard has
/// parts.
const LARGEST_RECORD: u64 = 256 << 20;

/// Folder of a job.
#[derive(Debug, Clone)]
pub(crate) struct JobFolder {
    path: PathBuf,
    job: JobId,
}

/// State of a job.
#[derive(Debug)]
pub enum JobState {
    /// There is no job.
    None,
    /// The job was started but has written nothing.
    Begun(JobId),
    /// The job's plan is valid.
    Known(Box<Checkpoint>),
    /// The job cannot be resumed.
    Broken(BrokenJob),
}

impl JobFolder {
    /// Returns the folder of a job in a dataset's folder.
    pub fn of(dataset: &Path, job: &JobId) -> Self {
        JobFolder {
            path: dataset.join(Self::name(job)),
            job: job.clone(),
        }
    }

    /// Returns the name of a job's folder.
    pub fn name(job: &JobId) -> String {
        format!("{JOB_FOLDER}{}", job.short())
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the folder if it does not exist.
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

    /// Writes the plan, and what else the job found out about its inputs and the dataset it appends
    /// to.
    pub fn write_plan(&self, checkpoint: &Checkpoint) -> Result<(), DatasetError> {
        Ok(write(&self.plan(), checkpoint)?)
    }

    /// Records a finished shard.
    pub fn put(&self, record: &ShardRecord) -> Result<(), DatasetError> {
        self.put_record(record.shard, record)
    }

    /// Records a finished shard of cells, genes or notes.
    pub fn put_frame(&self, record: &FrameRecord) -> Result<(), DatasetError> {
        self.put_record(record.shard, record)
    }

    fn put_record<T: Serialize>(&self, shard: usize, record: &T) -> Result<(), DatasetError> {
        let recorded = Recorded {
            record,
            record_version: RECORD_VERSION,
            job: self.job.as_str(),
        };
        Ok(write(&self.record(shard), &recorded)?)
    }

    /// Removes the records of shards that are to be written again.
    pub fn forget(&self, shards: impl IntoIterator<Item = usize>) -> Result<(), StoreError> {
        for shard in shards {
            remove_file(&self.record(shard))?;
        }
        sync_folder(&self.path.join(RECORDS))
    }

    /// Reads the plan, without the records.
    pub fn read_plan(&self) -> Result<JobState, StoreError> {
        let path = self.plan();
        let bytes = match read_regular(&path, u64::MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(if self.record_names()?.is_empty() {
                    JobState::Begun(self.job.clone())
                } else {
                    self.broken("it is missing, although shards are recorded".into())
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

    /// Adds the records of finished shards to the checkpoint with their plan. Warns about invalid
    /// records, whose shards then count as missing.
    pub fn read_records(&self, checkpoint: &mut Checkpoint) -> Result<(), StoreError> {
        for name in self.record_names()? {
            // An unfinished file.
            if name.starts_with('.') {
                continue;
            }
            let path = self.path.join(RECORDS).join(&name);
            let shard = name.strip_suffix(".json").and_then(|n| n.parse().ok());
            // Reject other spellings of the number, which would allow two files for one shard.
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
            if let Err(problem) = self.take(shard, &bytes, checkpoint) {
                tracing::warn!("{}: {problem}: its shard is written again", path.display());
            }
        }
        checkpoint.shards.sort_by_key(|record| record.shard);
        checkpoint.frames.sort_by_key(|record| record.shard);
        Ok(())
    }

    /// Adds the record of a shard.
    fn take(&self, shard: usize, bytes: &[u8], checkpoint: &mut Checkpoint) -> Result<(), String> {
        if shard < checkpoint.plan.shards.len() {
            let record: ShardRecord = self.believed(bytes)?;
            match checkpoint.contradicts(&record) {
                None if record.shard == shard => checkpoint.shards.push(record),
                problem => return Err(problem.unwrap_or_else(|| another(record.shard))),
            }
        } else {
            let record: FrameRecord = self.believed(bytes)?;
            match checkpoint.contradicts_frame(&record) {
                None if record.shard == shard => checkpoint.frames.push(record),
                problem => return Err(problem.unwrap_or_else(|| another(record.shard))),
            }
        }
        Ok(())
    }

    /// A record that is what was written, by this job.
    fn believed<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, String> {
        let value = unseal(bytes)?;
        let version = value.get("record_version").and_then(Value::as_u64);
        if version != Some(RECORD_VERSION.into()) {
            let version = version.map_or("none".into(), |version| version.to_string());
            return Err(format!("its version, {version}, is unknown"));
        }
        if value.get("job").and_then(Value::as_str) != Some(self.job.as_str()) {
            return Err("it is of another job".into());
        }
        serde_json::from_value(value).map_err(|error| error.to_string())
    }
}

fn another(shard: usize) -> String {
    format!("it is of the shard {shard}")
}

/// The record of a shard as it is written.
#[derive(Serialize)]
struct Recorded<'a, T> {
    #[serde(flatten)]
    record: &'a T,
    record_version: u32,
    job: &'a str,
}

/// Writes a value with its digest.
fn write(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    replace_file_with(path, |output| seal(value, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_not_what_was_sealed() {
        let mut sealed = Vec::new();
        seal(&serde_json::json!({"shard": 3, "rows": 1.5}), &mut sealed).unwrap();
        assert_eq!(unseal(&sealed).unwrap()["shard"], 3);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            // Changing whitespace does not change the value.
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
