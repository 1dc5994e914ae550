//! Errors of opening datasets.

use std::path::PathBuf;

use crate::failure::ErrorKind;
use crate::store::StoreError;
use crate::table::TableError;

/// Error of opening or describing a dataset.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The path does not exist or is not a dataset.
    #[error("{path} is not a SLAF dataset: {why}")]
    NotADataset { path: PathBuf, why: String },
    /// config.json cannot be parsed.
    #[error("{path} is damaged or of an unknown version")]
    Config {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// config.json has a format version that this program does not support.
    #[error("{path} was written by a newer slaf (its format is version {version}); update slaf")]
    Newer { path: PathBuf, version: String },
    /// The dataset is incomplete, and the description of the job that is creating it is invalid.
    #[error("{path}: the record of the unfinished job cannot be used: {problem}")]
    BrokenJob { path: PathBuf, problem: String },
    /// The dataset is incomplete.
    #[error(
        "{path} is not complete: its conversion is in progress or was interrupted; run the same convert command again to finish it"
    )]
    InProgress { path: PathBuf },
    /// config.json refers to a version of a table that does not exist.
    #[error("{path}: the table is missing, or its version {version} is")]
    MissingVersion {
        path: PathBuf,
        version: u64,
        source: Box<lance::Error>,
    },
    /// Rows cannot be appended exactly to the dataset.
    #[error("{path}: nothing can be appended: {why}")]
    CannotContinue { path: PathBuf, why: String },
    /// Another program has changed what config.json describes.
    #[error(
        "{path}: another program has changed known values: {what}; take them as they are with `slaf adopt {path} --accept-changes`, or restore the table's earlier version with Lance (`slaf verify {path}` checks what is described)"
    )]
    Changed { path: PathBuf, what: String },
    /// A data file of a table is missing, or has another length.
    #[error(
        "{path} {what}: the dataset is damaged; restore the file, or convert the inputs again (slaf verify tells all that is damaged)"
    )]
    DataFile { path: PathBuf, what: String },
    /// Another program has left what no dataset can be.
    #[error(
        "{path} cannot be taken as it is: {why}; restore an earlier version of the table with Lance, or convert the inputs again"
    )]
    Unacceptable { path: PathBuf, why: String },
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The storage returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DatasetError {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            DatasetError::NotADataset { .. }
            | DatasetError::Config { .. }
            | DatasetError::Newer { .. }
            | DatasetError::BrokenJob { .. }
            | DatasetError::InProgress { .. }
            | DatasetError::CannotContinue { .. }
            | DatasetError::Changed { .. }
            | DatasetError::DataFile { .. }
            | DatasetError::Unacceptable { .. }
            | DatasetError::MissingVersion { .. } => ErrorKind::Refused,
            DatasetError::Table(error) => error.kind(),
            DatasetError::Store(error) => error.kind(),
        }
    }
}
