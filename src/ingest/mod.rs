//! Running a plan: shards, checkpoint, commit, recovery.
//!
//! A fresh run, a resumed run and a run whose predecessor died within its commit are the same: look
//! at what is recorded, do what is missing, commit what is not committed.

mod commit;
mod counts;
mod error;
mod job;
mod outcome;
mod queue;
mod shards;
mod target;

pub use error::IngestError;
pub use job::{Finished, Job, RunOptions};
pub use outcome::Outcome;
pub use target::{Earlier, Existing, check_output};
