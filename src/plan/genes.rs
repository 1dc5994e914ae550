//! Joining the genes of all inputs by who they are, never by where they stand.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::StringArray;
use serde::{Deserialize, Serialize};

use super::{GeneList, IdVersions, PlanError};
use crate::survey::STABLE_IDS;

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
    /// The column `gene_ids` where a gene has a value in it, else its name.
    #[serde(rename = "gene_ids_or_name")]
    IdsOrNames,
}

impl std::fmt::Display for GeneKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            GeneKey::Id => f.write_str("gene_id"),
            GeneKey::Column(name) => f.write_str(name),
            GeneKey::IdsOrNames => write!(f, "{STABLE_IDS} where there are any, else gene_id"),
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
    /// The identifiers of these genes, where genes are joined by them or by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<Option<String>>>,
    /// Identifiers that came to be known of genes that are described without, by their number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub learned_ids: BTreeMap<u32, String>,
    #[serde(default, skip_serializing_if = "IdVersions::is_default")]
    pub id_versions: IdVersions,
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
    /// Genes of the input that the join leaves out of the dataset, with their values.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Whether all genes stand where the dataset has them.
    pub same_order: bool,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
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
    key: GeneKey,
    list: GeneList,
    by_key: HashMap<String, u32>,
    by_id: HashMap<String, u32>,
    /// The first key that occurs twice.
    twice: Option<String>,
}

impl GeneIndex {
    /// An index of genes in the order of the dataset, which are known by `key`.
    pub fn new(list: GeneList, key: &GeneKey) -> Self {
        let mut index = GeneIndex {
            key: key.clone(),
            by_key: HashMap::with_capacity(list.len()),
            by_id: HashMap::new(),
            twice: None,
            list: GeneList::of_column(StringArray::from(Vec::<String>::new())),
        };
        for (gene, place) in (0..list.len()).zip(0u32..) {
            let key = list.key(gene);
            if index.by_key.contains_key(key) {
                index.twice.get_or_insert_with(|| key.to_string());
            } else {
                index.by_key.insert(key.to_string(), place);
            }
            if let (GeneKey::IdsOrNames, Some(id)) = (&index.key, list.id(gene)) {
                index.by_id.entry(id.to_string()).or_insert(place);
            }
        }
        index.list = list;
        index
    }

    /// How many genes there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Who the genes are, in order.
    pub fn list(&self) -> &GeneList {
        &self.list
    }

    /// Where the genes of an input are.
    ///
    /// # Errors
    /// Where a key stands for two genes, and the input does not have the very same list.
    pub fn map(&self, path: &Path, list: &GeneList) -> Result<GeneMap, PlanError> {
        let begins_the_same =
            list.len() <= self.len() && *list.keys() == self.list.keys().slice(0, list.len());
        let by_ids = self.key == GeneKey::IdsOrNames;
        if *list == self.list || (!by_ids && begins_the_same && list.len() == self.len()) {
            return Ok(GeneMap::Same);
        }
        let places: Vec<u32> = if by_ids {
            let genes = (0..list.len()).zip(0u32..);
            let place = |(gene, here)| match (list.id(gene), begins_the_same) {
                (None, true) => here,
                (id, _) => self.place(id, list.key(gene)),
            };
            genes.map(place).collect()
        } else if begins_the_same {
            (0u32..).take(list.len()).collect()
        } else {
            self.check_distinct(path, list)?;
            let keys = (0..list.len()).map(|gene| self.place(None, list.key(gene)));
            keys.collect()
        };
        let is_same = places.len() == self.len() && (0u32..).zip(&places).all(|(i, p)| i == *p);
        Ok(match is_same {
            true => GeneMap::Same,
            false => GeneMap::Moved(places),
        })
    }

    /// Where a gene is: by its identifier, else by its key, where no other identifier is known.
    fn place(&self, id: Option<&str>, key: &str) -> u32 {
        if let Some(&place) = id.and_then(|id| self.by_id.get(id)) {
            return place;
        }
        let place = self.by_key.get(key).copied();
        let is_another = |&place: &u32| id.is_some() && self.list.id(place as usize).is_some();
        place
            .filter(|place| !is_another(place))
            .unwrap_or(GeneMap::DROPPED)
    }

    fn check_distinct(&self, path: &Path, list: &GeneList) -> Result<(), PlanError> {
        let mut seen = HashSet::new();
        let twice = list.keys().iter().flatten();
        let twice = twice.filter(|key| !seen.insert(*key)).map(str::to_string);
        match twice.into_iter().next().or_else(|| self.twice.clone()) {
            Some(key) => Err(PlanError::GeneTwice {
                path: path.to_path_buf(),
                by: self.key.to_string(),
                key,
            }),
            None => Ok(()),
        }
    }

    /// How the genes of an input are those of this index.
    pub fn join(&self, path: &Path, list: &GeneList) -> Result<GeneJoin, PlanError> {
        let places = match self.map(path, list)? {
            GeneMap::Same => (0u32..).take(list.len()).collect(),
            GeneMap::Moved(places) => places,
        };
        Ok(GeneJoin::of(list, &places, self.len(), |place| {
            self.list.key(place).to_string()
        }))
    }
}

impl GeneJoin {
    /// How the genes of a list are those of a dataset of so many, if they are at these places.
    pub(super) fn of(
        list: &GeneList,
        places: &[u32],
        known: usize,
        key: impl Fn(usize) -> String,
    ) -> Self {
        let mut join = GeneJoin {
            genes: list.len() as u64,
            ..GeneJoin::default()
        };
        let mut found = vec![false; known];
        for (gene, &place) in places.iter().enumerate() {
            match found.get_mut(place as usize) {
                Some(found) => {
                    *found = true;
                    join.shared += 1;
                }
                None => {
                    join.extra += 1;
                    if join.extra_examples.len() < EXAMPLES {
                        join.extra_examples.push(list.key(gene).to_string());
                    }
                }
            }
        }
        for (place, _) in found.iter().enumerate().filter(|(_, found)| !**found) {
            join.missing += 1;
            if join.missing_examples.len() < EXAMPLES {
                join.missing_examples.push(key(place));
            }
        }
        let mut in_order = (0u32..).zip(places);
        join.same_order = places.len() == known && in_order.all(|(here, place)| here == *place);
        join
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

    fn names(names: &[&str]) -> GeneList {
        GeneList::of_column(StringArray::from(names.to_vec()))
    }

    fn with_ids(genes: &[(&str, Option<&str>)]) -> GeneList {
        let names: Vec<&str> = genes.iter().map(|(name, _)| *name).collect();
        let ids = genes.iter().map(|(_, id)| *id).collect();
        GeneList::of_names(StringArray::from(names), Some(&ids))
    }

    const X: u32 = GeneMap::DROPPED;

    #[test]
    fn genes_are_found_wherever_they_stand() {
        let index = GeneIndex::new(names(&["a", "b", "c"]), &GeneKey::Id);
        let path = Path::new("x");
        let map = |list: &[&str]| index.map(path, &names(list)).unwrap();
        assert_eq!(map(&["a", "b", "c"]), GeneMap::Same);
        assert_eq!(map(&["a", "b"]), GeneMap::Moved(vec![0, 1]));
        assert_eq!(map(&["c", "x", "a"]), GeneMap::Moved(vec![2, X, 0]));
        let join = index.join(path, &names(&["c", "x", "a"])).unwrap();
        assert_eq!((join.shared, join.missing, join.extra), (2, 1, 1));
        assert_eq!(
            (&join.missing_examples[..], &join.extra_examples[..]),
            (&["b".into()][..], &["x".into()][..])
        );
    }

    #[test]
    fn a_key_of_two_genes_joins_nothing_but_the_same_list() {
        let index = GeneIndex::new(names(&["a", "a"]), &GeneKey::Id);
        let path = Path::new("x");
        assert_eq!(index.map(path, &names(&["a", "a"])).unwrap(), GeneMap::Same);
        assert!(index.map(path, &names(&["b"])).is_err());
        let index = GeneIndex::new(names(&["a", "b"]), &GeneKey::Id);
        let message = index.map(path, &names(&["b", "b"])).unwrap_err();
        assert!(message.to_string().contains("--gene-key"), "{message}");
    }

    #[test]
    fn identifiers_win_over_names() {
        let known = [("a", Some("1")), ("b", None), ("c", Some("3"))];
        let index = GeneIndex::new(with_ids(&known), &GeneKey::IdsOrNames);
        let map =
            |list: &[(&str, Option<&str>)]| index.map(Path::new("x"), &with_ids(list)).unwrap();
        let found = map(&[("x", Some("3")), ("a", Some("9")), ("b", Some("2"))]);
        assert_eq!(found, GeneMap::Moved(vec![2, X, 1]));
        let found = map(&[("c", None), ("d", None), ("a", Some("1"))]);
        assert_eq!(found, GeneMap::Moved(vec![2, X, 0]));
        // The same names, and other genes.
        let found = map(&[("a", Some("3")), ("b", None), ("c", Some("1"))]);
        assert_eq!(found, GeneMap::Moved(vec![2, 1, 0]));
    }
}
