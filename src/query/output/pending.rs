//! Bytes on their way to the output, for writers that want to own what they write to.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that were written and not yet passed on.
#[derive(Clone, Default)]
pub(super) struct Pending(Arc<Mutex<Vec<u8>>>);

impl Pending {
    /// Passes on what was written.
    pub fn pass_on(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&bytes)?;
        bytes.clear();
        Ok(())
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
