//! Reading and replacing `config.json`.

use std::path::Path;

use serde_json::{Map, Value};

use super::config::FORMAT_VERSION;
use super::{Checkpoint, DatasetConfig, DatasetError, Writer};
use crate::store::{StoreError, replace_file};

/// The name of the file.
pub const CONFIG: &str = "config.json";

/// The file that holds what is neither a table nor a matrix.
pub const UNS: &str = "uns.json";

/// What config.json holds: a dataset, a job that is writing it, or both.
#[derive(Debug, Clone, Default)]
pub struct ConfigFile {
    /// The complete dataset; `None` while it is being made.
    pub dataset: Option<DatasetConfig>,
    /// The job that is under way.
    pub checkpoint: Option<Checkpoint>,
}

impl ConfigFile {
    /// Reads the config of the dataset in `folder`; `None` where there is none.
    pub fn read(folder: &Path) -> Result<Option<Self>, DatasetError> {
        let path = folder.join(CONFIG);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(StoreError::from_io("read", &path, error).into());
            }
        };
        let damaged = |source| DatasetError::Config {
            path: path.clone(),
            source,
        };
        let mut value: Map<String, Value> = serde_json::from_slice(&bytes).map_err(damaged)?;
        let checkpoint = match value.remove("checkpoint") {
            // The reference leaves a checkpoint of its own form, which says nothing to us.
            Some(value) if value.get("plan").is_some() => {
                Some(serde_json::from_value(value).map_err(damaged)?)
            }
            _ => None,
        };
        let dataset = match value.contains_key("array_shape") {
            true => Some(serde_json::from_value(Value::Object(value)).map_err(damaged)?),
            false => None,
        };
        Ok(Some(ConfigFile {
            dataset,
            checkpoint,
        }))
    }

    /// Replaces the config of the dataset in `folder`, durably and at once.
    pub fn write(&self, folder: &Path) -> Result<(), DatasetError> {
        let path = folder.join(CONFIG);
        let damaged = |source| DatasetError::Config {
            path: path.clone(),
            source,
        };
        let mut value = match &self.dataset {
            Some(dataset) => serde_json::to_value(dataset).map_err(damaged)?,
            None => {
                serde_json::json!({ "format_version": FORMAT_VERSION, "writer": Writer::this() })
            }
        };
        if let Some(checkpoint) = &self.checkpoint {
            value["checkpoint"] = serde_json::to_value(checkpoint).map_err(damaged)?;
        }
        let mut bytes = serde_json::to_vec_pretty(&value).map_err(damaged)?;
        bytes.push(b'\n');
        Ok(replace_file(&path, &bytes)?)
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
