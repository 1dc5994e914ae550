//! Digests that show whether two gene lists are the same without reading them again.

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use crate::source::Column;
use crate::source::stable_id::StableId;

/// The column in which readers of 10x files store identifiers that do not change with the
/// annotation.
pub const STABLE_IDS: &str = "gene_ids";

/// Digests of the keys by which genes are usually joined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeneLists {
    /// Digest of all identifiers, in order.
    pub ids: String,
    /// Digest of the column [`STABLE_IDS`]; `None` if it is missing or has missing values.
    pub stable_ids: Option<String>,
    /// Digest of the same column including missing values; `None` if the column is missing.
    pub known_ids: Option<String>,
    /// Counts of Ensembl identifiers among the names and in the column.
    pub versions: [Versions; 2],
}

/// Number of Ensembl identifiers in a list with and without a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Versions {
    /// Number of identifiers with a version.
    pub with: u64,
    /// Number of identifiers without a version.
    pub without: u64,
}

impl Versions {
    /// Counts `text` if it is an Ensembl identifier.
    pub(crate) fn add(&mut self, text: &str) {
        match StableId::parse(text) {
            Some(id) if id.is_versioned() => self.with += 1,
            Some(_) => self.without += 1,
            None => {}
        }
    }
}

/// Digest of texts, in the order in which they are added.
#[derive(Default)]
pub(super) struct ListDigest(blake3::Hasher);

impl ListDigest {
    /// Starts the next of several lists, which has `count` texts.
    pub fn begin(&mut self, count: u64) {
        self.0.update(&count.to_le_bytes());
    }

    /// Adds the next text.
    pub fn add(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    /// Adds a missing text.
    pub fn skip(&mut self) {
        self.0.update(&u64::MAX.to_le_bytes());
    }

    /// Returns the digest in hexadecimal digits.
    pub fn finish(&self) -> String {
        self.0.finalize().to_hex()[..32].to_string()
    }
}

/// Digest of one column of a frame, computed block by block.
pub(super) struct ColumnDigest {
    place: Option<usize>,
    digest: ListDigest,
    missing: u64,
    versions: Versions,
}

/// Result of digesting a column.
#[derive(Debug, Default)]
pub(super) struct Digested {
    /// Digest of all rows, including missing values; `None` if the column is missing.
    pub known: Option<String>,
    /// The same digest, or `None` if any row has a missing value.
    pub complete: Option<String>,
    /// Counts of Ensembl identifiers in the column.
    pub versions: Versions,
}

impl ColumnDigest {
    /// Creates a digest of the column `name`, which may be missing.
    pub fn of(columns: &[Column], name: &str) -> Self {
        ColumnDigest {
            place: columns.iter().position(|column| column.name == name),
            digest: ListDigest::default(),
            missing: 0,
            versions: Versions::default(),
        }
    }

    /// Adds the next block of all columns.
    pub fn add(&mut self, columns: &[ArrayRef]) {
        let Some(place) = self.place else { return };
        let Ok(texts) = cast(&columns[place], &DataType::Utf8) else {
            self.place = None;
            return;
        };
        for text in texts.as_string::<i32>() {
            match text {
                Some(text) => {
                    self.digest.add(text);
                    self.versions.add(text);
                }
                None => {
                    self.digest.skip();
                    self.missing += 1;
                }
            }
        }
    }

    /// Returns the result.
    pub fn finish(self) -> Digested {
        let known = self.place.map(|_| self.digest.finish());
        Digested {
            complete: known.clone().filter(|_| self.missing == 0),
            known,
            versions: self.versions,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::*;
    use crate::source::ColumnKind;

    fn digest(blocks: &[&[Option<&str>]]) -> Option<String> {
        let column = Column {
            name: STABLE_IDS.into(),
            kind: ColumnKind::Text,
        };
        let mut digest = ColumnDigest::of(&[column], STABLE_IDS);
        for block in blocks {
            digest.add(&[Arc::new(StringArray::from(block.to_vec()))]);
        }
        let digested = digest.finish();
        assert!(digested.known.is_some());
        digested.complete
    }

    #[test]
    fn a_list_is_what_it_is_in_whatever_blocks() {
        let whole = digest(&[&[Some("a"), Some("b")]]);
        assert!(whole.is_some());
        assert_eq!(whole, digest(&[&[Some("a")], &[Some("b")]]));
        assert_ne!(whole, digest(&[&[Some("b"), Some("a")]]));
        assert_ne!(whole, digest(&[&[Some("ab"), Some("")]]));
        assert_eq!(digest(&[&[Some("a")], &[None], &[Some("b")]]), None);
        assert_eq!(ColumnDigest::of(&[], STABLE_IDS).finish().known, None);
    }
}
