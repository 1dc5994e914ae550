//! Work by several threads. Nothing here knows what the work is about.
//!
//! There is one way in which a sequence is worked on: [`OrderedWork`]. What it does not fit are readers
//! that stay ahead of whoever pulls from them (a channel and a thread), and shards that depend on each
//! other; these, too, start their threads with `on_threads`.

mod ordered_work;
mod threads;

pub use ordered_work::{OrderedWork, Steps};
pub(crate) use threads::on_threads;
pub use threads::{WorkError, WorkerFault};
