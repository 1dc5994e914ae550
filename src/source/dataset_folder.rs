//! Recognises folders that are SLAF datasets.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::store::read_regular;

/// Whether a folder is a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dataset {
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
pub(super) fn look(folder: &Path) -> Dataset {
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
