//! Keeps decoded chunks that were only partly used, for whoever reads the rest.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

type Slot = Arc<OnceLock<Result<Arc<Vec<u8>>, String>>>;

/// A few decoded chunks of one array. If two threads need the same chunk, it is decoded once.
pub(super) struct ChunkCache {
    slots: Mutex<VecDeque<(u64, Slot)>>,
    capacity: usize,
}

impl ChunkCache {
    /// Creates a cache of `bytes` bytes, but for at least two chunks: readers of neighbouring
    /// ranges share one chunk, and a third reader may already be at the next.
    pub fn new(bytes: usize, chunk_bytes: usize) -> Self {
        let capacity = (bytes / chunk_bytes.max(1)).clamp(2, 64);
        ChunkCache {
            slots: Mutex::default(),
            capacity,
        }
    }

    /// Returns the decoded chunk `number` from the cache, or decodes it with `decode`.
    pub fn get(
        &self,
        number: u64,
        decode: impl FnOnce() -> Result<Vec<u8>, String>,
    ) -> Result<Arc<Vec<u8>>, String> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            match slots.iter().find(|(known, _)| *known == number) {
                Some((_, slot)) => slot.clone(),
                None => {
                    if slots.len() == self.capacity {
                        slots.pop_front();
                    }
                    let slot = Slot::default();
                    slots.push_back((number, slot.clone()));
                    slot
                }
            }
        };
        slot.get_or_init(|| decode().map(Arc::new)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_once_and_forgets_the_oldest() {
        let cache = ChunkCache::new(0, 10);
        let mut decoded = 0;
        for number in [1, 1, 2, 1, 3, 2, 1] {
            let chunk = cache.get(number, || {
                decoded += 1;
                Ok(vec![u8::try_from(number).unwrap()])
            });
            assert_eq!(*chunk.unwrap(), [u8::try_from(number).unwrap()]);
        }
        // 1, 2, 3 and, after 3 has evicted it, 1 again.
        assert_eq!(decoded, 4);
    }
}
