//! The categories of a categorical column.

use std::sync::{Arc, OnceLock};

use arrow::array::StringArray;

use crate::source::SourceError;
use crate::source::error::Place;
use crate::source::hdf5::{Hdf5File, NumberArray};
use crate::source::number_column::text_of_numbers;

/// Categories are read when the first rows are, once.
pub(super) struct Categories {
    pub file: Hdf5File,
    pub object: String,
    pub count: u64,
    pub numbers: Option<NumberArray>,
    pub read: OnceLock<Arc<StringArray>>,
}

impl Categories {
    /// The categories as texts, in their order.
    pub fn read(&self, place: &Place) -> Result<Arc<StringArray>, SourceError> {
        if let Some(categories) = self.read.get() {
            return Ok(categories.clone());
        }
        if i32::try_from(self.count).is_err() {
            return Err(place.damaged(format!("it has {} categories", self.count)));
        }
        let categories = match &self.numbers {
            Some(numbers) => text_of_numbers(&numbers.read(0..self.count)?),
            None => self
                .file
                .list(&self.object, self.count, "a list of categories")?,
        };
        Ok(self.read.get_or_init(|| Arc::new(categories)).clone())
    }
}
