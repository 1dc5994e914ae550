//! Errors of opening datasets.

use std::path::{Path, PathBuf};

use bytesize::ByteSize;

use crate::failure::ErrorKind;
use crate::remedy::Remedy;
use crate::store::StoreError;
use crate::table::TableError;

/// Error of opening or describing a dataset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The path does not exist or is not a dataset.
    #[error("{path} is not a SLAF dataset: {why}")]
    NotADataset {
        /// The path that was given.
        path: PathBuf,
        /// What is missing, or what the path is instead.
        why: String,
    },
    /// config.json cannot be parsed.
    #[error("{path} is damaged or of an unknown version")]
    Config {
        /// Path of config.json.
        path: PathBuf,
        /// Where parsing stopped, and why.
        source: serde_json::Error,
    },
    /// config.json has a format version that this program does not support.
    #[error("{path} was written by a newer slaf (its format is version {version}); update slaf")]
    Newer {
        /// Path of config.json.
        path: PathBuf,
        /// Its `format_version`.
        version: String,
    },
    /// The dataset is incomplete, and the description of the job that is creating it is invalid.
    #[error("{path}: the record of the unfinished job cannot be used: {problem}")]
    BrokenJob {
        /// The file that describes the job.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The dataset is incomplete.
    #[error(
        "{path} is not complete: its conversion is in progress or was interrupted; run the same convert command again to finish it"
    )]
    InProgress {
        /// The dataset.
        path: PathBuf,
    },
    /// config.json refers to a version of a table that does not exist.
    #[error("{path}: the table is missing, or its version {version} is")]
    MissingVersion {
        /// Folder of the table.
        path: PathBuf,
        /// Version of the table that config.json refers to.
        version: u64,
        /// Lance's error on opening it.
        source: Box<lance::Error>,
    },
    /// Rows cannot be appended exactly to the dataset.
    #[error("{path}: nothing can be appended: {why}")]
    CannotContinue {
        /// The dataset.
        path: PathBuf,
        /// What prevents it.
        why: String,
    },
    /// Another program has changed what config.json describes.
    #[error(
        "{path}: another program has changed known values: {what}; {}, or restore the table's earlier version with Lance",
        accept(.path)
    )]
    Changed {
        /// The dataset.
        path: PathBuf,
        /// The changes, in words.
        what: String,
    },
    /// config.json records numbers that contradict each other, or the tables.
    #[error(
        "{path} tells of {what}; {}",
        accept(.dataset)
    )]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// The dataset.
        dataset: PathBuf,
        /// The numbers, in words.
        what: String,
    },
    /// config.json does not fit the memory that is granted.
    #[error(
        "{path} has {}, and needs some {} of memory, more than the {} that are granted; {}",
        ByteSize::b(*bytes),
        ByteSize::b(*needed),
        ByteSize::b(*granted),
        memory(*needed)
    )]
    ConfigTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// Bytes of memory that it needs.
        needed: u64,
        /// Bytes of memory that are granted.
        granted: u64,
    },
    /// A data file of a table is missing, or has another length.
    #[error(
        "{path} {what}: the dataset is damaged; restore the file, or convert the inputs again; {}",
        Remedy::Verify
    )]
    DataFile {
        /// The data file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another program has left what no dataset can be.
    #[error(
        "{path} cannot be taken as it is: {why}; restore an earlier version of the table with Lance, or convert the inputs again"
    )]
    Unacceptable {
        /// The dataset, or the table.
        path: PathBuf,
        /// What rules it out.
        why: String,
    },
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The storage returned an error.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The remedy of taking a dataset as another program has left it.
fn accept(dataset: &Path) -> Remedy {
    Remedy::AcceptChanges {
        dataset: dataset.to_path_buf(),
    }
}

/// The remedy of granting this many bytes.
fn memory(needed: u64) -> Remedy {
    Remedy::Memory {
        advised: ByteSize::b(needed),
    }
}

impl DatasetError {
    /// What a user can do about this error.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            DatasetError::Changed { path, .. } => vec![accept(path)],
            DatasetError::Contradiction { dataset, .. } => vec![accept(dataset)],
            DatasetError::ConfigTooLarge { needed, .. } => vec![memory(*needed)],
            DatasetError::DataFile { .. } => vec![Remedy::Verify],
            _ => Vec::new(),
        }
    }

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
            | DatasetError::Contradiction { .. }
            | DatasetError::ConfigTooLarge { .. }
            | DatasetError::DataFile { .. }
            | DatasetError::Unacceptable { .. }
            | DatasetError::MissingVersion { .. } => ErrorKind::Refused,
            DatasetError::Table(error) => error.kind(),
            DatasetError::Store(error) => error.kind(),
        }
    }
}
