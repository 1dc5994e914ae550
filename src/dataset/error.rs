//! Why a dataset cannot be opened.

use std::path::PathBuf;

use crate::store::StoreError;
use crate::table::TableError;

/// A failure to open or to describe a dataset.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// There is nothing at the path, or no dataset.
    #[error("{path} is not a SLAF dataset: {why}")]
    NotADataset { path: PathBuf, why: String },
    /// config.json cannot be understood.
    #[error("{path} is damaged or of an unknown version")]
    Config {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// config.json is of a format that this program does not know.
    #[error("{path} was written by a newer slaf (its format is version {version}); update slaf")]
    Newer { path: PathBuf, version: String },
    /// The dataset is not complete, and what is said of the job that makes it cannot be believed.
    #[error("{path}: the record of the unfinished job cannot be used: {problem}")]
    BrokenJob { path: PathBuf, problem: String },
    /// The dataset is not complete yet.
    #[error(
        "{path} is not complete: its conversion is in progress or was interrupted; run the same convert command again to finish it"
    )]
    InProgress { path: PathBuf },
    /// config.json names a version of a table that is not there.
    #[error("{path}: the table is missing, or its version {version} is")]
    MissingVersion {
        path: PathBuf,
        version: u64,
        source: Box<lance::Error>,
    },
    /// The dataset is not such that rows can be appended to it exactly.
    #[error("{path}: nothing can be appended: {why}")]
    CannotContinue { path: PathBuf, why: String },
    /// Another program has changed what config.json describes.
    #[error(
        "{path}: another program has changed known values: {what}; take them as they are with `slaf adopt {path} --accept-changes`, or restore the table's earlier version with Lance (`slaf verify {path}` checks what is described)"
    )]
    Changed { path: PathBuf, what: String },
    /// Another program has left what no dataset can be.
    #[error(
        "{path} cannot be taken as it is: {why}; restore an earlier version of the table with Lance, or convert the inputs again"
    )]
    Unacceptable { path: PathBuf, why: String },
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Store(#[from] StoreError),
}
