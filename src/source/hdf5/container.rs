//! The metadata a reader needs from an HDF5 file, behind a trait so that the implementation can be
//! exchanged.

use std::ops::Range;
use std::path::Path;

use arrow::array::StringArray;

use super::ffi::{RawChunk, RawFilter, RawStorage};
use super::stored_texts::TextLayout;
use crate::source::error::SourceError;
use crate::source::{ScalarType, TypedVec};

/// What kind of object a name refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Missing,
    Group,
    Dataset,
    /// A dataset of a compound type. Its fields are its members, each of which behaves like a
    /// dataset.
    Compound,
    Other,
}

/// Identifies an object within its file, regardless of the link it was reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(pub [u8; 16]);

/// Type of a dataset's elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Element {
    Number {
        number_type: ScalarType,
        /// Whether the byte order differs from this machine's.
        swapped: bool,
    },
    Text,
    Other(String),
}

/// Header of a dataset.
#[derive(Debug, Clone)]
pub(crate) struct ArrayHeader {
    /// Length of each dimension; empty for a scalar.
    pub shape: Vec<u64>,
    /// Type of the elements.
    pub element: Element,
    /// Filters in the order in which they were applied.
    pub filters: Vec<RawFilter>,
    /// Where the elements are stored.
    pub storage: RawStorage,
    /// Fill value in the byte order of the file.
    pub fill: Vec<u8>,
    /// Size of a text value in bytes, if all have the same.
    pub text_size: Option<u64>,
}

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attribute {
    Text(String),
    Texts(Vec<String>),
    Number(TypedVec),
    Other(String),
}

impl Attribute {
    /// The text of a text attribute.
    pub fn text(&self) -> Option<&str> {
        match self {
            Attribute::Text(text) => Some(text),
            Attribute::Texts(texts) if texts.len() == 1 => Some(&texts[0]),
            _ => None,
        }
    }

    /// The integers of a numeric attribute; R packages store them as floats.
    pub fn integers(&self) -> Option<Vec<i64>> {
        /// `f64` represents all integers up to here exactly.
        const MOST: f64 = 9_007_199_254_740_992.0;
        let Attribute::Number(numbers) = self else {
            return None;
        };
        if let Ok(integers) = numbers.to_i64() {
            return Some(integers);
        }
        let floats = numbers.to_f64().ok()?;
        let whole =
            |float: f64| (float.fract() == 0.0 && float.abs() <= MOST).then_some(float as i64);
        floats.into_iter().map(whole).collect()
    }
}

/// The metadata of an HDF5 file. A dataset of a compound type appears as a group whose members are
/// its fields, which only libhdf5 can read. Objects are named by their path from the root, without
/// a leading slash; the root itself has the empty name.
pub(crate) trait Container: Send + Sync {
    /// Path of the file.
    fn path(&self) -> &Path;
    /// Returns the names of a group's members in no particular order, or of a compound type's
    /// fields in order.
    fn members(&self, group: &str) -> Result<Vec<String>, SourceError>;
    /// Returns what kind of object a name refers to; objects in other files are refused.
    fn kind(&self, object: &str) -> Result<Kind, SourceError>;
    /// Returns the identity of an object, which must exist.
    fn identity(&self, object: &str) -> Result<Identity, SourceError>;
    /// Returns an attribute, if the object has it.
    fn attribute(&self, object: &str, name: &str) -> Result<Option<Attribute>, SourceError>;
    /// Returns the header of a dataset.
    fn array(&self, object: &str) -> Result<ArrayHeader, SourceError>;
    /// Returns the chunks of a chunked dataset that have been written.
    fn chunks(&self, object: &str) -> Result<Vec<RawChunk>, SourceError>;
    /// How texts are stored; `None` where that is not known.
    fn text_layout(&self, object: &str) -> Result<Option<TextLayout>, SourceError>;
    /// Returns rows of text, or the value of a scalar. Text that was never written reads as empty.
    /// For an array with more dimensions, a row comprises all its text values.
    fn texts(&self, object: &str, rows: Range<u64>) -> Result<StringArray, SourceError>;
    /// Reads rows as stored in the file, for layouts and filters that only libhdf5 supports.
    fn read_bytes(&self, object: &str, rows: Range<u64>, out: &mut [u8])
    -> Result<(), SourceError>;
}
