//! What of an input is read, and with what resources.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Format, Selection};

/// How an input is opened. The default reads everything that the format holds.
///
/// Resources are no part of the serialised form, which plans and datasets keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenOptions {
    /// Forces a format; without it the content decides, never the name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Bytes that reading may hold in memory, in all threads together.
    #[serde(skip, default = "default_memory")]
    pub memory: u64,
    /// Threads that a reader may start for work of its own.
    #[serde(skip, default = "one_thread")]
    pub threads: usize,
    /// Where matrices are turned that lie in the order of genes.
    #[serde(skip, default = "std::env::temp_dir")]
    pub scratch: PathBuf,
    /// The measurement that is read, in a format that has several; without it `RNA`, or the only one.
    pub measurement: Option<String>,
    /// The matrix that becomes the expression table.
    pub matrix: MainMatrix,
    /// What becomes of the raw matrix where it is not the main one.
    pub raw: RawUse,
    pub selection: Selection,
    pub names: Names,
}

/// What becomes of names that several cells, or several genes, have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Names {
    #[default]
    AsTheyAre,
    /// All but the first get a suffix: `-1`, `-2` …
    MadeUnique,
}

/// The matrix that becomes the expression table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MainMatrix {
    /// The format's own: X of an AnnData, the layer `data` (or the only one) of a measurement.
    #[default]
    Own,
    /// The raw matrix, with genes of its own.
    Raw,
    /// A layer, by its name.
    Layer(String),
}

/// What becomes of the raw matrix of an AnnData.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawUse {
    #[default]
    LeaveOut,
    /// It becomes the layer `raw`; its genes must be those of X.
    Layer,
}

impl Default for OpenOptions {
    /// Everything, with 512 MiB, one thread and the system's folder for temporary files.
    fn default() -> Self {
        OpenOptions {
            format: None,
            memory: default_memory(),
            threads: one_thread(),
            scratch: std::env::temp_dir(),
            measurement: None,
            matrix: MainMatrix::default(),
            raw: RawUse::default(),
            selection: Selection::default(),
            names: Names::default(),
        }
    }
}

fn default_memory() -> u64 {
    512 << 20
}

fn one_thread() -> usize {
    1
}
