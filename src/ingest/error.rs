//! Reasons why a job stopped.

use std::path::PathBuf;

use super::DuplicateCounts;
use crate::chunk::ChunkError;
use crate::dataset::{BrokenJob, DatasetError};
use crate::failure::ErrorKind;
use crate::parallel::{WorkError, WorkerFault};
use crate::plan::PlanError;
use crate::remedy::{Advice, Remedy, Setting};
use crate::source::SourceError;
use crate::source::blocks::TooLong;
use crate::store::StoreError;
use crate::table::TableError;

/// Error of a job. What the job had recorded is kept, and the same command resumes it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// An input cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The job cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A chunk cannot be written.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The dataset cannot be opened or described.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The storage returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The output is already a complete dataset.
    #[error("{path} exists already; {}", self.advice())]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// The output is a file, or a folder with other contents.
    #[error("{path} {why}; choose another output")]
    NotOurs {
        /// The output.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
    /// The output is inside an input.
    #[error(
        "{path} lies inside of the input {input}, which would change while it is read; choose another place"
    )]
    InsideInput {
        /// The output.
        path: PathBuf,
        /// The input that contains it.
        input: PathBuf,
    },
    /// The output is also an input.
    #[error("{path} is what is written and an input as well; choose another output")]
    IsInput {
        /// The output, which is the input.
        path: PathBuf,
    },
    /// The output contains the unfinished work of another job.
    #[error(
        "{path} holds the unfinished conversion of {other} with other inputs or options (or the input has changed since {started}); {}",
        self.advice()
    )]
    OtherJob {
        /// The output.
        path: PathBuf,
        /// What the other job converts, in words.
        other: String,
        /// When the other job started (RFC 3339).
        started: String,
    },
    /// The dataset that is appended to has changed since the plan was made.
    #[error("{path} was changed by another process while the append was planned; run it again")]
    Moved {
        /// The dataset.
        path: PathBuf,
    },
    /// An input was modified while the tables were committed; the commits were reverted.
    #[error(transparent)]
    ChangedLate(SourceError),
    /// The record of an unfinished job is invalid.
    #[error(
        "{path}: the record of the unfinished job cannot be used: {problem}; {}",
        self.advice()
    )]
    Broken {
        /// The file that describes the job.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// One of several inputs failed.
    #[error(
        "{failure}; nothing of the job is visible, and what it has written is kept: {}",
        self.advice()
    )]
    InputFailed {
        /// Why it failed; names the input.
        failure: Box<IngestError>,
    },
    /// An input has the same content as another.
    #[error(
        "{path} has the cells, genes and values of {other}; nothing of the job is visible: {}",
        self.advice()
    )]
    SameContent {
        /// The input.
        path: PathBuf,
        /// The input with the same content.
        other: PathBuf,
    },
    /// Entries of an input that were assumed to be sorted by cell are not. What was written of it
    /// must be discarded; the input has taken note.
    #[error("{source}")]
    OrderLost {
        /// Number of the input in the job, counted from 0.
        input: usize,
        /// The [`SourceError::OrderLost`] of its reader.
        source: SourceError,
    },
    /// Cells have the same contents as cells of another input or of the dataset.
    #[error(
        "{path}: {found}; nothing of the job is visible: {}",
        self.advice()
    )]
    SameCounts {
        /// The input.
        path: PathBuf,
        /// How many of its cells, and whose counts they have.
        found: DuplicateCounts,
    },
    /// Values that would be combined in one column turned out to be on different scales.
    #[error("{refusal}, or {}; nothing of the job is visible", leave_out())]
    MixedScales {
        /// The [`PlanError::ScalesDiffer`] that planning would have returned had it seen these values.
        refusal: PlanError,
    },
    /// A value does not fit the forced type, or any type.
    #[error("{misfit}; {help}")]
    NoType {
        /// The value, and the type that it does not fit.
        misfit: ChunkError,
        /// What the user can do.
        help: Advice,
    },
    /// A file in the job's folder is missing or damaged.
    #[error("{path} is damaged: {why}; {}", self.advice())]
    Counts {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system has no threads or memory left.
    #[error("cannot start the threads of the job")]
    Threads {
        /// The operating system's error.
        source: std::io::Error,
    },
    /// A worker ended without a result, which is a bug in this program.
    #[error("a worker thread failed unexpectedly; please report this with the command and the log")]
    WorkerDied,
}

impl WorkError for IngestError {
    fn of_fault(fault: WorkerFault) -> Self {
        match fault {
            WorkerFault::Start { source } => IngestError::Threads { source },
            WorkerFault::Died => IngestError::WorkerDied,
        }
    }
}

/// Advice to go on without the input.
fn leave_out() -> String {
    format!("leave the input out and add {}", Setting::any("no-resume"))
}

impl IngestError {
    /// What a user can do about this error.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            IngestError::Source(error) | IngestError::ChangedLate(error) => error.remedies(),
            IngestError::Plan(error) | IngestError::MixedScales { refusal: error } => {
                error.remedies()
            }
            IngestError::Dataset(error) => error.remedies(),
            IngestError::InputFailed { failure } => {
                let own = self.advice();
                let failures = failure.remedies().into_iter();
                failures.chain(own.remedies().to_vec()).collect()
            }
            error => error.advice().remedies().to_vec(),
        }
    }

    fn advice(&self) -> Advice {
        let discard = |to: &'static str| Remedy::using(Setting::any("no-resume"), to);
        let other = |text: &'static str| Remedy::Other(text.into());
        match self {
            IngestError::Exists { .. } => {
                Remedy::using(Setting::any("overwrite"), "replace it").into()
            }
            IngestError::OtherJob { .. } => Advice::from(other("repeat that command to finish it"))
                .or(discard("discard it and start anew")),
            IngestError::Broken { .. } => discard("discard the job and start anew").into(),
            IngestError::Counts { .. } => discard("start anew").into(),
            IngestError::InputFailed { .. } => {
                let again = "put the input right and run the same command again";
                Advice::from(other(again)).or(Remedy::Other(leave_out().into()))
            }
            IngestError::SameContent { .. } => {
                let twice = Setting::any("allow-duplicate-source");
                Advice::from(Remedy::using(twice, "take it twice"))
                    .or(Remedy::Other(leave_out().into()))
            }
            IngestError::SameCounts { .. } => {
                let warn = Setting::of("duplicate-counts", "warn");
                Advice::from(Remedy::using(warn, "take them")).or(Remedy::Other(leave_out().into()))
            }
            IngestError::NoType { help, .. } => help.clone(),
            _ => Advice::default(),
        }
    }

    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            IngestError::Source(error)
            | IngestError::OrderLost { source: error, .. }
            | IngestError::ChangedLate(error) => error.kind(),
            IngestError::Plan(error) => error.kind(),
            IngestError::Chunk(error) => error.kind(),
            IngestError::Table(error) => error.kind(),
            IngestError::Dataset(error) => error.kind(),
            IngestError::Store(error) => error.kind(),
            IngestError::InputFailed { failure } => failure.kind(),
            IngestError::NoType { .. }
            | IngestError::SameContent { .. }
            | IngestError::MixedScales { .. }
            | IngestError::SameCounts { .. }
            | IngestError::Exists { .. }
            | IngestError::NotOurs { .. }
            | IngestError::Broken { .. }
            | IngestError::InsideInput { .. }
            | IngestError::IsInput { .. }
            | IngestError::OtherJob { .. } => ErrorKind::Refused,
            IngestError::Moved { .. } => ErrorKind::TryAgain,
            IngestError::Counts { .. } | IngestError::Threads { .. } | IngestError::WorkerDied => {
                ErrorKind::Failed
            }
        }
    }
}

impl IngestError {
    /// Returns the error about an unfinished job that cannot be resumed.
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
