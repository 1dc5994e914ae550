//! Why bytes of the format are not read; whoever knows where they lie makes an error of it.

use crate::source::SourceError;
use crate::source::error::Place;

/// The way out of what this reader does not know.
pub(in crate::source::soma) const REWRITE: &str = "rewrite it with tiledbsoma (consolidate and \
vacuum it, or export and ingest it again with tiledbsoma.io)";

/// A fault of bytes that do not know where they lie.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::source::soma) enum Fault {
    /// They contradict themselves, or end too early.
    Damaged(String),
    /// They are sound, as far as can be told, but not known to this reader.
    Unsupported(String),
    /// They need more memory than was granted.
    TooLarge(u64),
}

pub(in crate::source::soma) type Checked<T> = Result<T, Fault>;

impl Fault {
    pub fn damaged(problem: impl Into<String>) -> Self {
        Fault::Damaged(problem.into())
    }

    pub fn unsupported(what: impl Into<String>) -> Self {
        Fault::Unsupported(what.into())
    }

    /// The error, at a place, with the usual way out.
    pub fn at(self, place: &Place) -> SourceError {
        self.with_help(place, REWRITE)
    }

    /// The error, at a place, with a way out for what is unsupported.
    pub fn with_help(self, place: &Place, help: &str) -> SourceError {
        match self {
            Fault::Damaged(problem) => place.damaged(problem),
            Fault::Unsupported(what) => place.unsupported(what, help),
            Fault::TooLarge(bytes) => place.too_large("a tile", bytes, bytes.saturating_mul(4)),
        }
    }
}

/// A vector with room for `length` values, if the memory can be had.
pub(in crate::source::soma) fn reserved<T>(length: usize) -> Checked<Vec<T>> {
    let mut vector = Vec::new();
    match vector.try_reserve_exact(length) {
        Ok(()) => Ok(vector),
        Err(_) => Err(Fault::TooLarge(
            (length as u64).saturating_mul(size_of::<T>() as u64),
        )),
    }
}
