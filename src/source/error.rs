//! Why an input cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use super::Part;

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
    /// use. The source knows it now: [`super::Matrix::prepare`] turns the matrix, and then
    /// [`super::Matrix::chunks`] yields it from the start.
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
    /// A part of the input cannot be read, and the input can without it.
    #[error("{failure}{} leave it out with {flag}", separator(.failure))]
    Part {
        failure: Box<SourceError>,
        /// The flag that leaves it out.
        flag: String,
    },
}

/// An error may name one remedy already.
fn separator(failure: &SourceError) -> &'static str {
    match failure {
        SourceError::Unsupported { .. } | SourceError::TooLarge { .. } => ", or",
        _ => ";",
    }
}

impl SourceError {
    /// Names the flag that leaves a member of a part out, for what is wrong with the input. What the
    /// system fails at, or another flag helps with, stays as it is.
    pub(crate) fn or_skip(self, part: Part, name: &str) -> Self {
        self.or_leave_out(&format!("{}:{name}", part.name()))
    }

    /// Likewise for all of a part.
    pub(crate) fn or_skip_part(self, part: Part) -> Self {
        self.or_leave_out(part.name())
    }

    fn or_leave_out(self, pattern: &str) -> Self {
        let helped = |help: &str| help.contains("--skip");
        match self {
            SourceError::Unsupported { ref help, .. } if helped(help) => self,
            failure @ (SourceError::Damaged { .. }
            | SourceError::Unsupported { .. }
            | SourceError::TooLarge { .. }) => SourceError::Part {
                failure: Box::new(failure),
                flag: format!("--skip {}", quoted(pattern)),
            },
            other => other,
        }
    }

    /// What is wrong with an object, for a note on it; what the system fails at is given back.
    pub(crate) fn reason(self, object: &str) -> Result<String, SourceError> {
        let (found, reason) = match self {
            SourceError::Damaged {
                object, problem, ..
            } => (object, problem),
            SourceError::Unsupported { object, what, .. } => {
                (object, format!("{what} cannot be read"))
            }
            SourceError::TooLarge {
                object,
                what,
                needed,
                ..
            } => (object, format!("{what} needs {needed} of memory at once")),
            SourceError::Part { failure, .. } => return failure.reason(object),
            other => return Err(other),
        };
        match found.strip_prefix(object) {
            Some("") => Ok(reason),
            Some(rest) => Ok(format!("{}: {reason}", rest.trim_start_matches('/'))),
            None => Ok(format!("{found}: {reason}")),
        }
    }
}

/// A word as shells take it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-+/:.,@%=".contains(c);
    match word.chars().all(plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
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

    /// An object of the same file.
    pub fn of(&self, object: impl Into<String>) -> Self {
        Place {
            path: self.path.clone(),
            object: object.into(),
        }
    }

    pub fn object(&self) -> &str {
        &self.object
    }

    /// Refuses what was asked for without being in the description.
    pub fn not_described(&self, what: impl std::fmt::Display) -> SourceError {
        self.damaged(format!("{what} was asked for, but is not described"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_cannot_be_read_can_be_left_out() {
        let place = Place::new("a.h5ad".as_ref(), "layers/my layer/data");
        let text = |error: SourceError| error.or_skip(Part::Layers, "my layer").to_string();
        assert_eq!(
            text(place.damaged("it is odd")),
            "a.h5ad: layers/my layer/data: it is odd; leave it out with --skip 'layers:my layer'"
        );
        assert_eq!(
            text(place.unsupported("a thing", "rewrite it")),
            "a.h5ad: layers/my layer/data: a thing cannot be read; rewrite it, or leave it out with --skip 'layers:my layer'"
        );
        assert_eq!(quoted("obs:CD4+/CD8-"), "obs:CD4+/CD8-");
        assert_eq!(quoted("obs:it's"), "'obs:it'\\''s'");
        let io = place.io("read", io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(io.or_skip(Part::Obs, "x"), SourceError::Io { .. }));
    }

    #[test]
    fn reasons_say_where_in_an_object() {
        let place = Place::new("a.h5ad".as_ref(), "uns/x/codes");
        let reason = |object: &str| place.damaged("it is odd").reason(object).unwrap();
        assert_eq!(reason("uns/x/codes"), "it is odd");
        assert_eq!(reason("uns/x"), "codes: it is odd");
        assert_eq!(reason("uns/y"), "uns/x/codes: it is odd");
    }
}
