//! Joins the genes of all inputs by identifier or name, never by position.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::StringArray;
use serde::{Deserialize, Serialize};

use super::{GeneList, IdVersions, PlanError};
use crate::source::Reindex;
use crate::survey::STABLE_IDS;

/// How parts of several inputs are joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Join {
    /// All inputs must have the same members, in any order.
    #[default]
    Exact,
    /// Members that any input has; they are missing in the others.
    Outer,
    /// Members that all inputs have.
    Inner,
}

impl Join {
    /// Name of the option's value.
    pub fn name(self) -> &'static str {
        match self {
            Join::Exact => "exact",
            Join::Outer => "outer",
            Join::Inner => "inner",
        }
    }
}

/// The key that identifies genes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GeneKey {
    /// The index of var.
    #[default]
    Id,
    /// A column of var.
    Column(String),
    /// The column `gene_ids` where it has a value, otherwise the name.
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
    /// How genes are joined.
    pub join: Join,
    /// The key by which genes are joined.
    pub key: GeneKey,
    /// Keys of all genes, in order; `None` if they are those of the first input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<String>>,
    /// Identifiers of these genes, if genes are joined by identifiers or names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<Option<String>>>,
    /// Identifiers learned for genes that were described without one, by gene number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub learned_ids: BTreeMap<u32, String>,
    /// Whether versions of Ensembl identifiers distinguish genes.
    #[serde(default, skip_serializing_if = "IdVersions::is_default")]
    pub id_versions: IdVersions,
}

/// How the genes of one input correspond to those of the dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneJoin {
    /// Number of genes of the input.
    pub genes: u64,
    /// Number of these that the dataset has (or had before this input).
    pub shared: u64,
    /// Number of genes of the dataset that the input lacks.
    pub missing: u64,
    /// Keys of some of the missing genes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_examples: Vec<String>,
    /// Number of genes of the input that the dataset lacked.
    pub extra: u64,
    /// Keys of some of the extra genes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_examples: Vec<String>,
    /// Number of genes of the input that the join leaves out, along with their values.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Whether all genes have the same position as in the dataset.
    pub same_order: bool,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Maximum number of examples.
const EXAMPLES: usize = 5;

/// Index for looking up the genes of a dataset.
pub struct GeneIndex {
    key: GeneKey,
    list: GeneList,
    by_key: HashMap<String, u32>,
    by_id: HashMap<String, u32>,
    /// First key that occurs twice.
    twice: Option<String>,
}

impl GeneIndex {
    /// Creates an index of genes in the order of the dataset, identified by `key`.
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

    /// Number of genes.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether the index is empty.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The indexed genes, in order.
    pub fn list(&self) -> &GeneList {
        &self.list
    }

    /// Maps the genes of an input to those of the dataset: [`Reindex::Identity`] only if they are
    /// the same.
    ///
    /// # Errors
    /// If a key occurs twice and the input does not have exactly the same list.
    pub fn map(&self, path: &Path, list: &GeneList) -> Result<Reindex, PlanError> {
        let begins_the_same =
            list.len() <= self.len() && *list.keys() == self.list.keys().slice(0, list.len());
        let by_ids = self.key == GeneKey::IdsOrNames;
        if *list == self.list || (!by_ids && begins_the_same && list.len() == self.len()) {
            return Ok(Reindex::Identity);
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
        Ok(if is_same {
            Reindex::Identity
        } else {
            Reindex::Moved(places)
        })
    }

    /// Finds a gene by identifier, otherwise by key if it has no other identifier.
    fn place(&self, id: Option<&str>, key: &str) -> u32 {
        if let Some(&place) = id.and_then(|id| self.by_id.get(id)) {
            return place;
        }
        let place = self.by_key.get(key).copied();
        let is_another = |&place: &u32| id.is_some() && self.list.id(place as usize).is_some();
        place
            .filter(|place| !is_another(place))
            .unwrap_or(Reindex::DROPPED)
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

    /// Compares the genes of an input with those of this index.
    ///
    /// # Errors
    /// As [`GeneIndex::map`].
    pub fn join(&self, path: &Path, list: &GeneList) -> Result<GeneJoin, PlanError> {
        let map = self.map(path, list)?;
        let places = (0u32..).take(list.len());
        let places = places.map(|gene| map.get(gene).unwrap_or(Reindex::DROPPED));
        let places: Vec<u32> = places.collect();
        Ok(GeneJoin::of(list, &places, self.len(), |place| {
            self.list.key(place).to_string()
        }))
    }
}

impl GeneJoin {
    /// Compares the genes of a list, mapped to these positions, with a dataset of `known` genes.
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

/// Refuses a join that is not the requested one.
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

    const X: u32 = Reindex::DROPPED;

    #[test]
    fn genes_are_found_wherever_they_stand() {
        let index = GeneIndex::new(names(&["a", "b", "c"]), &GeneKey::Id);
        let path = Path::new("x");
        let map = |list: &[&str]| index.map(path, &names(list)).unwrap();
        assert_eq!(map(&["a", "b", "c"]), Reindex::Identity);
        assert_eq!(map(&["a", "b"]), Reindex::Moved(vec![0, 1]));
        assert_eq!(map(&["c", "x", "a"]), Reindex::Moved(vec![2, X, 0]));
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
        assert_eq!(
            index.map(path, &names(&["a", "a"])).unwrap(),
            Reindex::Identity
        );
        assert!(index.map(path, &names(&["b"])).is_err());
        let index = GeneIndex::new(names(&["a", "b"]), &GeneKey::Id);
        let message = index.map(path, &names(&["b", "b"])).unwrap_err();
        assert!(message.to_string().contains("gene-key"), "{message}");
    }

    #[test]
    fn identifiers_win_over_names() {
        let known = [("a", Some("1")), ("b", None), ("c", Some("3"))];
        let index = GeneIndex::new(with_ids(&known), &GeneKey::IdsOrNames);
        let map =
            |list: &[(&str, Option<&str>)]| index.map(Path::new("x"), &with_ids(list)).unwrap();
        let found = map(&[("x", Some("3")), ("a", Some("9")), ("b", Some("2"))]);
        assert_eq!(found, Reindex::Moved(vec![2, X, 1]));
        let found = map(&[("c", None), ("d", None), ("a", Some("1"))]);
        assert_eq!(found, Reindex::Moved(vec![2, X, 0]));
        // The same names, but different genes.
        let found = map(&[("a", Some("3")), ("b", None), ("c", Some("1"))]);
        assert_eq!(found, Reindex::Moved(vec![2, 1, 0]));
    }
}
