//! By what lists of genes are known to be the same, without reading them again.

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use crate::source::Column;

/// The column in which readers of 10x files keep identifiers that do not change with the annotation.
pub const STABLE_IDS: &str = "gene_ids";

/// Digests of what genes are usually joined by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeneLists {
    /// Of all identifiers, in order.
    pub ids: String,
    /// Of the column [`STABLE_IDS`]; `None` where it is missing or not complete.
    pub stable_ids: Option<String>,
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

    pub fn finish(&self) -> String {
        self.0.finalize().to_hex()[..32].to_string()
    }
}

/// Digests one column of a frame, block by block.
pub(super) struct ColumnDigest {
    place: Option<usize>,
    digest: ListDigest,
}

impl ColumnDigest {
    /// For the column `name`, which may be missing.
    pub fn of(columns: &[Column], name: &str) -> Self {
        ColumnDigest {
            place: columns.iter().position(|column| column.name == name),
            digest: ListDigest::default(),
        }
    }

    /// Adds the next block of all columns.
    pub fn add(&mut self, columns: &[ArrayRef]) {
        let Some(place) = self.place else { return };
        let texts = cast(&columns[place], &DataType::Utf8).ok();
        let texts = texts.filter(|texts| texts.null_count() == 0);
        match texts.as_ref().map(|texts| texts.as_string::<i32>()) {
            Some(texts) => add_all(&mut self.digest, texts),
            None => self.place = None,
        }
    }

    /// `None` where the column is missing, or a row of it.
    pub fn finish(&self) -> Option<String> {
        self.place.map(|_| self.digest.finish())
    }
}

fn add_all(digest: &mut ListDigest, texts: &StringArray) {
    for text in texts.iter().flatten() {
        digest.add(text);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
        digest.finish()
    }

    #[test]
    fn a_list_is_what_it_is_in_whatever_blocks() {
        let whole = digest(&[&[Some("a"), Some("b")]]);
        assert!(whole.is_some());
        assert_eq!(whole, digest(&[&[Some("a")], &[Some("b")]]));
        assert_ne!(whole, digest(&[&[Some("b"), Some("a")]]));
        assert_ne!(whole, digest(&[&[Some("ab"), Some("")]]));
        assert_eq!(digest(&[&[Some("a")], &[None], &[Some("b")]]), None);
        assert_eq!(ColumnDigest::of(&[], STABLE_IDS).finish(), None);
    }
}
