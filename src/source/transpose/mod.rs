//! External-memory transpose of matrices that are not stored in row order (CSC, and unsorted COO)
//! to rows.
//!
//! Entries arrive in any order and are written to a temporary file block by block; within a block
//! they are sorted by part, a range of rows. Afterwards the parts are read one by one: the pieces
//! of a part from all blocks, sorted by row. Memory use depends only on the sizes of a block and a
//! part, not on the matrix.

mod block;
mod external;
mod once;
mod transposed;

use std::path::PathBuf;

use super::{OpenOptions, TypedVec};

pub(crate) use external::ExternalTranspose;
pub(crate) use once::TransposedOnce;
pub(crate) use transposed::Transposed;

/// Resources for a transpose.
#[derive(Debug, Clone)]
pub(crate) struct TransposeOptions {
    /// Memory that reading may use, in bytes, for all threads together.
    pub memory: u64,
    /// Number of threads.
    pub threads: usize,
    /// The folder for the temporary file.
    pub scratch: PathBuf,
}

impl TransposeOptions {
    /// Takes the resources from the options of an input.
    pub fn of(options: &OpenOptions) -> Self {
        TransposeOptions {
            memory: options.memory,
            threads: options.threads.max(1),
            scratch: options.scratch.clone(),
        }
    }
}

/// Entries of a matrix in any order, except that entries with the same row and column must be in
/// the order in which they count.
pub(crate) struct Entries {
    /// Row of each entry, of any integer type; not checked yet.
    pub rows: TypedVec,
    /// Column of each entry.
    pub columns: Vec<u32>,
    /// Value of each entry.
    pub values: TypedVec,
}
