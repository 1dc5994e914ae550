//! Errors found in bytes of the format; the caller adds the location to turn them into a
//! [`SourceError`].

use crate::source::SourceError;
use crate::source::error::ErrorContext;

/// Advice for anything this reader does not support.
pub(in crate::source::soma) const REWRITE: &str = "rewrite it with tiledbsoma (consolidate and \
vacuum it, or export and ingest it again with tiledbsoma.io)";

/// An error without a location.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::source::soma) enum Fault {
    /// The bytes are inconsistent or truncated.
    Damaged(String),
    /// The bytes look valid but this reader does not support them.
    Unsupported(String),
    /// Decoding needs more memory than allowed: the number of bytes.
    TooLarge(u64),
}

pub(in crate::source::soma) type Checked<T> = Result<T, Fault>;

impl Fault {
    /// Creates a [`Fault::Damaged`].
    pub fn damaged(problem: impl Into<String>) -> Self {
        Fault::Damaged(problem.into())
    }

    /// Creates a [`Fault::Unsupported`].
    pub fn unsupported(what: impl Into<String>) -> Self {
        Fault::Unsupported(what.into())
    }

    /// Adds the location and the usual advice.
    pub fn at(self, place: &ErrorContext) -> SourceError {
        self.with_help(place, REWRITE)
    }

    /// Adds the location and advice for the case that something is unsupported.
    pub fn with_help(self, place: &ErrorContext, help: &str) -> SourceError {
        match self {
            Fault::Damaged(problem) => place.damaged(problem),
            Fault::Unsupported(what) => place.unsupported(what, help),
            Fault::TooLarge(bytes) => place.too_large("a tile", bytes, bytes.saturating_mul(4)),
        }
    }
}

/// Returns a vector with capacity `length`, if the memory can be allocated.
pub(in crate::source::soma) fn reserved<T>(length: usize) -> Checked<Vec<T>> {
    let mut vector = Vec::new();
    match vector.try_reserve_exact(length) {
        Ok(()) => Ok(vector),
        Err(_) => Err(Fault::TooLarge(
            (length as u64).saturating_mul(size_of::<T>() as u64),
        )),
    }
}
