//! Metadata of groups and arrays: names and values (format_spec/metadata.md).

use std::collections::{BTreeMap, BTreeSet};

use super::cursor::Cursor;
use super::datatype::Datatype;
use super::fault::{Checked, Fault};
use super::files::Folder;
use super::names::{StampedName, base_name, is_foreign};
use super::tile::whole_file;
use crate::source::{SourceError, TypedVec};

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::source::soma) enum MetadataValue {
    Text(String),
    TypedVec(TypedVec),
    /// Any other value: a description of its type.
    Other(String),
}

impl MetadataValue {
    /// Returns the value if it is text.
    pub fn text(&self) -> Option<&str> {
        match self {
            MetadataValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value if it is a single integer.
    pub fn integer(&self) -> Option<i64> {
        match self {
            MetadataValue::TypedVec(numbers) => match numbers.to_i64().ok()?[..] {
                [number] => Some(number),
                _ => None,
            },
            _ => None,
        }
    }
}

/// All values, by name.
pub(in crate::source::soma) type Metadata = BTreeMap<String, MetadataValue>;

/// Returns the files of a folder that have timestamped names, oldest first, without those that
/// consolidation made obsolete.
pub(super) fn stamped_files(folder: &Folder) -> Result<Vec<StampedName>, SourceError> {
    let mut files = Vec::new();
    let mut superfluous = BTreeSet::new();
    for name in folder.list()? {
        if let Some(stem) = name.strip_suffix(".vac")
            && StampedName::parse(stem).is_some()
        {
            superfluous.extend(lines(folder, &name)?);
        } else if let Some(stamped) = StampedName::parse(&name) {
            files.push(stamped);
        } else if !is_foreign(&name) {
            return Err(unknown_file(folder, &name));
        }
    }
    files.retain(|file| !superfluous.contains(&file.name));
    files.sort();
    Ok(files)
}

/// Returns the last path components of the URIs in a file, one per line.
pub(super) fn lines(folder: &Folder, name: &str) -> Result<Vec<String>, SourceError> {
    let bytes = folder.read_all(name)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| folder.place_of(name).damaged("it is not a list of names"))?;
    Ok(text
        .lines()
        .map(|line| base_name(line).to_string())
        .collect())
}

/// Error for a file of an unknown kind.
pub(super) fn unknown_file(folder: &Folder, name: &str) -> SourceError {
    Fault::unsupported("a file of an unknown kind").at(&folder.place_of(name))
}

/// Reads the metadata of a group or an array.
pub(in crate::source::soma) fn read(object: &Folder) -> Result<Metadata, SourceError> {
    let folder = object.child("__meta");
    let mut metadata = Metadata::new();
    for file in stamped_files(&folder)? {
        let content = whole_file(&folder, &file.name)?;
        apply(&content, &mut metadata).map_err(|fault| fault.at(&folder.place_of(&file.name)))?;
    }
    Ok(metadata)
}

/// Applies the insertions and deletions of one file.
fn apply(bytes: &[u8], metadata: &mut Metadata) -> Checked<()> {
    let mut cursor = Cursor::new(bytes);
    while !cursor.rest().is_empty() {
        let name = cursor.text32()?;
        if cursor.flag("whether metadata is deleted")? {
            metadata.remove(&name);
            continue;
        }
        let datatype = Datatype::from_code(cursor.u8()?)?;
        let count = cursor.length32()?;
        let size = count
            .checked_mul(datatype.size())
            .ok_or_else(|| Fault::damaged(format!("{count} values cannot be")))?;
        metadata.insert(name, value(datatype, cursor.take(size)?)?);
    }
    Ok(())
}

fn value(datatype: Datatype, bytes: &[u8]) -> Checked<MetadataValue> {
    Ok(match datatype {
        Datatype::Ascii | Datatype::Utf8 | Datatype::Char => match std::str::from_utf8(bytes) {
            Ok(text) => MetadataValue::Text(text.to_string()),
            Err(_) => MetadataValue::Other("text that is not UTF-8".into()),
        },
        Datatype::Number(number_type) => {
            let numbers = TypedVec::of_bytes(number_type, bytes);
            MetadataValue::TypedVec(numbers.ok_or(Fault::TooLarge(bytes.len() as u64))?)
        }
        other => MetadataValue::Other(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn later_files_replace_and_delete() {
        let entry = |name: &str, value: Option<&str>| {
            let mut bytes = (name.len() as u32).to_le_bytes().to_vec();
            bytes.extend(name.as_bytes());
            match value {
                None => bytes.push(1),
                Some(value) => {
                    bytes.extend([0, 12]);
                    bytes.extend((value.len() as u32).to_le_bytes());
                    bytes.extend(value.as_bytes());
                }
            }
            bytes
        };
        let mut metadata = Metadata::new();
        apply(
            &[entry("a", Some("1")), entry("b", Some(""))].concat(),
            &mut metadata,
        )
        .unwrap();
        apply(
            &[entry("a", Some("ü")), entry("b", None)].concat(),
            &mut metadata,
        )
        .unwrap();
        assert_eq!(metadata.len(), 1);
        assert_eq!(metadata["a"].text(), Some("ü"));
        assert!(apply(&entry("a", Some("12"))[..8], &mut metadata).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = apply(&bytes, &mut Metadata::new());
        }
    }
}
