//! Categories of a column, of which there may be millions.

use std::collections::HashSet;
use std::fmt;

use arrow::array::{Array, StringArray, StringBuilder};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Categories in order, stored contiguously; those of an input share its memory.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoryList(StringArray);

impl Eq for CategoryList {}

impl Default for CategoryList {
    fn default() -> Self {
        CategoryList(StringArray::from(Vec::<String>::new()))
    }
}

impl From<StringArray> for CategoryList {
    fn from(texts: StringArray) -> Self {
        if texts.null_count() == 0 {
            return CategoryList(texts);
        }
        // A null is not a category.
        CategoryList(StringArray::from_iter_values(texts.iter().flatten()))
    }
}

impl CategoryList {
    /// Returns the categories in order, as an array.
    pub fn texts(&self) -> &StringArray {
        &self.0
    }

    /// Iterates over the categories in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten()
    }

    /// Number of categories.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no categories.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns these categories followed by those of another list that are not among them; `None`
    /// if the text exceeds 2 GiB.
    pub fn united(&self, other: &CategoryList) -> Option<Self> {
        let bytes = self.0.values().len() + other.0.values().len();
        i32::try_from(bytes).ok()?;
        let mut known: HashSet<&str> = self.iter().collect();
        let new = other.iter().filter(|name| known.insert(name));
        let all = self.iter().chain(new);
        Some(CategoryList(StringArray::from_iter_values(all)))
    }
}

impl Serialize for CategoryList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for CategoryList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = CategoryList;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<CategoryList, A::Error> {
                let mut texts = StringBuilder::new();
                while let Some(text) = list.next_element::<std::borrow::Cow<'de, str>>()? {
                    // Offsets have 32 bits.
                    if i32::try_from(texts.values_slice().len() + text.len()).is_err() {
                        return Err(serde::de::Error::custom("categories of more than 2 GiB"));
                    }
                    texts.append_value(text);
                }
                let mut texts = texts.finish();
                texts.shrink_to_fit();
                Ok(CategoryList(texts))
            }
        }
        deserializer.deserialize_seq(Texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> CategoryList {
        StringArray::from_iter_values(names).into()
    }

    #[test]
    fn lists_are_written_as_lists() {
        let names = list(&["a", "\"b\"", ""]);
        let json = serde_json::to_string(&names).unwrap();
        assert_eq!(json, r#"["a","\"b\"",""]"#);
        assert_eq!(serde_json::from_str::<CategoryList>(&json).unwrap(), names);
        assert!(serde_json::from_str::<CategoryList>("[1]").is_err());
    }

    #[test]
    fn those_of_another_come_after() {
        let united = list(&["b", "a"]).united(&list(&["c", "a", "d", "c"]));
        assert_eq!(united.unwrap(), list(&["b", "a", "c", "d"]));
        let missing: CategoryList = StringArray::from(vec![Some("x"), None]).into();
        assert_eq!((missing.len(), missing.is_empty()), (1, false));
    }
}
