//! What a job tells while it runs.

use crate::plan::{Plan, Widened};
use crate::survey::ValueType;
use crate::table::TableName;

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Everything is decided; writing begins, or goes on.
    Planned { plan: &'a Plan },
    /// An earlier run had done this much.
    Resumed { shards: usize, entries: u64 },
    /// So many more stored entries were read and written.
    Written { entries: u64 },
    /// So many more entries were laid down of a matrix that lies in the order of its columns and
    /// must be transposed before it can be written.
    Transposed { matrix: &'a str, entries: u64 },
    /// A value did not fit: all values of its matrix are written again in a wider type.
    Widened {
        matrix: &'a str,
        widened: &'a Widened,
        to: ValueType,
    },
    /// What was written of an input is written anew, since its entries are not sorted by cell; this
    /// many entries of others stay.
    StartedOver { entries: u64 },
    /// So many more rows were verified.
    Verified { entries: u64 },
    /// A table is being made visible.
    Committing { table: TableName },
}

/// Who wants to know. Calls come from any thread, often: they must be cheap.
///
/// Closures are listeners, and `&()` is one that does not care.
pub trait Progress: Sync {
    /// Takes note of an event.
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
