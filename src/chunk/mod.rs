//! From a chunk as it was read to rows of the expression table: checked, tidied, narrowed.

mod coo;
mod error;
mod narrow;
mod stats;
mod tidy;

pub use coo::{CooBatch, CooSpec};
pub use error::ChunkError;
pub use stats::ValueStats;
pub use tidy::Tidied;
