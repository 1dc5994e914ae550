//! By what lists of genes are known to be the same, without reading them again.

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use crate::source::Column;
use crate::source::stable_id::StableId;

/// The column in which readers of 10x files keep identifiers that do not change with the annotation.
pub const STABLE_IDS: &str = "gene_ids";

/// Digests of what genes are usually joined by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeneLists {
    /// Of all identifiers, in order.
    pub ids: String,
    /// Of the column [`STABLE_IDS`]; `None` where it is missing or not complete.
    pub stable_ids: Option<String>,
    /// Of the same column with its gaps; `None` where it is missing.
    pub known_ids: Option<String>,
    /// Identifiers of Ensembl among the names, and in the column.
    pub versions: [Versions; 2],
}

/// How many identifiers of Ensembl a list has with a version, and without.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Versions {
    pub with: u64,
    pub without: u64,
}

impl Versions {
    /// Counts a text, if it is such an identifier.
    pub(crate) fn add(&mut self, text: &str) {
        match StableId::parse(text) {
            Some(id) if id.is_versioned() => self.with += 1,
            Some(_) => self.without += 1,
            None => {}
        }
    }
}

/// The digest of texts in the order in which they are added.
#[derive(Default)]
pub(super) struct ListDigest(blake3::Hasher);

impl ListDigest {
    /// Begins one of several lists, of so many texts.
    pub fn begin(&mut self, count: u64) {
        self.0.update(&count.to_le_bytes());
    }

    pub fn add(&mut self, text: &str) {
        self.0.update(&(text.len() as u64).to_le_bytes());
        self.0.update(text.as_bytes());
    }

    /// Adds that a text is missing.
    pub fn skip(&mut self) {
        self.0.update(&u64::MAX.to_le_bytes());
    }

    pub fn finish(&self) -> String {
        self.0.finalize().to_hex()[..32].to_string()
    }
}

/// Digests one column of a frame, block by block.
pub(super) struct ColumnDigest {
    place: Option<usize>,
    digest: ListDigest,
    missing: u64,
    versions: Versions,
}

/// What was seen of a column.
#[derive(Debug, Default)]
pub(super) struct Digested {
    /// The digest of all its rows; `None` where the column is missing.
    pub known: Option<String>,
    /// The same, where no row is missing.
    pub complete: Option<String>,
    pub versions: Versions,
}

impl ColumnDigest {
    /// For the column `name`, which may be missing.
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

    /// What was seen.
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
