//! Gene names that are only distinguished by position.
//!
//! Symbols are not unique. Readers and anndata append a suffix to all but the first gene with a
//! symbol (`TBCE`, `TBCE-1`; R's `make.unique`: `TBCE.1`), in the order of the file, so the same
//! name refers to another gene in a file that has another order or was filtered before.

use std::collections::{HashMap, HashSet};

use super::{GeneKey, GeneList};
use crate::source::RepeatedName;
use crate::source::stable_id::StableId;
use crate::survey::STABLE_IDS;

/// How much the names of a list are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameTrust {
    /// The user chose to identify genes by these names.
    Names,
    /// A name that looks as if it was derived from another is treated as such.
    Nothing,
}

/// Returns, for each gene whose name is shared, that name.
pub(super) fn repeated(
    list: &GeneList,
    given: &[RepeatedName],
    trust: NameTrust,
) -> HashMap<usize, String> {
    let mut found: HashMap<usize, String> = HashMap::new();
    for repeated in given {
        if let Ok(gene) = usize::try_from(repeated.gene) {
            found.insert(gene, repeated.name.clone());
        }
    }
    if trust == NameTrust::Names {
        return found;
    }
    let mut places: HashMap<&str, usize> = HashMap::with_capacity(list.len());
    for gene in 0..list.len() {
        let name = list.key(gene);
        if let Some(base) = base_of(name)
            && let Some(&first) = places.get(base)
        {
            for gene in [first, gene] {
                found.entry(gene).or_insert_with(|| base.to_string());
            }
        }
        places.entry(name).or_insert(gene);
    }
    found
}

/// Returns the name from which this one may have been derived.
fn base_of(name: &str) -> Option<&str> {
    let (base, number) = name.rsplit_once(['-', '.'])?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let counts = is_number && !number.is_empty() && !number.starts_with('0');
    (counts && !base.is_empty() && StableId::parse(base).is_none()).then_some(base)
}

/// Returns the first key that occurs twice in a list.
pub(super) fn twice(keys: impl Iterator<Item = String>) -> Option<String> {
    let mut seen = HashSet::new();
    let mut keys = keys;
    keys.find(|key| !seen.insert(key.clone()))
}

/// Returns a key that two genes of a list have, if any, and what it is.
pub(super) fn key_twice(list: &GeneList, key: &GeneKey) -> (Option<String>, String) {
    let genes = 0..list.len();
    if *key != GeneKey::IdsOrNames {
        let keys = genes.map(|gene| list.key(gene).to_string());
        return (twice(keys), key.to_string());
    }
    let ids = genes.clone().filter_map(|gene| list.id(gene));
    let bare: HashSet<&str> = genes
        .clone()
        .filter(|&gene| list.id(gene).is_none())
        .map(|gene| list.key(gene))
        .collect();
    let names = genes.map(|gene| list.key(gene));
    let names = names.filter(|name| bare.contains(name)).map(String::from);
    match twice(ids.map(String::from)) {
        Some(id) => (Some(id), STABLE_IDS.to_string()),
        None => (twice(names), "name".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_suspected_behind_the_name_itself_only() {
        let names = [
            "A", "NKX2-1", "B-1", "A-1", "B", "C", "C.2", "D", "D-01", "ENSG1", "ENSG1.2",
        ];
        let list = GeneList::of_column(names.to_vec().into());
        let mut found: Vec<_> = repeated(&list, &[], NameTrust::Nothing)
            .into_iter()
            .collect();
        found.sort();
        let wanted = [(0, "A"), (3, "A"), (5, "C"), (6, "C")];
        assert_eq!(found, wanted.map(|(gene, name)| (gene, name.to_string())));
        let given = [RepeatedName {
            gene: 1,
            name: "NKX2".into(),
        }];
        let found = repeated(&list, &given, NameTrust::Names);
        assert_eq!(found, HashMap::from([(1, "NKX2".to_string())]));
    }
}
