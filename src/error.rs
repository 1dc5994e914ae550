//! Errors of the program, and the exit codes that tell scripts their kind.

use std::path::PathBuf;

use crate::dataset::DatasetError;
use crate::ingest::IngestError;
use crate::plan::PlanError;
use crate::source::SourceError;
use crate::store::StoreError;
use crate::table::TableError;
use crate::verify::VerifyError;

/// Error of a command.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line or the configuration is invalid.
    #[error("{0}")]
    Usage(String),
    /// A conversion or an append failed.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// A dataset cannot be opened or read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The storage returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A dataset cannot be verified.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Inputs are incompatible with each other or with a dataset.
    #[error("{refusal}")]
    NotJoinable { refusal: String },
    /// Verification found problems in a dataset.
    #[error("{path} is not as it should be: {problems} problems were found")]
    Verification { path: PathBuf, problems: u64 },
    /// The result cannot be printed.
    #[error("cannot write to standard output")]
    Output(#[from] std::io::Error),
}

impl From<SourceError> for Error {
    fn from(error: SourceError) -> Self {
        Error::Ingest(error.into())
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Error::Ingest(error.into())
    }
}

/// Exit code of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    Done = 0,
    /// The system failed: storage, memory, or a bug in the program.
    Failed = 1,
    Usage = 2,
    /// An input was refused, or an existing output is in the way.
    Refused = 3,
    /// Verification found problems in a dataset.
    NotVerified = 4,
    /// Another process is using the dataset.
    TryAgain = 75,
}

impl Error {
    /// Returns the exit code of this error.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Error::Usage(_) => ExitCode::Usage,
            Error::Ingest(error) => of_ingest(error),
            Error::Dataset(error) => of_dataset(error),
            Error::Store(error) => of_store(error),
            Error::Verify(error) => of_verify(error),
            Error::NotJoinable { .. } => ExitCode::Refused,
            Error::Verification { .. } => ExitCode::NotVerified,
            Error::Output(_) => ExitCode::Failed,
        }
    }
}

fn of_ingest(error: &IngestError) -> ExitCode {
    match error {
        IngestError::Plan(PlanError::ForcedTypeNotSigned { .. }) => ExitCode::Usage,
        IngestError::Source(error)
        | IngestError::OrderLost { source: error, .. }
        | IngestError::Plan(PlanError::Source(error)) => of_source(error),
        IngestError::Plan(_)
        | IngestError::Chunk(_)
        | IngestError::NoType { .. }
        | IngestError::SameContent { .. }
        | IngestError::MixedScales { .. }
        | IngestError::SameCounts { .. }
        | IngestError::Exists { .. }
        | IngestError::NotOurs { .. }
        | IngestError::Broken { .. }
        | IngestError::InsideInput { .. }
        | IngestError::IsInput { .. }
        | IngestError::OtherJob { .. } => ExitCode::Refused,
        IngestError::ChangedLate(error) => of_source(error),
        IngestError::Moved { .. } => ExitCode::TryAgain,
        IngestError::InputFailed { failure } => of_ingest(failure),
        IngestError::Table(error) => of_table(error),
        IngestError::Dataset(error) => of_dataset(error),
        IngestError::Store(error) => of_store(error),
        IngestError::Counts { .. } | IngestError::Threads { .. } | IngestError::WorkerDied => {
            ExitCode::Failed
        }
    }
}

fn of_verify(error: &VerifyError) -> ExitCode {
    match error {
        VerifyError::Source(error) => of_source(error),
        VerifyError::Plan(PlanError::Source(error)) => of_source(error),
        VerifyError::Plan(_) | VerifyError::Chunk(_) | VerifyError::UnknownInput { .. } => {
            ExitCode::Refused
        }
        VerifyError::Dataset(error) => of_dataset(error),
        VerifyError::Table(error) => of_table(error),
        VerifyError::Store(error) => of_store(error),
        VerifyError::Threads { .. } | VerifyError::WorkerDied => ExitCode::Failed,
    }
}

fn of_source(error: &SourceError) -> ExitCode {
    match error {
        SourceError::Scratch { .. } | SourceError::ReaderDied { .. } => ExitCode::Failed,
        _ => ExitCode::Refused,
    }
}

fn of_dataset(error: &DatasetError) -> ExitCode {
    match error {
        DatasetError::NotADataset { .. }
        | DatasetError::Config { .. }
        | DatasetError::Newer { .. }
        | DatasetError::BrokenJob { .. }
        | DatasetError::InProgress { .. }
        | DatasetError::CannotContinue { .. }
        | DatasetError::Changed { .. }
        | DatasetError::Unacceptable { .. }
        | DatasetError::DataFile { .. }
        | DatasetError::MissingVersion { .. } => ExitCode::Refused,
        DatasetError::Table(error) => of_table(error),
        DatasetError::Store(error) => of_store(error),
    }
}

fn of_table(error: &TableError) -> ExitCode {
    match error {
        TableError::Store(error) => of_store(error),
        TableError::Lance { .. } | TableError::Arrow { .. } => ExitCode::Failed,
        TableError::Taken { .. } | TableError::Damaged { .. } => ExitCode::Refused,
    }
}

fn of_store(error: &StoreError) -> ExitCode {
    match error {
        StoreError::Locked { .. } => ExitCode::TryAgain,
        StoreError::Full { .. } | StoreError::NotWritable { .. } | StoreError::Io { .. } => {
            ExitCode::Failed
        }
    }
}

impl std::fmt::Display for ExitCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", *self as u8)
    }
}

/// Formats an error and its causes in one line.
pub fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        // Many libraries include the cause in their own message.
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        source = cause.source();
    }
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}
