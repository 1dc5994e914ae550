//! From a chunk as it was read to rows of the expression table: checked, tidied, narrowed.

mod coo;
mod error;
mod narrow;
mod spec;
mod stats;
mod tidy;

pub use coo::CooBatch;
pub use error::ChunkError;
pub use spec::CooSpec;
pub use stats::ValueStats;
pub use tidy::Tidied;
