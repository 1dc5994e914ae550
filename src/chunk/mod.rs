//! Converts chunks as read into rows of the expression and layers tables: validates and
//! canonicalizes them (sorts, sums duplicates, drops zeros), narrows the values, and computes
//! digests.

mod canonical;
mod contents;
mod coo;
mod digest;
mod entry_batch;
mod error;
mod expand;
mod layers;
mod narrow;
mod spec;
mod stats;
mod sum;

pub use canonical::Canonicalized;
pub use contents::{
    GeneIdentity, LEAST_COUNTS, NO_CONTENTS, contents_by_number, contents_of_entries,
};
pub use coo::CooBatch;
pub(crate) use coo::canonicalized;
pub use digest::{Digest, IdHash};
pub(crate) use entry_batch::EntryBatch;
pub use error::ChunkError;
pub use layers::LayersBatch;
pub use spec::{ColumnHashes, CooSpec};
pub use stats::ValueStats;
