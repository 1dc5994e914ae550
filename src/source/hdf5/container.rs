//! What a reader asks of an HDF5 file's metadata, behind a trait, so that the engine can be
//! exchanged.

use std::ops::Range;
use std::path::Path;

use arrow::array::StringArray;

use super::ffi::{RawChunk, RawFilter, RawStorage};
use super::heap::TextLayout;
use crate::source::error::SourceError;
use crate::source::{NumberType, Numbers};

/// What lies under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Missing,
    Group,
    Dataset,
    /// A dataset of a compound type: its fields are its members, each like a dataset.
    Compound,
    Other,
}

/// What tells an object from all others of its file, whatever links lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(pub [u8; 16]);

/// The type of a dataset's elements.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Element {
    Number {
        number_type: NumberType,
        /// The byte order is not this machine's.
        swapped: bool,
    },
    Text,
    Other(String),
}

/// A dataset's header.
#[derive(Debug, Clone)]
pub(crate) struct ArrayHeader {
    /// Empty for a scalar.
    pub shape: Vec<u64>,
    pub element: Element,
    pub filters: Vec<RawFilter>,
    pub storage: RawStorage,
    pub fill: Vec<u8>,
    /// Bytes of a text, where all have the same.
    pub text_size: Option<u64>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attribute {
    Text(String),
    Texts(Vec<String>),
    Number(Numbers),
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

    /// The whole numbers of a numeric attribute; writers in R store them as floats.
    pub fn integers(&self) -> Option<Vec<i64>> {
        /// All whole numbers up to here are numbers of float64.
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

/// The metadata of one HDF5 file. A dataset of a compound type looks like a group whose members
/// are its fields, which only libhdf5 can read. Objects are named by their path from the root, without a leading
/// slash; the root itself is the empty name.
pub(crate) trait Container: Send + Sync {
    /// The file.
    fn path(&self) -> &Path;
    /// The names of a group's members, in no order, or of a compound type's fields, in theirs.
    fn members(&self, group: &str) -> Result<Vec<String>, SourceError>;
    /// What lies under a name; objects of other files are refused.
    fn kind(&self, object: &str) -> Result<Kind, SourceError>;
    /// The object under a name, which must be there.
    fn identity(&self, object: &str) -> Result<Identity, SourceError>;
    /// An attribute, if the object has it.
    fn attribute(&self, object: &str, name: &str) -> Result<Option<Attribute>, SourceError>;
    /// The header of a dataset.
    fn array(&self, object: &str) -> Result<ArrayHeader, SourceError>;
    /// The chunks of a chunked dataset that were ever written.
    fn chunks(&self, object: &str) -> Result<Vec<RawChunk>, SourceError>;
    /// How texts are stored; `None` where that is not known, or they lie in the header.
    fn text_layout(&self, object: &str) -> Result<Option<TextLayout>, SourceError>;
    /// Rows of text, or the one of a scalar; what was never written is the empty text. A row of an
    /// array of more dimensions is all its texts.
    fn texts(&self, object: &str, rows: Range<u64>) -> Result<StringArray, SourceError>;
    /// Rows as the file stores them, for layouts and filters that only libhdf5 knows.
    fn read_bytes(&self, object: &str, rows: Range<u64>, out: &mut [u8])
    -> Result<(), SourceError>;
}
