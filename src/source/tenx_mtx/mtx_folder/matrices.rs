//! Which of the matrices of a shelf are read.

use std::collections::BTreeMap;

use super::super::names::{Kind, kind_of_counts, stem};
use super::{MtxFolder, is_compressed};

/// The matrices of a shelf.
#[derive(Debug, Default)]
pub(in crate::source::tenx_mtx) struct Matrices {
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

impl MtxFolder {
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
            Some(if list.is_some_and(is_compressed) {
                (name, other)
            } else {
                (other, name)
            })
        });
        names.collect()
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
