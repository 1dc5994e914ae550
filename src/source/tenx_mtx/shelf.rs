//! Files that lie side by side, and which of them belong together.
//!
//! Cell Ranger writes `matrix.mtx`, `barcodes.tsv` and `genes.tsv` (later `features.tsv`, all three
//! compressed) into a folder; archives of published data put a prefix before each name. Others name
//! the matrix as they like and the lists after it (`cells_x_genes.mtx`, `cells_x_genes.barcodes.txt`).

use std::collections::BTreeMap;
use std::path::Path;

use crate::source::SourceError;
use crate::source::error::Place;
use crate::source::text::TextFile;

/// What lists of cells and of features are called.
const BARCODES: [&str; 2] = ["barcodes", "cells"];
const FEATURES: [&str; 3] = ["features", "genes", "peaks"];

/// How lists end.
const ENDINGS: [&str; 3] = [".tsv", ".txt", ".bed"];

/// Files that lie side by side: in a folder, or in a folder of an archive.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    files: BTreeMap<String, TextFile>,
}

impl Shelf {
    /// The files of a folder.
    pub fn of_folder(folder: &Path) -> Result<Self, SourceError> {
        let io = |e| Place::whole(folder).io("list", e);
        let mut shelf = Shelf::default();
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            if !entry.path().is_dir() {
                let name = entry.file_name().to_string_lossy().into_owned();
                shelf.files.insert(name, TextFile::new(entry.path()));
            }
        }
        Ok(shelf)
    }

    /// The files of an archive, by their folder in it.
    pub fn of_archive(files: Vec<TextFile>) -> BTreeMap<String, Shelf> {
        let mut shelves: BTreeMap<String, Shelf> = BTreeMap::new();
        for file in files {
            let path = file.name();
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let shelf = shelves.entry(folder.to_string()).or_default();
            shelf.files.insert(name.to_string(), file.clone());
        }
        shelves
    }

    /// A shelf with one file more.
    pub fn and(mut self, name: &str, file: TextFile) -> Self {
        self.files.insert(name.to_string(), file);
        self
    }

    /// A file by its name.
    pub fn file(&self, name: &str) -> Option<&TextFile> {
        self.files.get(name)
    }

    /// The matrices that stand for the whole shelf: the one called `matrix`, or each that has a list
    /// of cells of its own.
    pub fn matrices(&self) -> Vec<String> {
        let names = self.files.keys().filter(|name| stem(name).is_some());
        let all: Vec<String> = names.cloned().collect();
        let plain: Vec<String> = all
            .iter()
            .filter(|name| stem(name) == Some("matrix"))
            .cloned()
            .collect();
        if plain.len() == 1 || all.len() == 1 {
            return if plain.len() == 1 { plain } else { all };
        }
        let lists: Vec<Option<String>> =
            all.iter().map(|name| self.named(name, &BARCODES)).collect();
        let own = |at: usize| {
            lists[at].is_some() && lists.iter().filter(|list| **list == lists[at]).count() == 1
        };
        (0..all.len())
            .filter(|&at| own(at))
            .map(|at| all[at].clone())
            .collect()
    }

    /// The list of cells of a matrix.
    pub fn barcodes(&self, matrix: &str) -> Option<&TextFile> {
        self.list(matrix, &BARCODES)
    }

    /// The list of features of a matrix.
    pub fn features(&self, matrix: &str) -> Option<&TextFile> {
        self.list(matrix, &FEATURES)
    }

    fn list(&self, matrix: &str, kinds: &[&str]) -> Option<&TextFile> {
        let name = self.named(matrix, kinds).or_else(|| self.only(kinds))?;
        self.files.get(&name)
    }

    /// The list that is named after a matrix.
    fn named(&self, matrix: &str, kinds: &[&str]) -> Option<String> {
        for prefix in prefixes(stem(matrix)?) {
            for kind in kinds {
                for ending in ENDINGS {
                    for compressed in ["", ".gz"] {
                        let name = format!("{prefix}{kind}{ending}{compressed}");
                        if self.files.contains_key(&name) {
                            return Some(name);
                        }
                    }
                }
            }
        }
        None
    }

    /// The only list of its kind, which samples of one experiment may share.
    fn only(&self, kinds: &[&str]) -> Option<String> {
        let mut lists = self.files.keys().filter(|name| {
            let name = name.strip_suffix(".gz").unwrap_or(name);
            let ending = ENDINGS.iter().find_map(|ending| name.strip_suffix(ending));
            ending.is_some_and(|stem| kinds.iter().any(|kind| stem.ends_with(kind)))
        });
        match (lists.next(), lists.next()) {
            (Some(list), None) => Some(list.clone()),
            _ => None,
        }
    }
}

/// The name of a matrix without its ending; `None` for what is no matrix by its name.
fn stem(name: &str) -> Option<&str> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let stem = name.strip_suffix(".mtx")?;
    // What macOS leaves beside a file.
    (!stem.starts_with('.')).then_some(stem)
}

/// What may stand before the names of the lists that belong to a matrix, the best first.
fn prefixes(stem: &str) -> Vec<String> {
    let mut prefixes = Vec::new();
    if let Some(prefix) = stem.strip_suffix("matrix") {
        prefixes.push(prefix.to_string());
    }
    prefixes.extend(['.', '_', '-'].map(|separator| format!("{stem}{separator}")));
    if let Some(last) = stem.rfind(['.', '_', '-']) {
        prefixes.push(stem[..=last].to_string());
    }
    prefixes.push(String::new());
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(names: &[&str]) -> Shelf {
        let files = names
            .iter()
            .map(|name| (name.to_string(), TextFile::new(name)));
        Shelf {
            files: files.collect(),
        }
    }

    fn lists(shelf: &Shelf, matrix: &str) -> [Option<String>; 2] {
        [shelf.barcodes(matrix), shelf.features(matrix)].map(|file| file.map(TextFile::name))
    }

    fn both(barcodes: &str, features: &str) -> [Option<String>; 2] {
        [Some(barcodes.into()), Some(features.into())]
    }

    #[test]
    fn one_folder_one_matrix() {
        let files = shelf(&[
            "matrix.mtx.gz",
            "barcodes.tsv.gz",
            "features.tsv.gz",
            "._matrix.mtx.gz",
        ]);
        assert_eq!(files.matrices(), ["matrix.mtx.gz"]);
        assert_eq!(
            lists(&files, "matrix.mtx.gz"),
            both("barcodes.tsv.gz", "features.tsv.gz")
        );
        let kallisto = shelf(&[
            "cells_x_genes.mtx",
            "cells_x_genes.barcodes.txt",
            "cells_x_genes.genes.txt",
        ]);
        assert_eq!(kallisto.matrices(), ["cells_x_genes.mtx"]);
        assert_eq!(
            lists(&kallisto, "cells_x_genes.mtx"),
            both("cells_x_genes.barcodes.txt", "cells_x_genes.genes.txt")
        );
        let solo = shelf(&[
            "matrix.mtx",
            "UniqueAndMult-EM.mtx",
            "barcodes.tsv",
            "features.tsv",
        ]);
        assert_eq!(solo.matrices(), ["matrix.mtx"]);
        assert_eq!(
            lists(&solo, "UniqueAndMult-EM.mtx"),
            both("barcodes.tsv", "features.tsv")
        );
    }

    #[test]
    fn prefixes_are_samples() {
        let files = shelf(&[
            "GSM1_a_matrix.mtx.gz",
            "GSM1_a_barcodes.tsv.gz",
            "GSM1_a_genes.tsv",
            "GSM2_b_counts.mtx.gz",
            "GSM2_b_barcodes.tsv.gz",
            "GSM2_b_features.tsv.gz",
        ]);
        assert_eq!(
            files.matrices(),
            ["GSM1_a_matrix.mtx.gz", "GSM2_b_counts.mtx.gz"]
        );
        assert_eq!(
            lists(&files, "GSM1_a_matrix.mtx.gz"),
            both("GSM1_a_barcodes.tsv.gz", "GSM1_a_genes.tsv")
        );
        assert_eq!(
            lists(&files, "GSM2_b_counts.mtx.gz"),
            both("GSM2_b_barcodes.tsv.gz", "GSM2_b_features.tsv.gz")
        );
        // Samples may share their features, but never their cells.
        let shared = shelf(&[
            "a_matrix.mtx",
            "b_matrix.mtx",
            "a_barcodes.tsv",
            "b_barcodes.tsv",
            "x_genes.tsv",
        ]);
        assert_eq!(shared.matrices().len(), 2);
        assert_eq!(
            lists(&shared, "b_matrix.mtx"),
            both("b_barcodes.tsv", "x_genes.tsv")
        );
        let velocity = shelf(&[
            "spliced.mtx",
            "unspliced.mtx",
            "barcodes.tsv",
            "features.tsv",
        ]);
        assert!(velocity.matrices().is_empty());
    }
}
