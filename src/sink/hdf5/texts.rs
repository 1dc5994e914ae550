//! Arrays of texts.

use arrow::array::{Array, StringArray};

use super::ffi::{self, Element, Handle};
use super::place::{Group, encoding};
use crate::sink::SinkError;

/// A one-dimensional array of texts of known length, which is written block by block.
pub(in crate::sink) struct TextsWriter {
    array: Handle,
    parent: Group,
    name: String,
    written: u64,
}

impl TextsWriter {
    pub(super) fn create(parent: &Group, name: &str, count: u64) -> Result<Self, SinkError> {
        let array = parent.create(name, Element::Text, &[count], None)?;
        encoding(&array, ["string-array", "0.2.0"]).map_err(|e| parent.error(name, e))?;
        Ok(TextsWriter {
            array,
            parent: parent.again()?,
            name: name.to_string(),
            written: 0,
        })
    }

    /// Writes the next texts; missing ones are empty.
    pub fn push(&mut self, texts: &StringArray) -> Result<(), SinkError> {
        let start = Some(self.written);
        let values = texts.iter().map(Option::unwrap_or_default);
        ffi::write_texts(&self.array, start, values)
            .map_err(|problem| self.parent.error(&self.name, problem))?;
        self.written += texts.len() as u64;
        Ok(())
    }
}
