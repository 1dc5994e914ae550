//! Progress events of a running job.

use crate::plan::{Plan, Widened};
use crate::survey::ValueType;
use crate::table::TableName;

/// A progress event.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The plan is made; writing starts or resumes.
    Planned {
        /// The plan of the job.
        plan: &'a Plan,
    },
    /// Numbers of shards and entries that an earlier run had written.
    Resumed {
        /// Number of finished shards.
        shards: usize,
        /// Stored entries in them.
        entries: u64,
    },
    /// Number of further entries read and written since the last event.
    Written {
        /// Stored entries.
        entries: u64,
    },
    /// Number of further entries transposed, for a matrix stored by column that must be transposed
    /// before it can be written.
    Transposed {
        /// Name of the matrix, with its input.
        matrix: &'a str,
        /// Stored entries.
        entries: u64,
    },
    /// A value did not fit: all values of its matrix are written again with a wider type.
    Widened {
        /// Name of the matrix.
        matrix: &'a str,
        /// The value that did not fit, and where it is.
        widened: &'a Widened,
        /// The wider type.
        to: ValueType,
    },
    /// What was written of an input is written again because its entries are not sorted by cell;
    /// `entries` entries of other inputs are kept.
    StartedOver {
        /// Stored entries.
        entries: u64,
    },
    /// An export begins.
    Exporting {
        /// Number of entries of X; 0 if that is not known.
        entries: u64,
    },
    /// Number of further entries exported.
    Exported {
        /// Entries written.
        entries: u64,
    },
    /// Number of further rows verified.
    Verified {
        /// Rows of the tables.
        entries: u64,
    },
    /// A table is being committed.
    Committing {
        /// The table.
        table: TableName,
    },
}

/// A listener for progress events. It is called frequently and from any thread, so calls must be
/// cheap.
///
/// Closures implement it, and `&()` ignores all events.
pub trait Progress: Sync {
    /// Handles an event.
    fn report(&self, event: Event<'_>);
}

impl Progress for () {
    fn report(&self, _event: Event<'_>) {}
}

impl<F: Fn(Event<'_>) + Sync> Progress for F {
    fn report(&self, event: Event<'_>) {
        self(event);
    }
}
