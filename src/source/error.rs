//! Errors that say why an input cannot be read.

use std::io;
use std::path::{Path, PathBuf};

use super::Part;
use crate::failure::ErrorKind;
use crate::parallel::{WorkError, WorkerFault};
use crate::remedy::{Advice, Remedy, Setting};

/// Why an input, or a part of it, cannot be read. Every variant names the file, and the object
/// inside the file that is to blame, if any; otherwise the object is empty.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The operating system cannot open or read the file.
    #[error("cannot {action} {path}")]
    Io {
        /// What failed, as in "cannot {action} {path}".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The file has none of the supported formats.
    #[error("{path} {found}")]
    UnknownFormat {
        /// The file or folder.
        path: PathBuf,
        /// What it looks like instead, as a predicate that follows the path.
        found: String,
    },
    /// The file is damaged, truncated or inconsistent.
    #[error("{}: {problem}", place(.path, .object))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Path of the object inside the file; empty for the file as a whole.
        object: String,
        /// What is wrong.
        problem: String,
    },
    /// The file is valid but contains something that is not supported.
    #[error("{}: {what} cannot be read; {help}", place(.path, .object))]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// Path of the object inside the file; empty for the file as a whole.
        object: String,
        /// What is not supported.
        what: String,
        /// What the user can do.
        help: Advice,
    },
    /// Entries were assumed to be sorted by cell but are not, so what was read of this matrix so
    /// far is unusable. The source remembers this: [`super::Matrix::prepare`] transposes the
    /// matrix, after which [`super::Matrix::chunks`] returns it from the start.
    #[error("{}: its entries are not sorted by cell; it must be read from the start", place(.path, .object))]
    OrderLost {
        /// The file.
        path: PathBuf,
        /// The matrix, by its path inside the file; empty for the file as a whole.
        object: String,
    },
    /// The folder for temporary files cannot be used.
    #[error(
        "cannot write or read a temporary file in {path}; {}",
        Remedy::using(Setting::any("scratch-dir"), "choose another folder")
    )]
    Scratch {
        /// The folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// Reading would need more memory than allowed.
    #[error(
        "{}: {what} needs {needed} of memory at once; {}",
        place(.path, .object),
        memory(*.advised)
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Path of the object inside the file; empty for the file as a whole.
        object: String,
        /// What needs the memory.
        what: String,
        /// Memory needed at once.
        needed: bytesize::ByteSize,
        /// Amount of memory with which reading should succeed.
        advised: bytesize::ByteSize,
    },
    /// Error of a reader outside of this module; its message names the file.
    #[error(transparent)]
    Reader(Box<dyn std::error::Error + Send + Sync>),
    /// A thread that read the input ended without an answer: a fault of this program, not of the file.
    #[error(
        "{}: a thread that was reading it failed unexpectedly; please report this with the command and the log",
        place(.path, .object)
    )]
    ReaderDied {
        /// The file.
        path: PathBuf,
        /// Path of the object inside the file; empty for the file as a whole.
        object: String,
    },
    /// The threads that read several inputs failed.
    #[error(transparent)]
    Workers(WorkerFault),
    /// A part of the input cannot be read, but the input can be read without it.
    #[error("{failure}{} {remedy}", separator(.failure))]
    Part {
        /// Why the part cannot be read.
        failure: Box<SourceError>,
        /// How it is left out.
        remedy: Remedy,
    },
    /// An option that was given does not go with the input.
    #[error("{}: {setting}: {problem}; {help}", place(.path, .object))]
    Option {
        /// The file.
        path: PathBuf,
        /// Path of the object inside the file; empty for the file as a whole.
        object: String,
        /// The option, with its value if that is to blame.
        setting: Setting,
        /// Why it does not.
        problem: String,
        /// What the user can do.
        help: Advice,
    },
}

impl SourceError {
    /// What a user can do about this error.
    pub fn remedies(&self) -> Vec<Remedy> {
        match self {
            SourceError::Unsupported { help, .. } | SourceError::Option { help, .. } => {
                help.remedies().to_vec()
            }
            SourceError::Scratch { .. } => {
                let scratch = Setting::any("scratch-dir");
                vec![Remedy::using(scratch, "choose another folder")]
            }
            SourceError::TooLarge { advised, .. } => vec![Remedy::Memory { advised: *advised }],
            SourceError::Part { failure, remedy } => {
                let mut remedies = failure.remedies();
                remedies.push(remedy.clone());
                remedies
            }
            SourceError::Io { .. }
            | SourceError::UnknownFormat { .. }
            | SourceError::Damaged { .. }
            | SourceError::OrderLost { .. }
            | SourceError::ReaderDied { .. }
            | SourceError::Workers(_)
            | SourceError::Reader(_) => Vec::new(),
        }
    }
}

impl WorkError for SourceError {
    fn of_fault(fault: WorkerFault) -> Self {
        SourceError::Workers(fault)
    }
}

impl SourceError {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            SourceError::Scratch { .. }
            | SourceError::ReaderDied { .. }
            | SourceError::Workers(_) => ErrorKind::Failed,
            SourceError::Io { .. }
            | SourceError::UnknownFormat { .. }
            | SourceError::Damaged { .. }
            | SourceError::Unsupported { .. }
            | SourceError::OrderLost { .. }
            | SourceError::TooLarge { .. }
            | SourceError::Part { .. }
            | SourceError::Option { .. }
            | SourceError::Reader(_) => ErrorKind::Refused,
        }
    }
}

fn memory(advised: bytesize::ByteSize) -> Remedy {
    Remedy::Memory { advised }
}

/// Joins the error to the remedy; the error may already suggest a remedy.
fn separator(failure: &SourceError) -> &'static str {
    match failure {
        SourceError::Unsupported { .. } | SourceError::TooLarge { .. } => ", or",
        _ => ";",
    }
}

impl SourceError {
    /// Adds the remedy of leaving out this member of a part, if the input is at fault. Errors of the
    /// operating system, or those that another option resolves, stay as they are.
    pub(crate) fn or_skip(self, part: Part, name: &str) -> Self {
        self.or(Remedy::skip(part.name(), name))
    }

    /// Likewise for a whole part.
    pub(crate) fn or_skip_part(self, part: Part) -> Self {
        let part = part.name().into();
        self.or(Remedy::Skip { part, name: None })
    }

    fn or(self, remedy: Remedy) -> Self {
        match self {
            SourceError::Unsupported { ref help, .. } if help.skips() => self,
            failure @ (SourceError::Damaged { .. }
            | SourceError::Unsupported { .. }
            | SourceError::TooLarge { .. }) => SourceError::Part {
                failure: Box::new(failure),
                remedy,
            },
            other => other,
        }
    }

    /// Returns what is wrong with an object, for a note on it. Errors of the operating system are
    /// returned as `Err`.
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
            SourceError::Option {
                object,
                setting,
                problem,
                ..
            } => (object, format!("{setting}: {problem}")),
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

/// Inputs that a message lists.
const LISTED: usize = 20;

fn not_described(what: impl std::fmt::Display) -> String {
    format!("{what} was asked for, but is not described")
}

impl SourceError {
    /// Error for an object that was requested but is not in the description of a source.
    pub fn not_described(path: &Path, what: impl std::fmt::Display) -> Self {
        ErrorContext::whole(path).not_described(what)
    }

    /// The refusal of several inputs where one is wanted.
    pub(super) fn several(path: &Path, inputs: &[PathBuf]) -> Self {
        let listed = inputs.iter().take(LISTED);
        let mut listed: Vec<String> = listed.map(|input| input.display().to_string()).collect();
        if inputs.len() > LISTED {
            listed.push(format!("and {} more", inputs.len() - LISTED));
        }
        ErrorContext::whole(path).unsupported(
            format!("{} inputs at once", inputs.len()),
            format!("choose one: {}", listed.join(", ")),
        )
    }
}

/// Formats a file and the object in it, for messages; the object is empty for files that are not
/// containers.
fn place(path: &Path, object: &str) -> String {
    match object {
        "" => path.display().to_string(),
        object => format!("{}: {object}", path.display()),
    }
}

/// Context for errors: an object of a file.
#[derive(Debug, Clone)]
pub(crate) struct ErrorContext {
    path: PathBuf,
    object: String,
}

impl ErrorContext {
    /// Creates the context for an object of a file.
    pub fn new(path: &Path, object: impl Into<String>) -> Self {
        ErrorContext {
            path: path.to_path_buf(),
            object: object.into(),
        }
    }

    /// An object of a container, by its path from the root, which is the empty one.
    pub fn within(path: &Path, object: &str) -> Self {
        match object {
            "" => ErrorContext::new(path, "root group"),
            object => ErrorContext::new(path, object),
        }
    }

    /// The file as a whole.
    pub fn whole(path: &Path) -> Self {
        ErrorContext::new(path, "")
    }

    /// A line of this object, counted from 1.
    pub fn line(&self, number: u64) -> Self {
        let object = match self.object.as_str() {
            "" => format!("line {number}"),
            object => format!("{object}, line {number}"),
        };
        ErrorContext {
            path: self.path.clone(),
            object,
        }
    }

    /// Another object of the same file.
    pub fn of(&self, object: impl Into<String>) -> Self {
        ErrorContext {
            path: self.path.clone(),
            object: object.into(),
        }
    }

    /// Path of the object inside the file; empty for the file as a whole.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// Error for an object that was requested but is not in the description.
    pub fn not_described(&self, what: impl std::fmt::Display) -> SourceError {
        self.damaged(not_described(what))
    }

    /// Creates a [`SourceError::Damaged`].
    pub fn damaged(&self, problem: impl Into<String>) -> SourceError {
        SourceError::Damaged {
            path: self.path.clone(),
            object: self.object.clone(),
            problem: problem.into(),
        }
    }

    /// Creates a [`SourceError::Unsupported`].
    pub fn unsupported(&self, what: impl Into<String>, help: impl Into<Advice>) -> SourceError {
        SourceError::Unsupported {
            path: self.path.clone(),
            object: self.object.clone(),
            what: what.into(),
            help: help.into(),
        }
    }

    /// Creates a [`SourceError::Option`].
    pub fn refuses(
        &self,
        setting: Setting,
        problem: impl Into<String>,
        help: impl Into<Advice>,
    ) -> SourceError {
        SourceError::Option {
            path: self.path.clone(),
            object: self.object.clone(),
            setting,
            problem: problem.into(),
            help: help.into(),
        }
    }

    /// A thread that read it panicked.
    pub fn died(&self) -> SourceError {
        SourceError::ReaderDied {
            path: self.path.clone(),
            object: self.object.clone(),
        }
    }

    /// Creates a [`SourceError::OrderLost`].
    pub fn order_lost(&self) -> SourceError {
        SourceError::OrderLost {
            path: self.path.clone(),
            object: self.object.clone(),
        }
    }

    /// Creates a [`SourceError::TooLarge`]; `needed` and `advised` are in bytes.
    pub fn too_large(&self, what: impl Into<String>, needed: u64, advised: u64) -> SourceError {
        SourceError::TooLarge {
            path: self.path.clone(),
            object: self.object.clone(),
            what: what.into(),
            needed: bytesize::ByteSize::b(needed),
            advised: bytesize::ByteSize::b(advised),
        }
    }

    /// Creates a [`SourceError::Io`], or a [`SourceError::Damaged`] if the file is truncated or its
    /// content is invalid.
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
        let place = ErrorContext::new("a.h5ad".as_ref(), "layers/my layer/data");
        let text = |error: SourceError| error.or_skip(Part::Layers, "my layer").to_string();
        assert_eq!(
            text(place.damaged("it is odd")),
            "a.h5ad: layers/my layer/data: it is odd; leave out layers/my layer"
        );
        assert_eq!(
            text(place.unsupported("a thing", "rewrite it")),
            "a.h5ad: layers/my layer/data: a thing cannot be read; rewrite it, or leave out layers/my layer"
        );
        let io = place.io("read", io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(io.or_skip(Part::Obs, "x"), SourceError::Io { .. }));
    }

    #[test]
    fn reasons_say_where_in_an_object() {
        let place = ErrorContext::new("a.h5ad".as_ref(), "uns/x/codes");
        let reason = |object: &str| place.damaged("it is odd").reason(object).unwrap();
        assert_eq!(reason("uns/x/codes"), "it is odd");
        assert_eq!(reason("uns/x"), "codes: it is odd");
        assert_eq!(reason("uns/y"), "uns/x/codes: it is odd");
    }
}
