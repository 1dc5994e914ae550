//! The threads that read and write tables.

use tokio::runtime::{Builder, Runtime};

/// Maximum number of threads of a kind: the allocator keeps freed memory for each thread. They wait
/// for files; the work is done on other threads.
const MOST_THREADS: usize = 4;

/// Starts a runtime with at most this number of threads, and as many again for blocking file access,
/// of which tokio would start up to 512.
///
/// # Errors
/// If the system cannot start more threads.
pub fn runtime(threads: usize) -> std::io::Result<Runtime> {
    let threads = threads.clamp(2, MOST_THREADS);
    Builder::new_multi_thread()
        .worker_threads(threads)
        .max_blocking_threads(threads)
        .enable_all()
        .build()
}
