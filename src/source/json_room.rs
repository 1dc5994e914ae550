//! Limits the memory for values that are converted to JSON.

use std::ops::Range;

use arrow::array::ArrayRef;
use serde_json::Value;

use super::SourceError;
use super::blocks::{RowBlocks, bytes_of};
use super::json::column_values;
use crate::remedy::Setting;

/// Memory per JSON value in bytes, without the bytes of text.
const VALUE_BYTES: u64 = 64;

/// Rows read at once.
const ROWS: u64 = 1 << 12;

/// The memory that is left for `uns.json`.
pub(super) struct JsonRoom {
    left: u64,
}

/// Values together with the number of non-finite ones, which JSON cannot represent; or why there
/// are none.
pub(super) type Listed = Result<(Vec<Value>, u64), String>;

impl JsonRoom {
    /// Takes a fixed share of the memory allowed for reading.
    pub fn of(memory: u64) -> Self {
        JsonRoom { left: memory / 4 }
    }

    /// Reserves memory for this many values.
    pub fn take(&mut self, values: u64) -> Result<(), String> {
        self.take_bytes(values.saturating_mul(VALUE_BYTES))
            .ok_or_else(|| {
                format!(
                    "{values} values are too many for uns.json in the memory that is granted; raise {}",
                    Setting::any("memory")
                )
            })
    }

    /// Reserves memory for the text among the values.
    pub fn take_texts(&mut self, values: &[Value]) -> Result<(), String> {
        let texts = values.iter().filter_map(Value::as_str);
        let bytes = texts.fold(0u64, |sum, text| sum.saturating_add(text.len() as u64));
        self.take_bytes(bytes).ok_or_else(|| {
            format!(
                "its texts are too long for uns.json in the memory that is granted; raise {}",
                Setting::any("memory")
            )
        })
    }

    fn take_bytes(&mut self, bytes: u64) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }

    /// Reads all rows of a column block by block, with `values` values per row. The memory for the
    /// values must already have been reserved.
    pub fn list(
        &mut self,
        rows: Range<u64>,
        values: usize,
        read: impl Fn(Range<u64>) -> Result<ArrayRef, SourceError>,
    ) -> Result<Listed, SourceError> {
        let mut blocks = RowBlocks::new(rows, values).at_most(ROWS);
        let (mut all, mut not_finite) = (Vec::new(), 0);
        loop {
            let column = match blocks.read(&read) {
                Ok(Some((_, column))) => column,
                Ok(None) => break,
                // A problem with uns is never a reason to fail.
                Err(too_large @ SourceError::TooLarge { .. }) => {
                    return Ok(Err(too_large.to_string()));
                }
                Err(other) => return Err(other),
            };
            blocks.held(bytes_of([&column]));
            let (values, count) = column_values(&column);
            if let Err(reason) = self.take_texts(&values) {
                return Ok(Err(reason));
            }
            not_finite += count;
            all.extend(values);
        }
        Ok(Ok((all, not_finite)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn lists_end_where_the_room_does() {
        let read = |rows: Range<u64>| -> Result<ArrayRef, SourceError> {
            let texts = rows.map(|row| "x".repeat(row as usize % 100));
            Ok(Arc::new(StringArray::from_iter_values(texts)))
        };
        let mut room = JsonRoom::of(4 * 200_000);
        let (values, not_finite) = room.list(0..3000, 1, read).unwrap().unwrap();
        assert_eq!((values.len(), not_finite), (3000, 0));
        assert_eq!(values[2999], Value::from("x".repeat(99)));
        let reason = room.list(0..3000, 1, read).unwrap().unwrap_err();
        assert!(reason.contains("the option memory"), "{reason}");
        assert!(room.take(u64::MAX).is_err());
        assert!(room.take(10).is_ok());
    }
}
