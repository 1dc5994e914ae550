//! Joining the genes of all inputs by who they are, never by where they stand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, StringArray};
use serde::{Deserialize, Serialize};

use super::PlanError;

/// How parts of several inputs are brought together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Join {
    /// All inputs must have the same, in any order.
    #[default]
    Exact,
    /// What any input has; others lack it.
    Outer,
    /// What all inputs have.
    Inner,
}

impl Join {
    /// The name of the option's value.
    pub fn name(self) -> &'static str {
        match self {
            Join::Exact => "exact",
            Join::Outer => "outer",
            Join::Inner => "inner",
        }
    }
}

/// By what genes are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GeneKey {
    /// The identifier: the index of var.
    #[default]
    Id,
    /// A column of var.
    Column(String),
}

impl std::fmt::Display for GeneKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GeneKey::Id => f.write_str("gene_id"),
            GeneKey::Column(name) => f.write_str(name),
        }
    }
}

/// The genes of a dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GenePlan {
    pub join: Join,
    pub key: GeneKey,
    /// The keys of all genes, in their order; `None` where they are those of the first input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
}

/// How the genes of one input are those of the dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneJoin {
    /// Genes of the input.
    pub genes: u64,
    /// Those that the dataset has (or had before this input).
    pub shared: u64,
    /// Genes of the dataset that the input lacks, with a few of them.
    pub missing: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_examples: Vec<String>,
    /// Genes of the input that the dataset lacked, with a few of them.
    pub extra: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_examples: Vec<String>,
    /// Whether all genes stand where the dataset has them.
    pub same_order: bool,
}

/// Where the genes of an input are in the dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GeneMap {
    /// Where they are in the input.
    Same,
    /// The gene of the dataset for each of the input's; [`GeneMap::DROPPED`] for those that it lacks.
    Moved(Vec<u32>),
}

impl GeneMap {
    /// Stands for a gene that the dataset lacks.
    pub const DROPPED: u32 = u32::MAX;
}

/// Examples that are kept.
const EXAMPLES: usize = 5;

/// The genes of a dataset, to be looked up.
pub struct GeneIndex {
    keys: StringArray,
    places: HashMap<String, u32>,
    /// The first key that occurs twice.
    twice: Option<String>,
}

impl GeneIndex {
    /// An index of keys in the order of the dataset.
    pub fn new(keys: StringArray) -> Self {
        let mut index = GeneIndex {
            keys: StringArray::from(Vec::<String>::new()),
            places: HashMap::with_capacity(keys.len()),
            twice: None,
        };
        for (place, key) in (0u32..).zip(keys.iter()) {
            let key = key.unwrap_or_default();
            if index.places.insert(key.to_string(), place).is_some() && index.twice.is_none() {
                index.twice = Some(key.to_string());
            }
        }
        index.keys = keys;
        index
    }

    /// How many genes there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// All keys, in order.
    pub fn keys(&self) -> &StringArray {
        &self.keys
    }

    /// Where the genes of an input are.
    ///
    /// # Errors
    /// Where a key stands for two genes, and the input does not have the very same list.
    pub fn map(&self, path: &Path, keys: &StringArray) -> Result<GeneMap, PlanError> {
        if *keys == self.keys {
            return Ok(GeneMap::Same);
        }
        self.check_distinct(path, keys)?;
        let place = |key: Option<&str>| {
            let known = self.places.get(key.unwrap_or_default());
            known.copied().unwrap_or(GeneMap::DROPPED)
        };
        Ok(GeneMap::Moved(keys.iter().map(place).collect()))
    }

    fn check_distinct(&self, path: &Path, keys: &StringArray) -> Result<(), PlanError> {
        let mut seen = std::collections::HashSet::new();
        let twice = keys
            .iter()
            .flatten()
            .find(|key| !seen.insert(*key))
            .map(str::to_string);
        match twice.or_else(|| self.twice.clone()) {
            Some(key) => Err(PlanError::GeneTwice {
                path: path.to_path_buf(),
                key,
            }),
            None => Ok(()),
        }
    }

    /// How the genes of an input are those of this index.
    pub fn join(&self, path: &Path, keys: &StringArray) -> Result<GeneJoin, PlanError> {
        let mut join = GeneJoin {
            genes: keys.len() as u64,
            ..GeneJoin::default()
        };
        if *keys == self.keys {
            join.shared = join.genes;
            join.same_order = true;
            return Ok(join);
        }
        let GeneMap::Moved(places) = self.map(path, keys)? else {
            return Ok(join);
        };
        let mut found = vec![false; self.keys.len()];
        for (key, &place) in keys.iter().zip(&places) {
            match found.get_mut(place as usize) {
                Some(found) => {
                    *found = true;
                    join.shared += 1;
                }
                None => {
                    join.extra += 1;
                    if join.extra_examples.len() < EXAMPLES {
                        join.extra_examples
                            .push(key.unwrap_or_default().to_string());
                    }
                }
            }
        }
        for (place, _) in found.iter().enumerate().filter(|(_, found)| !**found) {
            join.missing += 1;
            if join.missing_examples.len() < EXAMPLES {
                join.missing_examples
                    .push(self.keys.value(place).to_string());
            }
        }
        Ok(join)
    }

    /// This index with the keys of an input that it lacks, after its own.
    pub fn extended(&self, path: &Path, keys: &StringArray) -> Result<GeneIndex, PlanError> {
        let GeneMap::Moved(places) = self.map(path, keys)? else {
            return Ok(GeneIndex::new(self.keys.clone()));
        };
        let new = keys.iter().zip(&places);
        let new = new.filter(|(_, place)| **place == GeneMap::DROPPED);
        let all = self.keys.iter().chain(new.map(|(key, _)| key));
        Ok(GeneIndex::new(all.collect()))
    }

    /// Only those keys that an input has, too.
    pub fn reduced(&self, path: &Path, keys: &StringArray) -> Result<GeneIndex, PlanError> {
        let GeneMap::Moved(places) = self.map(path, keys)? else {
            return Ok(GeneIndex::new(self.keys.clone()));
        };
        let kept: std::collections::HashSet<u32> = places.into_iter().collect();
        let all = (0u32..).zip(self.keys.iter());
        let all = all.filter(|(place, _)| kept.contains(place));
        Ok(GeneIndex::new(all.map(|(_, key)| key).collect()))
    }
}

/// Refuses a join that is not what was asked for.
pub(super) fn check_exact(
    path: &Path,
    first: &Path,
    key: &GeneKey,
    join: &GeneJoin,
    inner: &'static str,
) -> Result<(), PlanError> {
    if join.missing == 0 && join.extra == 0 {
        return Ok(());
    }
    let examples = |examples: &[String]| match examples {
        [] => String::new(),
        some => format!(" such as {}", some.join(", ")),
    };
    Err(PlanError::GenesDiffer {
        path: path.to_path_buf(),
        first: PathBuf::from(first),
        key: key.to_string(),
        missing: join.missing,
        missing_examples: examples(&join.missing_examples),
        extra: join.extra,
        extra_examples: examples(&join.extra_examples),
        inner,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> StringArray {
        StringArray::from(keys.to_vec())
    }

    #[test]
    fn genes_are_found_wherever_they_stand() {
        let index = GeneIndex::new(keys(&["a", "b", "c"]));
        let path = Path::new("x");
        let map = |list: &[&str]| index.map(path, &keys(list)).unwrap();
        assert_eq!(map(&["a", "b", "c"]), GeneMap::Same);
        assert_eq!(
            map(&["c", "x", "a"]),
            GeneMap::Moved(vec![2, GeneMap::DROPPED, 0])
        );
        let join = index.join(path, &keys(&["c", "x", "a"])).unwrap();
        assert_eq!((join.shared, join.missing, join.extra), (2, 1, 1));
        assert_eq!(
            (&join.missing_examples[..], &join.extra_examples[..]),
            (&["b".into()][..], &["x".into()][..])
        );
        let longer = index.extended(path, &keys(&["x", "c"])).unwrap();
        assert_eq!(longer.keys(), &keys(&["a", "b", "c", "x"]));
        let shorter = index.reduced(path, &keys(&["x", "c", "a"])).unwrap();
        assert_eq!(shorter.keys(), &keys(&["a", "c"]));
    }

    #[test]
    fn a_key_of_two_genes_joins_nothing_but_the_same_list() {
        let index = GeneIndex::new(keys(&["a", "a"]));
        let path = Path::new("x");
        assert_eq!(index.map(path, &keys(&["a", "a"])).unwrap(), GeneMap::Same);
        assert!(index.map(path, &keys(&["a"])).is_err());
        let index = GeneIndex::new(keys(&["a", "b"]));
        let message = index.map(path, &keys(&["b", "b"])).unwrap_err().to_string();
        assert!(
            message.contains('b') && message.contains("--gene-key"),
            "{message}"
        );
    }
}
