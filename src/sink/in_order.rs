//! Work on a sequence that is partly done in order and partly on all threads at once.

use std::sync::{Condvar, Mutex, PoisonError};

use super::SinkError;

/// A counter of whose turn it is.
struct Turn {
    next: Mutex<Option<u64>>,
    changed: Condvar,
}

impl Turn {
    fn new() -> Self {
        Turn {
            next: Mutex::new(Some(0)),
            changed: Condvar::new(),
        }
    }

    /// Does something when it is the turn of `number`; `None` if an earlier one failed.
    fn run<T>(
        &self,
        number: u64,
        work: impl FnOnce() -> Result<T, SinkError>,
    ) -> Option<Result<T, SinkError>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match *next {
                None => return None,
                Some(turn) if turn == number => break,
                Some(_) => {
                    next = self
                        .changed
                        .wait(next)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
        drop(next);
        Some(work())
    }

    /// Lets the one after `number` go on, or nobody after a failure.
    fn pass(&self, number: Option<u64>) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = match (*next, number) {
            (Some(_), Some(number)) => Some(number + 1),
            _ => None,
        };
        drop(next);
        self.changed.notify_all();
    }
}

/// The steps for each item of a sequence.
pub(super) struct Steps<Read, Take, Encode, Write> {
    /// On any thread.
    pub read: Read,
    /// In order.
    pub take: Take,
    /// On any thread.
    pub encode: Encode,
    /// In order.
    pub write: Write,
}

/// Takes every item through all steps, on `threads` threads. No more items are in memory than there
/// are threads. The first failure ends everything.
pub(super) fn in_order<Item, A, B, C, R, T, E, W>(
    threads: usize,
    items: impl Iterator<Item = Result<Item, SinkError>> + Send,
    steps: &Steps<R, T, E, W>,
) -> Result<(), SinkError>
where
    R: Fn(Item) -> Result<A, SinkError> + Sync,
    T: Fn(A) -> Result<B, SinkError> + Sync,
    E: Fn(B) -> Result<C, SinkError> + Sync,
    W: Fn(C) -> Result<(), SinkError> + Sync,
{
    let items = Mutex::new((items, 0u64));
    let (taking, writing) = (Turn::new(), Turn::new());
    let failure: Mutex<Option<SinkError>> = Mutex::new(None);
    let fail = |error: SinkError| {
        let mut held = failure.lock().unwrap_or_else(PoisonError::into_inner);
        held.get_or_insert(error);
        drop(held);
        taking.pass(None);
        writing.pass(None);
    };
    let one = |item: Item, number: u64| -> Result<bool, SinkError> {
        let read = (steps.read)(item)?;
        let Some(taken) = taking.run(number, || (steps.take)(read)) else {
            return Ok(false);
        };
        let taken = taken?;
        taking.pass(Some(number));
        let encoded = (steps.encode)(taken)?;
        let Some(written) = writing.run(number, || (steps.write)(encoded)) else {
            return Ok(false);
        };
        written?;
        writing.pass(Some(number));
        Ok(true)
    };
    let work = || {
        loop {
            let failed = failure.lock().map_or(true, |failure| failure.is_some());
            if failed {
                return;
            }
            let mut held = items.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(item) = held.0.next() else {
                return;
            };
            let number = held.1;
            held.1 += 1;
            drop(held);
            match item.and_then(|item| one(item, number)) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    fail(error);
                    return;
                }
            }
        }
    };
    // A thread that panics must not let others wait.
    let guarded = || {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        if done.is_err() {
            fail(SinkError::WorkerDied);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            let thread = std::thread::Builder::new().name("slaf-export".into());
            // With fewer threads it takes longer.
            if thread.spawn_scoped(scope, guarded).is_err() {
                break;
            }
        }
        guarded();
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn run(threads: usize, count: u64, failing: Option<u64>) -> (Vec<u64>, Option<String>) {
        let written = Mutex::new(Vec::new());
        let taken = AtomicU64::new(0);
        let steps = Steps {
            read: |item: u64| match Some(item) == failing {
                true => Err(SinkError::Usage(item.to_string())),
                false => Ok(item),
            },
            take: |item: u64| {
                assert_eq!(taken.fetch_add(1, Ordering::SeqCst), item);
                Ok(item)
            },
            encode: |item: u64| {
                if item % 3 == 0 {
                    std::thread::yield_now();
                }
                Ok(item)
            },
            write: |item: u64| {
                written.lock().unwrap().push(item);
                Ok(())
            },
        };
        let result = in_order(threads, (0..count).map(Ok), &steps);
        let error = result.err().map(|error| error.to_string());
        (written.into_inner().unwrap(), error)
    }

    #[test]
    fn items_are_written_in_order_and_a_failure_ends_all() {
        for threads in [1, 2, 7] {
            let (written, error) = run(threads, 500, None);
            assert_eq!((written, error), ((0..500).collect(), None));
            let (written, error) = run(threads, 500, Some(123));
            assert_eq!(error.as_deref(), Some("123"));
            assert!(
                written.len() <= 123 && written == (0..written.len() as u64).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_panic_is_an_error() {
        let steps = Steps {
            read: |item: u64| Ok(item),
            take: |item: u64| Ok(item),
            encode: |item: u64| {
                assert!(item != 7, "on purpose");
                Ok(item)
            },
            write: |_| Ok(()),
        };
        let result = in_order(3, (0..50).map(Ok), &steps);
        assert!(matches!(result, Err(SinkError::WorkerDied)));
    }
}
