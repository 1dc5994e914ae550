//! Which lists belong to a matrix.
//!
//! Cell Ranger writes `matrix.mtx`, `barcodes.tsv` and `genes.tsv` (later `features.tsv`, all three
//! compressed) into a folder; archives of published data put a prefix before each name. Other
//! software gives the matrix any name and names the lists after it (`cells_x_genes.mtx`,
//! `cells_x_genes.barcodes.txt`).
//!
//! The list of another matrix, sample or generation is never used, because its names would be
//! wrong.

use std::collections::BTreeMap;

use super::super::names::{
    Kind, may_be_of_one_sample, names_of_genes, prefix_of_list, prefixes, stem,
};
use super::{MtxFolder, is_compressed};
use crate::source::text::TextFile;

/// A list next to a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source::tenx_mtx) enum Beside<'a> {
    /// It is named after the matrix.
    Own(&'a str),
    /// It is not, but no other can be meant; the user is told.
    Shared(&'a str),
}

/// There is no list for a matrix: what is there instead, if anything.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::source::tenx_mtx) struct NoList(pub Option<String>);

impl MtxFolder {
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
    pub(super) fn own(&self, matrix: &str, kind: Kind) -> Result<Option<&str>, String> {
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
