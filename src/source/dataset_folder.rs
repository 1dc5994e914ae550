//! SLAF datasets as a format of inputs: telling their folders from others.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{CellSource, Form, InputFormat, OpenOptions, Probe, ProbedPath, SourceError};
use crate::store::read_regular;

/// A SLAF dataset. Its reader is in the module of datasets, which knows about tables.
pub(super) struct Slaf;

impl InputFormat for Slaf {
    fn name(&self) -> &'static str {
        "slaf"
    }

    fn about(&self) -> &'static str {
        "A SLAF dataset, a folder"
    }

    fn form(&self) -> Form {
        Form::Folder
    }

    fn looks_like(&self) -> &'static str {
        "SLAF dataset"
    }

    /// A dataset is called as its writer liked.
    fn names_tell(&self) -> bool {
        false
    }

    fn probe(&self, site: &ProbedPath<'_>) -> Result<Probe, SourceError> {
        if !site.is_folder() {
            return Ok(Probe::No);
        }
        Ok(match look(site.path()) {
            Dataset::None => Probe::No,
            Dataset::Unfinished => Probe::Beside(
                "a SLAF dataset whose conversion is in progress or was interrupted".into(),
            ),
            Dataset::Whole => Probe::Yes,
        })
    }

    fn open(&self, path: &Path, options: &OpenOptions) -> Result<Box<dyn CellSource>, SourceError> {
        crate::OPEN_DATASET(path, options)
    }
}

/// Whether a folder is a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dataset {
    /// Not a dataset.
    None,
    /// A dataset whose first conversion is unfinished.
    Unfinished,
    /// A complete dataset, or a damaged one; opening it shows which.
    Whole,
}

/// Keys of config.json that show what it describes.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format_version: Option<IgnoredAny>,
    #[serde(default)]
    array_shape: Option<IgnoredAny>,
}

/// Inspects a folder.
fn look(folder: &Path) -> Dataset {
    let config = folder.join("config.json");
    if !config.is_file() {
        return Dataset::None;
    }
    let tables = ["expression.lance", "cells.lance"];
    let has_tables = tables.iter().any(|name| folder.join(name).is_dir());
    let head = read_regular(&config, u64::MAX).ok();
    let head = head.and_then(|bytes| serde_json::from_slice::<Head>(&bytes).ok());
    match head {
        Some(head) if head.array_shape.is_some() && has_tables => Dataset::Whole,
        Some(head) if head.array_shape.is_none() && head.format_version.is_some() => {
            Dataset::Unfinished
        }
        _ if has_tables => Dataset::Whole,
        _ => Dataset::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn config_and_tables_tell() {
        let folder = tempfile::tempdir().unwrap();
        let config = |text: &str| std::fs::write(folder.path().join("config.json"), text).unwrap();
        assert_eq!(look(folder.path()), Dataset::None);
        config(r#"{"model_type": "bert"}"#);
        assert_eq!(look(folder.path()), Dataset::None);
        config(r#"{"format_version": "0.5", "writer": {}}"#);
        assert_eq!(look(folder.path()), Dataset::Unfinished);
        std::fs::create_dir(folder.path().join("cells.lance")).unwrap();
        config(r#"{"format_version": "0.4", "array_shape": [1, 2]}"#);
        assert_eq!(look(folder.path()), Dataset::Whole);
        config("{");
        assert_eq!(look(folder.path()), Dataset::Whole);
    }
}
