//! The categories of a categorical column.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, StringArray};

use crate::source::error::Place;
use crate::source::hdf5::{Hdf5File, NumberArray};
use crate::source::number_column::text_of_numbers;
use crate::source::{Numbers, SourceError};

/// Categories are read when the first rows are, once.
pub(super) struct Categories {
    pub file: Hdf5File,
    pub object: String,
    pub count: u64,
    /// `None` for texts.
    pub numbers: Option<Stored>,
    pub read: OnceLock<Arc<StringArray>>,
}

/// Categories that are numbers.
pub(super) enum Stored {
    List(NumberArray),
    /// A scalar: there is one.
    One(Numbers),
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
            Some(Stored::List(numbers)) => text_of_numbers(&numbers.read(0..self.count)?),
            Some(Stored::One(number)) => text_of_numbers(number),
            None => self
                .file
                .list(&self.object, self.count, "a list of categories")?,
        };
        let bytes = size(&categories);
        self.file.hold(&self.object, bytes)?;
        let mut mine = false;
        let categories = self.read.get_or_init(|| {
            mine = true;
            Arc::new(categories)
        });
        if !mine {
            self.file.let_go(bytes);
        }
        Ok(categories.clone())
    }
}

impl Drop for Categories {
    fn drop(&mut self) {
        if let Some(categories) = self.read.get() {
            self.file.let_go(size(categories));
        }
    }
}

/// Bytes of memory that texts take.
fn size(texts: &StringArray) -> u64 {
    (texts.values().len() + texts.len().saturating_mul(4)) as u64
}
