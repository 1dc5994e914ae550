//! What of an input is read, and with what resources.

use std::path::PathBuf;

use super::{Format, Selection};

/// How an input is opened. The default reads everything that the format holds.
#[derive(Debug, Clone)]
pub struct OpenOptions {
    /// Forces a format; without it the content decides, never the name of the file.
    pub format: Option<Format>,
    /// Bytes that reading may hold in memory, in all threads together.
    pub memory: u64,
    /// Threads that a reader may start for work of its own.
    pub threads: usize,
    /// Where matrices are turned that lie in the order of genes.
    pub scratch: PathBuf,
    /// The matrix that becomes the expression table.
    pub matrix: MainMatrix,
    /// What becomes of the raw matrix where it is not the main one.
    pub raw: RawUse,
    pub selection: Selection,
    pub names: Names,
}

/// What becomes of names that several cells, or several genes, have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    #[default]
    AsTheyAre,
    /// All but the first get a suffix: `-1`, `-2` …
    MadeUnique,
}

/// The matrix that becomes the expression table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum MainMatrix {
    /// The format's own: X of an AnnData.
    #[default]
    Own,
    /// The raw matrix, with genes of its own.
    Raw,
    /// A layer, by its name.
    Layer(String),
}

/// What becomes of the raw matrix of an AnnData.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
            memory: 512 << 20,
            threads: 1,
            scratch: std::env::temp_dir(),
            matrix: MainMatrix::default(),
            raw: RawUse::default(),
            selection: Selection::default(),
            names: Names::default(),
        }
    }
}
