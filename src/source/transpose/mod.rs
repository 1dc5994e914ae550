//! Transposing matrices that do not lie in the order of their rows.
//!
//! Entries come in any order and are laid down in a temporary file, block by block; within a block
//! they are sorted by part, a range of rows. Afterwards the parts are read one by one: the pieces of
//! a part from all blocks, sorted by row. Memory depends on the sizes of a block and of a part only,
//! whatever the matrix.

mod block;
mod external;
mod transposed;

use std::path::PathBuf;

use super::{Numbers, OpenOptions};

pub(crate) use external::ExternalTranspose;
pub(crate) use transposed::Transposed;

/// What turning may take.
#[derive(Debug, Clone)]
pub(crate) struct TransposeOptions {
    /// Bytes that reading may hold in memory, in all threads together.
    pub memory: u64,
    pub threads: usize,
    /// The folder for the temporary file.
    pub scratch: PathBuf,
}

impl TransposeOptions {
    pub fn of(options: &OpenOptions) -> Self {
        TransposeOptions {
            memory: options.memory,
            threads: options.threads.max(1),
            scratch: options.scratch.clone(),
        }
    }
}

/// Entries of a matrix, in any order: those of one row and column must come in the order in which
/// they count.
pub(crate) struct Entries {
    /// The position of each entry's row, in any integer type; not yet checked.
    pub rows: Numbers,
    pub columns: Vec<u32>,
    pub values: Numbers,
}
