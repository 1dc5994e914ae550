//! Files that are next to each other.

mod lists;
mod matrices;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

pub(super) use self::lists::{Beside, NoList};
pub(super) use self::matrices::Matrices;
use super::names::{Kind, lists_under, stem};
use crate::source::SourceError;
use crate::source::error::ErrorContext;
use crate::source::text::TextFile;

/// Files that are next to each other: in a folder, or in a folder within an archive.
#[derive(Debug, Default)]
pub(super) struct MtxFolder {
    files: BTreeMap<String, TextFile>,
}

impl MtxFolder {
    /// Returns the files of a folder.
    pub fn of_folder(folder: &Path) -> Result<Self, SourceError> {
        let io = |e| ErrorContext::whole(folder).io("list", e);
        let mut shelf = MtxFolder::default();
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            if !entry.path().is_dir() {
                let name = entry.file_name().to_string_lossy().into_owned();
                shelf.files.insert(name, TextFile::new(entry.path()));
            }
        }
        Ok(shelf)
    }

    /// Returns the files of an archive, by their folder within it.
    pub fn of_archive(files: Vec<TextFile>) -> BTreeMap<String, MtxFolder> {
        let mut shelves: BTreeMap<String, MtxFolder> = BTreeMap::new();
        for file in files {
            let path = file.name();
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let shelf = shelves.entry(folder.to_string()).or_default();
            shelf.files.insert(name.to_string(), file.clone());
        }
        shelves
    }

    /// Adds a file.
    pub fn and(mut self, name: &str, file: TextFile) -> Self {
        self.files.insert(name.to_string(), file);
        self
    }

    /// Returns a file by name.
    pub fn file(&self, name: &str) -> Option<&TextFile> {
        self.files.get(name)
    }

    /// Iterates over the names of all matrices.
    fn all(&self) -> impl Iterator<Item = &str> {
        let names = self.files.keys().map(String::as_str);
        names.filter(|name| stem(name).is_some())
    }

    /// Returns the lists of a kind with a prefix, the usual names first.
    fn under(&self, matrix: &str, prefix: &str, kind: Kind) -> Vec<&str> {
        let names = lists_under(matrix, prefix, kind).into_iter();
        let there = names.filter_map(|name| self.files.get_key_value(&name));
        there.map(|(name, _)| name.as_str()).collect()
    }

    /// Whether two lists have the same text.
    fn is_same(&self, one: &str, other: &str) -> bool {
        match (self.files.get(one), self.files.get(other)) {
            (Some(one), Some(other)) => one.has_text_of(other).unwrap_or(false),
            _ => false,
        }
    }
}

fn is_compressed(name: &str) -> bool {
    name.ends_with(".gz")
}
