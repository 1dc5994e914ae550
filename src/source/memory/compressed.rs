//! Compressed rows or columns in memory.

use std::ops::Range;

use super::buffer::NumberBuffer;
use crate::source::chunk::EXPANDED_BYTES;
use crate::source::{ErrorContext, SourceError};

/// Pointers that are looked at at once.
pub(super) const POINTERS: usize = 1 << 16;

/// Compressed rows or columns.
#[derive(Debug, Clone)]
pub(super) struct Compressed {
    pub indptr: NumberBuffer,
    pub indices: NumberBuffer,
    pub data: NumberBuffer,
}

impl Compressed {
    /// Checks that the buffers go together, for so many rows or columns.
    pub fn check(&self, place: &ErrorContext, majors: usize) -> Result<(), SourceError> {
        let (pointers, indices, data) = (self.indptr.len(), self.indices.len(), self.data.len());
        if majors.checked_add(1) != Some(pointers) {
            return Err(place.damaged(format!(
                "its indptr has {pointers} numbers, and {majors} + 1 are needed"
            )));
        }
        if indices != data {
            return Err(place.damaged(format!("it has {indices} indices and {data} values")));
        }
        let mut last = 0i64;
        for start in (0..pointers).step_by(POINTERS) {
            let block = self.pointers(place, start..(start + POINTERS).min(pointers))?;
            let begins = start > 0 || block.first() == Some(&0);
            if !begins || block.first() < Some(&last) || !block.is_sorted() {
                return Err(place.damaged("its indptr does not ascend from zero"));
            }
            last = block.last().copied().unwrap_or(last);
        }
        if usize::try_from(last) == Ok(data) {
            Ok(())
        } else {
            Err(place.damaged(format!(
                "its indptr ends with {last}, and it has {data} values"
            )))
        }
    }

    fn pointers(&self, place: &ErrorContext, range: Range<usize>) -> Result<Vec<i64>, SourceError> {
        let numbers = self.indptr.part(range);
        let numbers = numbers.and_then(|numbers| numbers.to_i64().ok());
        numbers.ok_or_else(|| place.damaged("its indptr is not of whole numbers"))
    }

    /// The pointers of some rows or columns, which were checked.
    pub fn offsets(
        &self,
        place: &ErrorContext,
        majors: Range<u64>,
    ) -> Result<Vec<u64>, SourceError> {
        let range = majors.start as usize..(majors.end as usize).saturating_add(1);
        let pointers = self.pointers(place, range)?;
        Ok(pointers.into_iter().map(|pointer| pointer as u64).collect())
    }

    /// Bytes that an entry takes while it is read and later expanded.
    pub fn entry_bytes(&self) -> u64 {
        let size = self.indices.number_type().size() + self.data.number_type().size();
        size as u64 + EXPANDED_BYTES
    }
}
