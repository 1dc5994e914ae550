//! The threads of a piece of work.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// A fault of this program or of the machine, not of what was worked on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerFault {
    /// The system has no threads or memory left.
    #[error("cannot start the threads of the work")]
    Start {
        /// What the system says.
        source: std::io::Error,
    },
    /// A worker ended without a result, which is a bug in this program.
    #[error("a worker thread failed unexpectedly; please report this with the command and the log")]
    Died,
}

/// An error of work that several threads share.
pub trait WorkError: Send {
    /// What a fault is to those who asked for the work.
    fn of_fault(fault: WorkerFault) -> Self;
}

impl WorkError for WorkerFault {
    fn of_fault(fault: WorkerFault) -> Self {
        fault
    }
}

/// Runs `work` on the calling thread and on as many others as make `threads` in all, and returns when it
/// has returned on all of them.
///
/// `fail` is called by a thread on which `work` panicked, and where a thread cannot be started. It should
/// let `work` return on the others; nobody waits for one that panicked.
pub(crate) fn on_threads(
    threads: usize,
    name: &str,
    work: impl Fn() + Sync,
    fail: impl Fn(WorkerFault) + Sync,
) {
    // What a panic leaves behind is not used: `fail` is told that the work has failed.
    let guarded = || {
        if catch_unwind(AssertUnwindSafe(&work)).is_err() {
            fail(WorkerFault::Died);
        }
    };
    std::thread::scope(|scope| {
        for number in 1..threads {
            let thread = std::thread::Builder::new().name(format!("{name}-{number}"));
            if let Err(source) = thread.spawn_scoped(scope, guarded) {
                fail(WorkerFault::Start { source });
                break;
            }
        }
        guarded();
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn all_of_them_work_and_each_that_panics_says_so() {
        for threads in 0..5 {
            let (started, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
            let work = || {
                let number = started.fetch_add(1, Ordering::SeqCst);
                assert!(number % 2 == 0, "on purpose");
            };
            on_threads(threads, "test", work, |fault| {
                failed.lock().unwrap().push(fault);
            });
            let all = threads.max(1);
            assert_eq!(started.into_inner(), all);
            let failed = failed.into_inner().unwrap();
            assert_eq!(failed.len(), all / 2);
            assert!(
                failed
                    .iter()
                    .all(|fault| matches!(fault, WorkerFault::Died))
            );
        }
    }
}
