//! Why an input cannot be read.

use std::io;
use std::path::{Path, PathBuf};

/// A refusal of an input, or of a part of it. Every variant names the file; where an object inside
/// the file is to blame it is named too, else it is empty.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be opened or read by the operating system.
    #[error("cannot {action} {path}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// The file is of no format that can be read.
    #[error("{path} {found}")]
    UnknownFormat { path: PathBuf, found: String },
    /// The file is damaged or cut short, or contradicts itself.
    #[error("{}: {problem}", place(.path, .object))]
    Damaged {
        path: PathBuf,
        object: String,
        problem: String,
    },
    /// The file is as its writer meant it, but holds something that is not read.
    #[error("{}: {what} cannot be read; {help}", place(.path, .object))]
    Unsupported {
        path: PathBuf,
        object: String,
        what: String,
        help: String,
    },
    /// Entries were taken to be sorted by cell, and are not: what was read of this matrix is of no
    /// use. The source knows it now: [`super::CellSource::prepare`] turns the matrix, and then
    /// [`super::CellSource::chunks`] yields it from the start.
    #[error("{}: its entries are not sorted by cell; it must be read from the start", place(.path, .object))]
    OrderLost { path: PathBuf, object: String },
    /// The folder for temporary files fails.
    #[error(
        "cannot write or read a temporary file in {path}; choose another folder with --scratch-dir"
    )]
    Scratch { path: PathBuf, source: io::Error },
    /// Reading would need more memory than was granted.
    #[error(
        "{}: {what} needs {needed} of memory at once; grant more with --memory (at least {advised})",
        place(.path, .object)
    )]
    TooLarge {
        path: PathBuf,
        object: String,
        what: String,
        needed: bytesize::ByteSize,
        advised: bytesize::ByteSize,
    },
}

/// A file, and the object in it, for messages; a file that is no container has none.
fn place(path: &Path, object: &str) -> String {
    match object {
        "" => path.display().to_string(),
        object => format!("{}: {object}", path.display()),
    }
}

/// Builds errors that name one object of one file.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    path: PathBuf,
    object: String,
}

impl Place {
    pub fn new(path: &Path, object: impl Into<String>) -> Self {
        Place {
            path: path.to_path_buf(),
            object: object.into(),
        }
    }

    /// A file as a whole.
    pub fn whole(path: &Path) -> Self {
        Place::new(path, "")
    }

    /// A line of this place, counted from 1.
    pub fn line(&self, number: u64) -> Self {
        let object = match self.object.as_str() {
            "" => format!("line {number}"),
            object => format!("{object}, line {number}"),
        };
        Place {
            path: self.path.clone(),
            object,
        }
    }

    pub fn object(&self) -> &str {
        &self.object
    }

    pub fn damaged(&self, problem: impl Into<String>) -> SourceError {
        SourceError::Damaged {
            path: self.path.clone(),
            object: self.object.clone(),
            problem: problem.into(),
        }
    }

    pub fn unsupported(&self, what: impl Into<String>, help: impl Into<String>) -> SourceError {
        SourceError::Unsupported {
            path: self.path.clone(),
            object: self.object.clone(),
            what: what.into(),
            help: help.into(),
        }
    }

    pub fn order_lost(&self) -> SourceError {
        SourceError::OrderLost {
            path: self.path.clone(),
            object: self.object.clone(),
        }
    }

    pub fn too_large(&self, what: impl Into<String>, needed: u64, advised: u64) -> SourceError {
        SourceError::TooLarge {
            path: self.path.clone(),
            object: self.object.clone(),
            what: what.into(),
            needed: bytesize::ByteSize::b(needed),
            advised: bytesize::ByteSize::b(advised),
        }
    }

    pub fn io(&self, action: &'static str, source: io::Error) -> SourceError {
        if source.kind() == io::ErrorKind::UnexpectedEof {
            return self.damaged("the file ends before the data does: it was cut short");
        }
        if source.kind() == io::ErrorKind::InvalidData {
            return self.damaged(source.to_string());
        }
        SourceError::Io {
            action,
            path: self.path.clone(),
            source,
        }
    }
}
