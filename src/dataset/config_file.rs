//! Reads and replaces `config.json`.

use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::path::Path;

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::FORMAT_VERSION;
use super::job_folder::JobFolder;
use super::{BrokenJob, DatasetConfig, DatasetError, JobState, JobSummary, Writer};
use crate::plan::JobId;
use crate::store::{Named, StoreError, open_regular, replace_file_with};

/// Name of the file.
pub const CONFIG: &str = "config.json";

/// Name of the file with the unstructured data (`uns`).
pub const UNS: &str = "uns.json";

/// Contents of config.json: a dataset, a job that is writing it, or both.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile {
    /// The complete dataset; `None` while it is being created.
    pub dataset: Option<DatasetConfig>,
    /// Progress of a running or interrupted job.
    pub checkpoint: Option<JobSummary>,
    /// A job that cannot be resumed.
    pub broken: Option<BrokenJob>,
}

/// Keys that show what the file contains.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format_version: Value,
    #[serde(default)]
    array_shape: Option<IgnoredAny>,
    #[serde(default)]
    checkpoint: Value,
}

/// The file as it is written.
#[derive(Serialize)]
struct OnDisk<'a> {
    #[serde(flatten)]
    dataset: Described<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<&'a JobSummary>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Described<'a> {
    Complete(&'a DatasetConfig),
    /// A dataset that is being created has no shape, so that it is not mistaken for a complete one.
    InTheMaking {
        format_version: &'a str,
        writer: Writer,
    },
}

impl ConfigFile {
    /// Reads the config of the dataset in `folder`; `None` if there is none.
    ///
    /// # Errors
    /// [`DatasetError::Newer`] if a newer program wrote it. An invalid job is not an error: the
    /// dataset it would have changed is unaffected.
    pub fn read(folder: &Path) -> Result<Option<Self>, DatasetError> {
        let path = folder.join(CONFIG);
        let mut json = match open_regular(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::from_io("read", &path, error).into()),
        };
        let dataset: Result<DatasetConfig, _> = parse(&json);
        let (version, checkpoint, dataset) = match dataset {
            Ok(mut dataset) => {
                let checkpoint = dataset.others.shift_remove("checkpoint");
                let version = Value::from(dataset.format_version.as_str());
                (version, checkpoint, Ok(Some(dataset)))
            }
            Err(error) => {
                json.rewind().named("read", &path)?;
                let head: Head = parse(&json).map_err(|error| unread(&path, error))?;
                let complete = head.array_shape.is_some();
                let dataset = if complete { Err(error) } else { Ok(None) };
                (head.format_version, Some(head.checkpoint), dataset)
            }
        };
        if let Some(version) = version.as_str()
            && is_newer(version)
        {
            return Err(DatasetError::Newer {
                path,
                version: version.to_string(),
            });
        }
        let mut file = ConfigFile {
            dataset: dataset.map_err(|error| unread(&path, error))?,
            ..ConfigFile::default()
        };
        match checkpoint {
            // The reference leaves a checkpoint in its own form, which is ignored.
            Some(Value::Object(job)) if job.contains_key("job") || job.contains_key("plan") => {
                let id = job.get("job").and_then(Value::as_str).map(JobId::of_text);
                match summary(Value::Object(job)) {
                    Ok(summary) => file.checkpoint = Some(summary),
                    Err(problem) => {
                        file.broken = Some(BrokenJob {
                            job: id,
                            path: path.clone(),
                            problem,
                        });
                    }
                }
            }
            _ => {}
        }
        Ok(Some(file))
    }

    /// Replaces the config of the dataset in `folder` durably and atomically.
    ///
    /// # Errors
    /// If the file cannot be serialized or written.
    pub fn write(&self, folder: &Path) -> Result<(), DatasetError> {
        let path = folder.join(CONFIG);
        let file = OnDisk {
            dataset: match &self.dataset {
                Some(dataset) => Described::Complete(dataset),
                None => Described::InTheMaking {
                    format_version: FORMAT_VERSION,
                    writer: Writer::this(),
                },
            },
            checkpoint: self.checkpoint.as_ref(),
        };
        // Streamed, since a dataset may have millions of categories.
        Ok(replace_file_with(&path, |output| {
            serde_json::to_writer_pretty(&mut *output, &file)?;
            output.write_all(b"\n")
        })?)
    }
}

impl ConfigFile {
    /// Reads the plan of the job that is running in the dataset in `folder` from the job's folder,
    /// without its records.
    ///
    /// # Errors
    /// If the plan cannot be read. An invalid plan is not an error but [`JobState::Broken`].
    pub fn job_plan(&self, folder: &Path) -> Result<JobState, DatasetError> {
        let Some(summary) = &self.checkpoint else {
            return Ok(match &self.broken {
                Some(broken) => JobState::Broken(broken.clone()),
                None => JobState::None,
            });
        };
        let state = JobFolder::of(folder, &summary.job).read_plan()?;
        Ok(match state {
            JobState::Known(mut checkpoint) => {
                checkpoint.status = summary.status;
                JobState::Known(checkpoint)
            }
            // A job that has not finished its first shard may not have written its plan yet.
            JobState::Begun(job) if summary.shards_done > 0 => JobState::Broken(BrokenJob {
                job: Some(job),
                path: folder.join(CONFIG),
                problem: format!("its folder {} is missing", summary.folder),
            }),
            other => other,
        })
    }

    /// Like [`ConfigFile::job_plan`], with the records of finished shards. Requires the lock. A
    /// shard whose record is invalid is written again.
    ///
    /// # Errors
    /// If the plan or a record cannot be read.
    pub fn job(&self, folder: &Path) -> Result<JobState, DatasetError> {
        let mut state = self.job_plan(folder)?;
        if let JobState::Known(checkpoint) = &mut state {
            JobFolder::of(folder, &checkpoint.job.clone()).read_records(checkpoint)?;
        }
        Ok(state)
    }
}

/// Parses a file as it is read: a dataset may have millions of categories.
fn parse<T: DeserializeOwned>(json: &File) -> Result<T, serde_json::Error> {
    serde_json::from_reader(BufReader::with_capacity(1 << 16, json))
}

fn unread(path: &Path, error: serde_json::Error) -> DatasetError {
    if error.is_io() {
        return StoreError::from_io("read", path, error.into()).into();
    }
    DatasetError::Config {
        path: path.to_path_buf(),
        source: error,
    }
}

/// Parses the summary of a job.
fn summary(value: Value) -> Result<JobSummary, String> {
    if value.get("plan").is_some() {
        return Err(
            "it was written by an older slaf (its records are in config.json), which this one cannot go on with".into(),
        );
    }
    let summary: JobSummary = serde_json::from_value(value).map_err(|error| error.to_string())?;
    match summary.problem() {
        Some(problem) => Err(problem),
        None => Ok(summary),
    }
}

/// Whether a format version is later than the one that is written.
fn is_newer(version: &str) -> bool {
    let numbers = |version: &str| -> Option<Vec<u64>> {
        version.split('.').map(|part| part.parse().ok()).collect()
    };
    // Something that is not a version does not count as newer.
    match (numbers(version), numbers(FORMAT_VERSION)) {
        (Some(version), Some(own)) => version > own,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_others_survive() {
        let folder = tempfile::tempdir().unwrap();
        let json = r#"{"format_version": "0.4", "array_shape": [2, 3], "tables": {"cells": "cells.lance"},
            "mine": {"x": 1}, "checkpoint": {"last_completed_chunk": 3}}"#;
        std::fs::write(folder.path().join(CONFIG), json).unwrap();
        let config = ConfigFile::read(folder.path()).unwrap().unwrap();
        assert!(config.checkpoint.is_none());
        config.write(folder.path()).unwrap();
        let again = ConfigFile::read(folder.path()).unwrap().unwrap();
        assert_eq!(again.dataset.unwrap().others["mine"]["x"], 1);
    }

    #[test]
    fn a_dataset_in_the_making_has_no_shape() {
        let folder = tempfile::tempdir().unwrap();
        ConfigFile::default().write(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join(CONFIG)).unwrap();
        assert!(!text.contains("array_shape"));
        assert!(
            ConfigFile::read(folder.path())
                .unwrap()
                .unwrap()
                .dataset
                .is_none()
        );
    }

    #[test]
    fn damage_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CONFIG), "{").unwrap();
        let message = ConfigFile::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains(CONFIG), "{message}");
    }
}
