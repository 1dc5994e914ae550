//! The threads on which tables are read and written.

use tokio::runtime::{Builder, Runtime};

/// Threads of a kind at most: each holds on to memory of its own, which its allocator keeps for what
/// it allocates next. They wait for files; what takes time runs on other threads.
const MOST_THREADS: usize = 4;

/// A runtime for so many threads, and as many more that wait for files: of these, tokio would start
/// up to 512.
///
/// # Errors
/// The system has no threads left.
pub fn runtime(threads: usize) -> std::io::Result<Runtime> {
    let threads = threads.clamp(2, MOST_THREADS);
    Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(threads)
        .enable_all()
        .build()
}
