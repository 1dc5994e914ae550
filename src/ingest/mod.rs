//! Runs a plan: shards, checkpoint, commit, recovery.
//!
//! A fresh run, a resumed run, and a run after one that died during its commit all do the same:
//! read what is recorded, do what is missing, commit what is not committed.

mod append;
mod base_rows;
mod base_snapshot;
mod categories;
mod cell_counts;
mod cell_hashes;
mod cell_origins;
mod cell_rows;
mod commit;
mod contents;
mod conversion;
mod counts;
mod counts_of_inputs;
mod describe;
mod duplicate_counts;
mod error;
mod finished;
mod frame_queue;
mod frame_writer;
mod frames;
mod genes;
mod job;
mod known_counts;
mod known_rows;
mod late_checks;
mod originals;
mod outcome;
mod output_apart;
mod output_dir;
mod part_reader;
mod resumed;
mod rewrites;
mod run_options;
mod scale_samples;
mod shard_scheduler;
mod shard_writer;
mod shards;
mod tables;

pub use append::{Appendable, check_unlocked};
pub use conversion::Conversion;
#[cfg(feature = "cli")]
pub(crate) use conversion::{settle_versions, tell_unmatched};
pub use duplicate_counts::DuplicateCounts;
pub use error::IngestError;
pub use finished::Finished;
pub use job::Job;
pub use outcome::{Appended, Outcome};
pub use output_apart::check_apart;
pub use output_dir::{OverwritePolicy, ResumePolicy, check_output};
pub use run_options::RunOptions;
pub use shards::affordable_threads;
