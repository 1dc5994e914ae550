//! Limits how many threads decode large chunks at the same time, depending on the memory.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Chunks up to this size do not wait: they are included in the memory planned per thread.
const SMALL: u64 = 4 << 20;

/// Memory held by the threads that are currently decoding.
pub(super) struct MemoryGate {
    held: Mutex<u64>,
    changed: Condvar,
}

/// Permission to hold this many bytes until dropped.
pub(super) struct MemoryPermit<'a> {
    gate: &'a MemoryGate,
    bytes: u64,
}

/// The gate of this process.
pub(super) static GATE: MemoryGate = MemoryGate::new();

impl MemoryGate {
    const fn new() -> Self {
        MemoryGate {
            held: Mutex::new(0),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `bytes` of the `most` bytes are available, or until nobody else holds any.
    pub fn enter(&self, bytes: u64, most: u64) -> Option<MemoryPermit<'_>> {
        if bytes <= SMALL {
            return None;
        }
        let mut held = self.lock();
        while *held > 0 && held.saturating_add(bytes) > most {
            held = self
                .changed
                .wait(held)
                .unwrap_or_else(PoisonError::into_inner);
        }
        *held += bytes;
        Some(MemoryPermit { gate: self, bytes })
    }
}

impl Drop for MemoryPermit<'_> {
    fn drop(&mut self) {
        *self.gate.lock() -= self.bytes;
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn no_more_is_held_than_there_is() {
        let gate = MemoryGate::new();
        let (now, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        let bytes = SMALL + 1;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let pass = gate.enter(bytes, 3 * bytes);
                        assert!(pass.is_some());
                        let held = now.fetch_add(1, Ordering::SeqCst) + 1;
                        peak.fetch_max(held, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(peak.into_inner() <= 3);
        // One that needs more than the limit gets through alone, a small one at any time.
        let alone = gate.enter(10 * bytes, bytes);
        assert!(alone.is_some() && gate.enter(1, 1).is_none());
    }
}
