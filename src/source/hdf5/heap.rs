//! References to texts of variable length, looked at before libhdf5 follows them.
//!
//! A text of variable length is stored as a reference into a heap, with the length of the text.
//! libhdf5 allocates as many bytes before it looks into the heap: one damaged byte makes that 4 GiB.
//! (HDF5 file format, "Variable-Length" datatypes and "Global Heap".)

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::source::SourceError;
use crate::source::error::ErrorContext;

/// Bytes of a reference: a length in 32 bits, an address in 64 and a number in 32.
pub(crate) const REFERENCE: usize = 16;

/// Texts of more bytes are looked for in their heap. Others do no harm, wherever they are.
const LONG: u64 = 1 << 16;

/// The heaps of a file.
pub(super) struct Heaps<'a> {
    file: &'a File,
    /// Bytes of the file before its HDF5 part, from which addresses are counted.
    base: u64,
    /// The heap that was looked at last, with its size.
    last: Option<(u64, u64)>,
}

impl<'a> Heaps<'a> {
    pub fn of(file: &'a File, base: u64) -> Self {
        Heaps {
            file,
            base,
            last: None,
        }
    }

    /// The bytes of the texts that references lead to.
    ///
    /// # Errors
    /// Where a heap does not have what a text claims. `whose` says in messages which text.
    pub fn measure(
        &mut self,
        references: &[u8],
        whose: impl Fn() -> String,
        place: &ErrorContext,
    ) -> Result<u64, SourceError> {
        let mut all = 0u64;
        for reference in references.as_chunks::<REFERENCE>().0 {
            let [l0, l1, l2, l3, a0, a1, a2, a3, a4, a5, a6, a7, ..] = *reference;
            let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
            all = all.saturating_add(length);
            if length <= LONG {
                continue;
            }
            let address = u64::from_le_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
            let size = match self.last {
                Some((known, size)) if known == address => size,
                _ => self.size(address),
            };
            self.last = Some((address, size));
            if length > size {
                return Err(place.damaged(format!(
                    "{} claims {length} bytes, but its heap at byte {address} has {size}",
                    whose()
                )));
            }
        }
        Ok(all)
    }

    /// The bytes of a heap that are in the file; 0 where there is none.
    fn size(&self, address: u64) -> u64 {
        let mut head = [0; 16];
        let Some(at) = address.checked_add(self.base) else {
            return 0;
        };
        let length = self.file.metadata().map_or(0, |file| file.len());
        let room = length.saturating_sub(at);
        if self.file.read_exact_at(&mut head, at).is_err() || !head.starts_with(b"GCOL") {
            return 0;
        }
        let [.., s0, s1, s2, s3, s4, s5, s6, s7] = head;
        u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]).min(room)
    }
}
