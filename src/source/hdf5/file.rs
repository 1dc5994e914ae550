//! An open HDF5 file and the resources for reading it.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use super::array::check_readable;
use super::container::{ArrayHeader, Container, Element};
use super::local_copy::LocalCopy;
use super::texts::SharedTexts;
use super::{NumberArray, Watched};
use crate::source::error::{ErrorContext, SourceError};
use crate::source::transpose::TransposeOptions;
use crate::source::{OpenOptions, TypedVec};

/// An open HDF5 file: its metadata as a [`Container`], its bytes, and the resources that reading
/// may use. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Hdf5File {
    pub(super) container: Arc<dyn Container>,
    pub(super) bytes: Arc<File>,
    transpose: TransposeOptions,
    pub(super) texts: Arc<SharedTexts>,
}

impl Hdf5File {
    /// Opens a file for reading, even if it is inside an archive.
    pub fn open(path: &Path, options: &OpenOptions) -> Result<Self, SourceError> {
        let placed = LocalCopy::open(path, &options.scratch)?;
        Ok(Hdf5File {
            container: Arc::new(Watched::open(path, &placed.path)?),
            bytes: placed.bytes,
            transpose: TransposeOptions::of(options),
            texts: Arc::default(),
        })
    }

    /// Returns the context for errors about an object of this file.
    pub fn place(&self, object: &str) -> ErrorContext {
        ErrorContext::within(self.container.path(), object)
    }

    /// Opens a dataset, which must contain numbers in one or two dimensions.
    pub fn numbers(&self, object: &str) -> Result<NumberArray, SourceError> {
        NumberArray::open(&self.container, &self.bytes, object, self.transpose.memory)
    }

    /// Memory that reading may use, in bytes, for all threads together.
    pub fn memory(&self) -> u64 {
        self.transpose.memory
    }

    /// Resources for transposing a matrix.
    pub fn transpose_options(&self) -> &TransposeOptions {
        &self.transpose
    }

    /// Reads all numbers of a small dataset of any shape, or the value of a scalar.
    pub fn flat_numbers(&self, object: &str) -> Result<TypedVec, SourceError> {
        let place = self.place(object);
        let header = self.array(object)?;
        let Element::Number {
            number_type,
            swapped,
        } = header.element
        else {
            return Err(place.damaged("it does not hold numbers"));
        };
        self.check_readable(object, &header)?;
        let count = header
            .shape
            .iter()
            .try_fold(1u64, |count, &side| count.checked_mul(side));
        let mut numbers = count
            .and_then(|count| usize::try_from(count).ok())
            .and_then(|count| TypedVec::zeroed(number_type, count))
            .ok_or_else(|| place.damaged("it is absurdly large"))?;
        if !numbers.is_empty() {
            let rows = header.shape.first().copied().unwrap_or(1);
            self.read_bytes(object, 0..rows, numbers.as_bytes_mut())?;
        }
        if swapped {
            numbers.swap_bytes();
        }
        Ok(numbers)
    }

    /// Checks that an object that libhdf5 will read is stored in this file and, for text, that its
    /// chunk index is valid.
    pub fn check_readable(&self, object: &str, header: &ArrayHeader) -> Result<(), SourceError> {
        check_readable(&self.place(object), header)?;
        if header.element == Element::Text {
            self.stored_texts(object)?;
        }
        Ok(())
    }

    /// Whether all values of a text dataset were written; others would read as empty.
    pub fn texts_are_whole(&self, object: &str) -> Result<bool, SourceError> {
        Ok(self.stored_texts(object)?.is_whole())
    }

    /// Returns the value of a text attribute; `None` if it is missing or not text.
    pub fn text_attribute(&self, object: &str, name: &str) -> Result<Option<String>, SourceError> {
        let attribute = self.container.attribute(object, name)?;
        Ok(attribute.and_then(|attribute| attribute.text().map(str::to_string)))
    }
}

impl Deref for Hdf5File {
    type Target = dyn Container;

    fn deref(&self) -> &Self::Target {
        &*self.container
    }
}
