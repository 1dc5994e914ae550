//! Files that are next to each other, and which of them belong together.
//!
//! Cell Ranger writes `matrix.mtx`, `barcodes.tsv` and `genes.tsv` (later `features.tsv`, all three
//! compressed) into a folder; archives of published data put a prefix before each name. Other
//! software gives the matrix any name and names the lists after it (`cells_x_genes.mtx`,
//! `cells_x_genes.barcodes.txt`).
//!
//! The list of another matrix, sample or generation is never used, because its names would be
//! wrong.

use std::collections::BTreeMap;
use std::path::Path;

use super::names::{
    Kind, kind_of_counts, lists_under, may_be_of_one_sample, names_of_genes, prefix_of_list,
    prefixes, stem,
};
use crate::source::SourceError;
use crate::source::error::Place;
use crate::source::text::TextFile;

/// Files that are next to each other: in a folder, or in a folder within an archive.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    files: BTreeMap<String, TextFile>,
}

/// The matrices of a shelf.
#[derive(Debug, Default)]
pub(super) struct Matrices {
    /// Names of the matrices that are used.
    pub taken: Vec<String>,
    /// Names of the others, each with the reason.
    pub passed_over: Vec<(String, String)>,
}

impl Matrices {
    fn pass_over(&mut self, name: &str, reason: impl Into<String>) {
        self.passed_over.push((name.to_string(), reason.into()));
    }
}

/// A list next to a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside<'a> {
    /// It is named after the matrix.
    Own(&'a str),
    /// It is not, but no other can be meant; the user is told.
    Shared(&'a str),
}

/// There is no list for a matrix: what is there instead, if anything.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoList(pub Option<String>);

impl Shelf {
    /// Returns the files of a folder.
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

    /// Returns the files of an archive, by their folder within it.
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

    /// Adds a file.
    pub fn and(mut self, name: &str, file: TextFile) -> Self {
        self.files.insert(name.to_string(), file);
        self
    }

    /// Returns a file by name.
    pub fn file(&self, name: &str) -> Option<&TextFile> {
        self.files.get(name)
    }

    /// Returns the matrices that represent the whole shelf.
    pub fn matrices(&self) -> Vec<String> {
        self.look().taken
    }

    /// Returns the matrices that represent the whole shelf: each one that has its own list of
    /// cells, and of several that share a list the one called `matrix`. Also returns the others.
    pub fn look(&self) -> Matrices {
        let mut matrices = Matrices::default();
        let twins = self.twins();
        let mut all: Vec<&str> = self
            .all()
            .filter(|name| !twins.contains_key(name))
            .collect();
        for (name, other) in twins {
            matrices.pass_over(name, format!("the same as {other}, which is taken"));
        }
        let others: Vec<_> = all.iter().map(|name| other_counts(name, &all)).collect();
        for (name, others) in all.iter().zip(&others) {
            if !others.is_empty() {
                let others = others.join(", ");
                let reason = format!(
                    "{others} may have other counts of the same cells; name one to have it read"
                );
                matrices.pass_over(name, reason);
            }
        }
        let mut alone = others.iter().map(Vec::is_empty);
        all.retain(|_| alone.next().unwrap_or(true));
        if let [only] = all[..] {
            matrices.taken.push(only.to_string());
            return matrices;
        }
        let is_plain = |name: &str| stem(name) == Some("matrix");
        let lists = all.iter().map(|name| self.own(name, Kind::Cells));
        let lists: Vec<Result<Option<&str>, String>> = lists.collect();
        for (name, list) in all.iter().zip(&lists) {
            let list = match list {
                Ok(Some(list)) => list,
                Ok(None) => {
                    let reason = "no list of cells (barcodes.tsv) is named after it";
                    matrices.pass_over(name, reason);
                    continue;
                }
                Err(why) => {
                    matrices.pass_over(name, why);
                    continue;
                }
            };
            let shares = |place: &usize| matches!(&lists[*place], Ok(Some(other)) if other == list);
            let sharing = (0..all.len()).filter(shares).map(|place| all[place]);
            let sharing: Vec<&str> = sharing.collect();
            let plain = sharing.iter().filter(|name| is_plain(name)).count();
            if sharing.len() == 1 || (plain == 1 && is_plain(name)) {
                matrices.taken.push(name.to_string());
                continue;
            }
            let others = sharing.into_iter().filter(|other| other != name);
            let others = others.collect::<Vec<_>>().join(", ");
            matrices.pass_over(
                name,
                format!(
                    "its list of cells, {list}, is that of {others}, too; name it to have it read"
                ),
            );
        }
        // The user names the lists for these.
        let mut plain = all.into_iter().filter(|name| is_plain(name));
        if let (true, Some(only), None) = (matrices.taken.is_empty(), plain.next(), plain.next()) {
            matrices.taken.push(only.to_string());
            matrices.passed_over.retain(|(name, _)| name != only);
        }
        matrices
    }

    /// Finds matrices that exist both compressed and uncompressed with the same text: maps the one
    /// that is not used to the one that is.
    fn twins(&self) -> BTreeMap<&str, &str> {
        let names = self.all().filter_map(|name| {
            let other = self.files.get_key_value(&format!("{name}.gz"))?.0.as_str();
            if !self.is_same(name, other) {
                return None;
            }
            // Use the one that was written together with its lists.
            let list = self.own(other, Kind::Cells).ok().flatten();
            Some(match list.is_some_and(is_compressed) {
                true => (name, other),
                false => (other, name),
            })
        });
        names.collect()
    }

    /// Iterates over the names of all matrices.
    fn all(&self) -> impl Iterator<Item = &str> {
        let names = self.files.keys().map(String::as_str);
        names.filter(|name| stem(name).is_some())
    }

    /// Returns the list of a kind that belongs to a matrix.
    pub fn list(&self, matrix: &str, kind: Kind) -> Result<Beside<'_>, NoList> {
        match self.own(matrix, kind) {
            Ok(Some(list)) => Ok(Beside::Own(list)),
            Ok(None) => self.shared(matrix, kind),
            Err(why) => Err(NoList(Some(why))),
        }
    }

    /// The list of the names of the genes that a list of features identifies, if there is one.
    pub fn names_of_genes(&self, features: &str) -> Option<&TextFile> {
        let mut names = names_of_genes(features).into_iter();
        names.find_map(|name| self.files.get(&name))
    }

    /// The list that is named after a matrix, of its generation; or why it cannot be told.
    fn own(&self, matrix: &str, kind: Kind) -> Result<Option<&str>, String> {
        if self.is_twin(matrix) {
            return Err(format!(
                "there are lists of two generations, and {matrix} may be {matrix}.gz unpacked"
            ));
        }
        let prefixes = stem(matrix).map(prefixes).unwrap_or_default();
        for prefix in prefixes {
            let there = self.under(matrix, &prefix, kind);
            if !there.is_empty() {
                return self.of_generation(matrix, &prefix, kind, &there).map(Some);
            }
        }
        Ok(None)
    }

    /// Returns the lists of a kind with a prefix, the usual names first.
    fn under(&self, matrix: &str, prefix: &str, kind: Kind) -> Vec<&str> {
        let names = lists_under(matrix, prefix, kind).into_iter();
        let there = names.filter_map(|name| self.files.get_key_value(&name));
        there.map(|(name, _)| name.as_str()).collect()
    }

    /// Returns, of the lists with a prefix, the one that was written together with a matrix.
    /// Compressed matrices go with compressed lists: Cell Ranger 2 compressed none of them, version
    /// 3 all.
    fn of_generation<'a>(
        &'a self,
        matrix: &str,
        prefix: &str,
        kind: Kind,
        there: &[&'a str],
    ) -> Result<&'a str, String> {
        let alike = |name: &&str| is_compressed(name) == is_compressed(matrix);
        let same: Vec<&str> = there.iter().copied().filter(alike).collect();
        if same.is_empty() {
            let rival = self.all().find(|other| {
                !alike(other)
                    && stem(other).is_some_and(|stem| prefixes(stem).iter().any(|p| p == prefix))
            });
            if let Some(rival) = rival {
                return Err(format!("{} belongs to {rival}", there[0]));
            }
            // If lists of the other kind exist in both generations, this one belongs to another
            // matrix.
            let others = self.under(matrix, prefix, kind.other());
            let [with, without] =
                [true, false].map(|like| others.iter().find(|o| alike(o) == like));
            if let (Some(with), Some(without)) = (with, without) {
                return Err(format!("{} goes with {without}, not with {with}", there[0]));
            }
        }
        let candidates = if same.is_empty() { there } else { &same[..] };
        let others = candidates[1..]
            .iter()
            .filter(|other| kind.may_differ(candidates[0], other));
        for other in others {
            if !self.is_same(candidates[0], other) {
                return Err(format!("both {} and {other} lie there", candidates[0]));
            }
        }
        Ok(candidates[0])
    }

    /// Returns a list that is named after no matrix: the one of a series, or of the only matrix.
    fn shared(&self, matrix: &str, kind: Kind) -> Result<Beside<'_>, NoList> {
        let mut free: BTreeMap<&str, &str> = BTreeMap::new();
        let mut owned = None;
        for name in self.files.keys() {
            if prefix_of_list(name, kind).is_none() {
                continue;
            }
            match self.all().find(|matrix| self.claims(matrix, name, kind)) {
                Some(owner) => owned = owned.or(Some((name, owner))),
                // If a list exists both compressed and uncompressed, use the one that is like the
                // matrix.
                None => {
                    let plain = name.strip_suffix(".gz").unwrap_or(name);
                    let other = free.insert(plain, name);
                    if let Some(other) =
                        other.filter(|_| is_compressed(name) != is_compressed(matrix))
                    {
                        free.insert(plain, other);
                    }
                }
            }
        }
        let list = match (free.values().next(), free.len(), owned) {
            (Some(list), 1, _) => *list,
            (Some(list), more, _) => {
                return Err(NoList(Some(format!("{list} is one of {more} lists"))));
            }
            (None, _, Some((list, owner))) => {
                return Err(NoList(Some(format!("{list} belongs to {owner}"))));
            }
            (None, _, None) => return Err(NoList(None)),
        };
        let alone = self.all().count() == 1;
        let prefix = prefix_of_list(list, kind).unwrap_or_default();
        let related = may_be_of_one_sample(stem(matrix).unwrap_or_default(), prefix);
        let fits = match kind {
            Kind::Cells => alone && related,
            // Samples of a series may share their features, but not with a sample that has another
            // name.
            Kind::Features => {
                let lacking = self.all().filter(|other| self.own(other, kind) == Ok(None));
                let series = prefix.starts_with("GSE") || lacking.count() > 1;
                related || (series && !prefix.starts_with("GSM"))
            }
        };
        match (fits, alone && prefix.is_empty()) {
            (true, true) => Ok(Beside::Own(list)),
            (true, false) => Ok(Beside::Shared(list)),
            (false, _) => Err(NoList(Some(format!(
                "{list} is named after another sample"
            )))),
        }
    }

    /// Whether a list is named after a matrix, regardless of their generations.
    fn claims(&self, matrix: &str, list: &str, kind: Kind) -> bool {
        let prefixes = stem(matrix).map(prefixes).unwrap_or_default();
        if !prefixes.iter().any(|prefix| list.starts_with(prefix)) {
            return false;
        }
        let mut there = prefixes
            .iter()
            .map(|prefix| self.under(matrix, prefix, kind));
        there
            .find(|there| !there.is_empty())
            .is_some_and(|there| there.contains(&list))
    }

    /// Whether two lists have the same text.
    fn is_same(&self, one: &str, other: &str) -> bool {
        match (self.files.get(one), self.files.get(other)) {
            (Some(one), Some(other)) => one.has_text_of(other).unwrap_or(false),
            _ => false,
        }
    }

    /// Whether a matrix is uncompressed and there are a compressed one of the same name and lists
    /// of both generations next to it: it may be of either generation.
    fn is_twin(&self, matrix: &str) -> bool {
        let prefixes = stem(matrix).map(prefixes).unwrap_or_default();
        let mut lists = prefixes
            .iter()
            .map(|prefix| self.under(matrix, prefix, Kind::Cells));
        let lists = lists.find(|lists| !lists.is_empty()).unwrap_or_default();
        !is_compressed(matrix)
            && self.files.contains_key(&format!("{matrix}.gz"))
            && lists.iter().any(|list| is_compressed(list))
            && lists.iter().any(|list| !is_compressed(list))
    }
}

/// The matrices that hold the other counts of the cells of a matrix: those of unspliced transcripts
/// beside those of spliced ones.
fn other_counts<'a>(name: &str, all: &[&'a str]) -> Vec<&'a str> {
    fn counts(name: &str) -> Option<(&str, &'static str, &str)> {
        stem(name).and_then(kind_of_counts)
    }
    let Some((before, kind, behind)) = counts(name) else {
        return Vec::new();
    };
    let are_others = |other: &str| {
        counts(other).is_some_and(|(b, k, e)| (b, e) == (before, behind) && k != kind)
    };
    all.iter()
        .copied()
        .filter(|other| are_others(other))
        .collect()
}

fn is_compressed(name: &str) -> bool {
    name.ends_with(".gz")
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
        [Kind::Cells, Kind::Features].map(|kind| match shelf.list(matrix, kind) {
            Ok(Beside::Own(name) | Beside::Shared(name)) => Some(name.to_string()),
            Err(_) => None,
        })
    }

    fn why(shelf: &Shelf, matrix: &str, kind: Kind) -> String {
        match shelf.list(matrix, kind) {
            Err(NoList(why)) => why.unwrap_or_default(),
            Ok(found) => panic!("{found:?} is taken for {matrix}"),
        }
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

    #[test]
    fn generations_do_not_mix() {
        let two = shelf(&[
            "matrix.mtx",
            "genes.tsv",
            "barcodes.tsv",
            "matrix.mtx.gz",
            "features.tsv.gz",
            "barcodes.tsv.gz",
        ]);
        assert_eq!(
            lists(&two, "matrix.mtx.gz"),
            both("barcodes.tsv.gz", "features.tsv.gz")
        );
        // The other one may be a decompressed copy, to which the other lists do not belong.
        for kind in [Kind::Cells, Kind::Features] {
            assert!(why(&two, "matrix.mtx", kind).contains("two generations"));
        }
        assert_eq!(two.matrices(), ["matrix.mtx.gz"]);
        // A list of the other generation is not a substitute for one that is missing.
        let one = shelf(&["matrix.mtx", "genes.tsv", "barcodes.tsv", "matrix.mtx.gz"]);
        assert!(why(&one, "matrix.mtx.gz", Kind::Cells).contains("belongs to matrix.mtx"));
        let half = shelf(&[
            "matrix.mtx.gz",
            "features.tsv.gz",
            "barcodes.tsv",
            "genes.tsv",
        ]);
        assert!(why(&half, "matrix.mtx.gz", Kind::Cells).contains("goes with genes.tsv"));
        assert!(half.list("matrix.mtx.gz", Kind::Features).is_ok());
        // Two of the same generation, one of which must belong to another matrix.
        let names = shelf(&["matrix.mtx", "genes.tsv", "features.tsv", "barcodes.tsv"]);
        assert!(why(&names, "matrix.mtx", Kind::Features).contains("both"));
        // If only some of the files are compressed, that has no significance.
        for matrix in ["matrix.mtx", "matrix.mtx.gz"] {
            let mixed = shelf(&[matrix, "barcodes.tsv.gz", "genes.tsv"]);
            assert_eq!(lists(&mixed, matrix), both("barcodes.tsv.gz", "genes.tsv"));
        }
    }

    #[test]
    fn samples_do_not_mix() {
        let plain = shelf(&[
            "matrix.mtx",
            "barcodes.tsv",
            "features.tsv",
            "GSM2_matrix.mtx",
        ]);
        assert!(why(&plain, "GSM2_matrix.mtx", Kind::Cells).contains("barcodes.tsv belongs to"));
        assert!(why(&plain, "GSM2_matrix.mtx", Kind::Features).contains("features.tsv belongs to"));
        let other = shelf(&["GSM2_matrix.mtx", "GSM1_barcodes.tsv", "GSM1_genes.tsv"]);
        for kind in [Kind::Cells, Kind::Features] {
            assert!(why(&other, "GSM2_matrix.mtx", kind).contains("another sample"));
        }
        let alone = shelf(&["GSM2_matrix.mtx", "barcodes.tsv", "features.tsv"]);
        assert_eq!(
            lists(&alone, "GSM2_matrix.mtx"),
            both("barcodes.tsv", "features.tsv")
        );
        let bare = shelf(&["GSM2_matrix.mtx", "notes.txt"]);
        assert_eq!(bare.list("GSM2_matrix.mtx", Kind::Cells), Err(NoList(None)));
    }

    #[test]
    fn a_series_shares_its_features() {
        let series = shelf(&[
            "GSM1_x-matrix.mtx.gz",
            "GSM1_x-barcodes.tsv.gz",
            "GSM2_y-matrix.mtx.gz",
            "GSM2_y-barcodes.tsv.gz",
            "GSE9_features.tsv.gz",
        ]);
        for (matrix, barcodes) in [
            ("GSM1_x-matrix.mtx.gz", "GSM1_x-barcodes.tsv.gz"),
            ("GSM2_y-matrix.mtx.gz", "GSM2_y-barcodes.tsv.gz"),
        ] {
            assert_eq!(series.list(matrix, Kind::Cells), Ok(Beside::Own(barcodes)));
            assert_eq!(
                series.list(matrix, Kind::Features),
                Ok(Beside::Shared("GSE9_features.tsv.gz"))
            );
        }
        // A sample's own features are not those of the others.
        let own = shelf(&[
            "GSM1_matrix.mtx",
            "GSM1_barcodes.tsv",
            "GSM1_features.tsv",
            "GSM2_matrix.mtx",
            "GSM2_barcodes.tsv",
        ]);
        assert!(
            why(&own, "GSM2_matrix.mtx", Kind::Features).contains("belongs to GSM1_matrix.mtx")
        );
        let several = shelf(&[
            "GSM1_matrix.mtx",
            "GSM1_barcodes.tsv",
            "a_features.tsv",
            "b_features.tsv",
        ]);
        assert!(why(&several, "GSM1_matrix.mtx", Kind::Features).contains("one of 2"));
    }

    #[test]
    fn alevin_fry_calls_its_lists_rows_and_columns() {
        let files = shelf(&[
            "quants_mat.mtx",
            "quants_mat_rows.txt",
            "quants_mat_cols.txt",
        ]);
        assert_eq!(
            lists(&files, "quants_mat.mtx"),
            both("quants_mat_rows.txt", "quants_mat_cols.txt")
        );
        let others = shelf(&["x.mtx", "x_rows.txt", "x_cols.txt"]);
        assert_eq!(lists(&others, "x.mtx"), [None, None]);
    }
}
