//! Why a job stopped.

use std::path::PathBuf;

use super::DuplicateCounts;
use crate::chunk::ChunkError;
use crate::dataset::{BrokenJob, DatasetError};
use crate::plan::PlanError;
use crate::source::SourceError;
use crate::source::blocks::TooLong;
use crate::store::StoreError;
use crate::table::TableError;

/// A job that could not be begun or finished. What it had recorded is kept, and the same command
/// goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The output is a complete dataset already.
    #[error("{path} exists already; use --overwrite to replace it")]
    Exists { path: PathBuf },
    /// The output is a file, or a folder of something else.
    #[error("{path} {why}; choose another output")]
    NotOurs { path: PathBuf, why: &'static str },
    /// What is written would change what is read.
    #[error(
        "{path} lies inside of the input {input}, which would change while it is read; choose another place"
    )]
    InsideInput { path: PathBuf, input: PathBuf },
    /// The output is an input as well.
    #[error("{path} is what is written and an input as well; choose another output")]
    IsInput { path: PathBuf },
    /// The output is the unfinished work of another job.
    #[error(
        "{path} holds the unfinished conversion of {other} with other inputs or options (or the input has changed since {started}); repeat that command to finish it, or use --no-resume to discard it and start anew"
    )]
    OtherJob {
        path: PathBuf,
        other: String,
        started: String,
    },
    /// The dataset that is appended to is not what the plan was made for.
    #[error("{path} was changed by another process while the append was planned; run it again")]
    Moved { path: PathBuf },
    /// An input was written to while the tables were made visible, from which they are taken back.
    #[error(transparent)]
    ChangedLate(SourceError),
    /// The record of an unfinished job cannot be believed.
    #[error(
        "{path}: the record of the unfinished job cannot be used: {problem}; use --no-resume to discard the job and start anew"
    )]
    Broken { path: PathBuf, problem: String },
    /// One of several inputs failed.
    #[error(
        "{failure}; nothing of the job is visible, and what it has written is kept: put the input right and run the same command again, or leave the input out and add --no-resume"
    )]
    InputFailed { failure: Box<IngestError> },
    /// An input holds what another holds.
    #[error(
        "{path} has the cells, genes and values of {other}; nothing of the job is visible: use --allow-duplicate-source to take it twice, or leave it out and add --no-resume"
    )]
    SameContent { path: PathBuf, other: PathBuf },
    /// Entries of an input were taken to be sorted by cell, and are not: what was written of it is of
    /// no use, and the input knows it now.
    #[error("{source}")]
    OrderLost { input: usize, source: SourceError },
    /// Cells hold what cells of another input, or of the dataset, hold.
    #[error(
        "{path}: {found}; nothing of the job is visible: use --duplicate-counts warn to take them, or leave the input out and add --no-resume"
    )]
    SameCounts {
        path: PathBuf,
        found: DuplicateCounts,
    },
    /// Values that would stand in one column turned out to be on different scales.
    #[error("{refusal}, or leave the input out and add --no-resume; nothing of the job is visible")]
    MixedScales { refusal: PlanError },
    /// A value does not fit the type that was forced, or any.
    #[error("{misfit}; {help}")]
    NoType {
        misfit: ChunkError,
        help: &'static str,
    },
    /// A file of the job's folder is missing or damaged.
    #[error("{path} is damaged: {why}; use --no-resume to start anew")]
    Counts { path: PathBuf, why: String },
    /// The system has no threads or no memory left.
    #[error("cannot start the threads of the job")]
    Threads { source: std::io::Error },
    /// A worker ended without an answer: a fault of this program.
    #[error("a worker thread failed unexpectedly; please report this with the command and the log")]
    WorkerDied,
}

impl IngestError {
    /// The refusal of an unfinished job that cannot be gone on with.
    pub(super) fn broken(broken: BrokenJob) -> Self {
        IngestError::Broken {
            path: broken.path,
            problem: broken.problem,
        }
    }
}

impl TooLong for IngestError {
    fn is_too_long(&self) -> bool {
        matches!(self, IngestError::Source(error) if error.is_too_long())
    }
}
