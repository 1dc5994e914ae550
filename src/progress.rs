//! Progress events of a running job.

use crate::plan::{Plan, Widened};
use crate::survey::ValueType;
use crate::table::TableName;

/// A progress event.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The plan is made; writing starts or resumes.
    Planned { plan: &'a Plan },
    /// Numbers of shards and entries that an earlier run had written.
    Resumed { shards: usize, entries: u64 },
    /// Number of further entries read and written since the last event.
    Written { entries: u64 },
    /// Number of further entries transposed, for a matrix stored by column that must be transposed
    /// before it can be written.
    Transposed { matrix: &'a str, entries: u64 },
    /// A value did not fit: all values of its matrix are written again with a wider type.
    Widened {
        matrix: &'a str,
        widened: &'a Widened,
        to: ValueType,
    },
    /// What was written of an input is written again because its entries are not sorted by cell;
    /// `entries` entries of other inputs are kept.
    StartedOver { entries: u64 },
    /// Number of further rows verified.
    Verified { entries: u64 },
    /// A table is being committed.
    Committing { table: TableName },
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
