//! Categories of a categorical column.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, StringArray};

use crate::source::error::ErrorContext;
use crate::source::hdf5::{Hdf5File, NumberArray};
use crate::source::number_column::text_of_numbers;
use crate::source::{SourceError, TypedVec};

/// Categories, read once when the first rows are.
pub(super) struct Categories {
    /// The file.
    pub file: Hdf5File,
    /// Path of the categories.
    pub object: String,
    /// Number of categories.
    pub count: u64,
    /// Categories that are numbers; `None` for text.
    pub numbers: Option<Stored>,
    /// The categories once they have been read.
    pub read: OnceLock<Arc<StringArray>>,
}

/// Categories that are numbers.
pub(super) enum Stored {
    List(NumberArray),
    /// A scalar, for a single category.
    One(TypedVec),
}

impl Categories {
    /// Returns the categories as text, in order.
    pub fn read(&self, place: &ErrorContext) -> Result<Arc<StringArray>, SourceError> {
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

/// Memory that text takes, in bytes.
fn size(texts: &StringArray) -> u64 {
    (texts.values().len() + texts.len().saturating_mul(4)) as u64
}
