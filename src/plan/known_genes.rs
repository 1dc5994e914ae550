//! Builds the gene list of a dataset: each list of genes is joined with the lists before it, and
//! genes are never joined if they might be different ones.
//!
//! By a column: genes with the same value are the same. By name: likewise, except for names that
//! are only distinguished by position. By identifier where there are any: a gene with an identifier
//! matches the gene with that identifier, otherwise the gene of the same name that has no
//! identifier; a gene without an identifier matches the gene of the same name. Independently of the
//! order of the lists, a name shared by genes with two different identifiers never matches a gene
//! without an identifier.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::repeated_names::{NameTrust, repeated, twice};
use super::{GeneJoin, GeneKey, GeneList, PlanError};
use crate::remedy::{Advice, Remedy, Setting};
use crate::source::{Reindex, RepeatedName};
use crate::survey::STABLE_IDS;

/// A list to be joined.
pub(super) struct Joining<'a> {
    /// Path of the input or dataset, for messages.
    pub path: &'a Path,
    /// Its genes.
    pub list: &'a GeneList,
    /// Genes whose names the reader made unique.
    pub repeated: &'a [RepeatedName],
    /// Whether unknown genes are added.
    pub grow: NewGenes,
    /// Whether genes of the list that have identifiers may match genes that had none.
    pub names_joined: bool,
}

/// What to do with genes that are not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewGenes {
    /// They are added.
    Yes,
    /// They are left out.
    No,
}

/// Result of joining a list.
pub(super) struct Added {
    /// How its genes correspond to the known ones.
    pub join: GeneJoin,
    /// Why it cannot be joined, if so.
    pub refusal: Option<PlanError>,
    /// Number of genes that were joined although their identifiers differ, and one of them.
    pub contradicted: Option<(u64, String)>,
}

struct Known {
    key: String,
    id: Option<String>,
    /// Number of lists that have the gene.
    found: usize,
}

/// What a name was found to refer to.
#[derive(Default)]
struct Name {
    /// First gene that was added under the name.
    place: Option<u32>,
    /// Identifiers of its genes, each with the list it occurs in; at most two different ones.
    ids: Vec<(String, usize)>,
    /// A list that has a gene of this name without an identifier.
    bare: Option<usize>,
    /// A list in which several genes have this name, or a name derived from it.
    repeated: Option<usize>,
}

/// The genes of all lists joined so far.
pub(super) struct KnownGenes {
    key: GeneKey,
    trust: NameTrust,
    genes: Vec<Known>,
    by_id: HashMap<String, u32>,
    names: HashMap<String, Name>,
    lists: Vec<PathBuf>,
    first: Option<(GeneList, Vec<RepeatedName>)>,
    /// Digests of the keys of all lists.
    seen: HashSet<u128>,
    /// A key that two genes of one list have, and that list.
    twice: Option<(String, usize)>,
    learned: BTreeMap<u32, String>,
}

impl KnownGenes {
    /// Creates an empty list of genes that are joined by `key`.
    pub fn new(key: &GeneKey, trust: NameTrust) -> Self {
        KnownGenes {
            key: key.clone(),
            trust,
            genes: Vec::new(),
            by_id: HashMap::new(),
            names: HashMap::new(),
            lists: Vec::new(),
            first: None,
            seen: HashSet::new(),
            twice: None,
            learned: BTreeMap::new(),
        }
    }

    /// Joins the next list.
    pub fn add(&mut self, new: &Joining<'_>) -> Added {
        let (list, number) = (new.list, self.lists.len());
        self.lists.push(new.path.to_path_buf());
        if self.is_first_again(new) {
            return self.add_again(list);
        }
        let repeated = match self.key {
            GeneKey::Column(_) => HashMap::new(),
            _ => repeated(list, new.repeated, self.trust),
        };
        let mut refusal = self.repeats(list, number);
        let mut exempt = !self.seen.insert(digest(list));
        let is_first = self.is_first(list);
        exempt |= number == 0;
        let places: Vec<u32> = if is_first {
            (0u32..).take(list.len()).collect()
        } else {
            (0..list.len()).map(|gene| self.place(list, gene)).collect()
        };
        if !exempt {
            let mut genes = (0..list.len()).zip(&places);
            let found = genes.find_map(|(gene, &place)| {
                self.given_by_place(new, gene, place, repeated.get(&gene))
            });
            refusal = refusal.or(found);
        }
        let contradicted = self.contradicted(list, &places);
        let join = GeneJoin::of(list, &places, self.genes.len(), |place| {
            self.genes[place].key.clone()
        });
        let known = self.genes.len();
        for (gene, &place) in places.iter().enumerate() {
            let place = match self.genes.get_mut(place as usize) {
                Some(known) => {
                    known.found += 1;
                    Some(place)
                }
                None if new.grow == NewGenes::Yes => Some(self.push(list, gene)),
                None => None,
            };
            if let Some(place) = place.filter(|&place| (place as usize) < known) {
                self.learn(place, list.id(gene));
            }
            let found = self.note(new, number, gene, place, repeated.get(&gene));
            refusal = refusal.or(found);
        }
        if self.first.is_none() {
            self.first = Some((list.clone(), new.repeated.to_vec()));
        }
        Added {
            join,
            refusal: refusal.filter(|_| number > 0),
            contradicted,
        }
    }

    fn is_first(&self, list: &GeneList) -> bool {
        let first = self.first.as_ref();
        first.is_some_and(|(first, _)| first == list)
    }

    /// Whether a list equals the first in every respect.
    fn is_first_again(&self, new: &Joining<'_>) -> bool {
        let first = self.first.as_ref();
        first.is_some_and(|(first, repeated)| first == new.list && repeated == new.repeated)
    }

    /// Joins the first list again, which adds nothing new.
    fn add_again(&mut self, list: &GeneList) -> Added {
        let known = self.genes.len();
        for known in self.genes.iter_mut().take(list.len()) {
            known.found += 1;
        }
        let places: Vec<u32> = (0u32..).take(list.len()).collect();
        Added {
            join: GeneJoin::of(list, &places, known, |place| self.genes[place].key.clone()),
            refusal: None,
            contradicted: None,
        }
    }

    /// Refuses a key that two genes of this or an earlier list have, unless all lists are the same.
    fn repeats(&mut self, list: &GeneList, number: usize) -> Option<PlanError> {
        let (key, by) = match self.key {
            GeneKey::IdsOrNames => {
                let genes = 0..list.len();
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
            _ => {
                let keys = (0..list.len()).map(|gene| list.key(gene).to_string());
                (twice(keys), self.key.to_string())
            }
        };
        if let (Some(key), None) = (&key, &self.twice) {
            self.twice = Some((key.clone(), number));
        }
        if self.first.is_none() || self.is_first(list) {
            return None;
        }
        let (key, of) = key.map(|key| (key, number)).or(self.twice.clone())?;
        Some(PlanError::GeneTwice {
            path: self.lists[of].clone(),
            by,
            key,
        })
    }

    /// Returns the known gene that matches a gene of a list, or [`Reindex::DROPPED`].
    fn place(&self, list: &GeneList, gene: usize) -> u32 {
        let id = match self.key {
            GeneKey::IdsOrNames => list.id(gene),
            _ => None,
        };
        if let Some(&place) = id.and_then(|id| self.by_id.get(id)) {
            return place;
        }
        let place = self.names.get(list.key(gene)).and_then(|name| name.place);
        let is_another = |&place: &u32| id.is_some() && self.genes[place as usize].id.is_some();
        place
            .filter(|place| !is_another(place))
            .unwrap_or(Reindex::DROPPED)
    }

    fn push(&mut self, list: &GeneList, gene: usize) -> u32 {
        // If there are more genes than fit into 32 bits, the job is refused later, when their
        // number is known.
        let place = u32::try_from(self.genes.len()).unwrap_or(Reindex::DROPPED - 1);
        let id = list.id(gene).map(String::from);
        if let (GeneKey::IdsOrNames, Some(id)) = (&self.key, &id) {
            self.by_id.entry(id.clone()).or_insert(place);
        }
        self.genes.push(Known {
            key: list.key(gene).to_string(),
            id,
            found: 1,
        });
        place
    }

    /// Records the identifier of a gene that had none.
    fn learn(&mut self, place: u32, id: Option<&str>) {
        let known = &mut self.genes[place as usize];
        if let (GeneKey::IdsOrNames, None, Some(id)) = (&self.key, &known.id, id) {
            known.id = Some(id.to_string());
            self.by_id.insert(id.to_string(), place);
            self.learned.insert(place, id.to_string());
        }
    }

    /// What else than names genes can be joined by.
    fn other_keys(&self) -> Advice {
        let using = |setting, to: &'static str| Remedy::using(setting, to);
        let key = |column| Setting::of("gene-key", column);
        match self.trust {
            NameTrust::Names => {
                using(key("gene_ids"), "join by that column where all have it").into()
            }
            NameTrust::Nothing => [
                using(Setting::any("gene-key"), "join by a column of identifiers"),
                using(Setting::any("gene-map"), "give genes identifiers"),
                using(key("gene_id"), "join by names all the same"),
            ]
            .into(),
        }
    }

    /// Whether a gene would be matched, or kept apart, by a name that depends on its position.
    fn given_by_place(
        &self,
        new: &Joining<'_>,
        gene: usize,
        place: u32,
        own: Option<&String>,
    ) -> Option<PlanError> {
        let (key, id) = (new.list.key(gene), new.list.id(gene));
        let by_ids = self.key == GeneKey::IdsOrNames;
        if by_ids && id.is_some_and(|id| self.by_id.contains_key(id)) && place != Reindex::DROPPED {
            return None;
        }
        let names = std::iter::once(key).chain(own.map(String::as_str));
        for name in names {
            let Some(known) = self.names.get(name) else {
                continue;
            };
            let bare = id.is_none() || known.bare.is_some() || !by_ids;
            if !bare || (known.repeated.is_none() && own.is_none()) {
                continue;
            }
            let of = known.repeated.map(|list| self.lists[list].clone());
            let first = known.bare.or(known.ids.first().map(|(_, list)| *list));
            return Some(PlanError::GivenByPlace {
                path: new.path.to_path_buf(),
                first: self.lists[first.or(known.repeated).unwrap_or(0)].clone(),
                name: key.to_string(),
                of: of.unwrap_or_else(|| new.path.to_path_buf()),
                repeated: own.map_or(name, String::as_str).to_string(),
                help: self.other_keys(),
            });
        }
        None
    }

    /// Finds genes that a join by names matches although their identifiers differ.
    fn contradicted(&self, list: &GeneList, places: &[u32]) -> Option<(u64, String)> {
        if self.key != GeneKey::Id {
            return None;
        }
        let genes = places.iter().enumerate().filter_map(|(gene, &place)| {
            let known = self.genes.get(place as usize)?.id.as_ref()?;
            let id = list.id(gene).filter(|id| id != known)?;
            Some(format!("{} ({known} and {id})", list.key(gene)))
        });
        let mut genes = genes.peekable();
        let first = genes.peek().cloned()?;
        Some((genes.count() as u64, first))
    }

    /// Records what a gene's name refers to. Refuses a name that refers to two identifiers and to a
    /// gene without one.
    fn note(
        &mut self,
        new: &Joining<'_>,
        number: usize,
        gene: usize,
        place: Option<u32>,
        original: Option<&String>,
    ) -> Option<PlanError> {
        if let Some(original) = original {
            let name = self.names.entry(original.clone()).or_default();
            name.repeated.get_or_insert(number);
        }
        let (key, id) = (new.list.key(gene), new.list.id(gene));
        let name = self.names.entry(key.to_string()).or_default();
        if original.is_some() {
            name.repeated.get_or_insert(number);
        }
        if name.place.is_none()
            && let Some(place) = place
            && self.genes[place as usize].key == key
        {
            name.place = Some(place);
        }
        match id {
            Some(id) if name.ids.len() < 2 && name.ids.iter().all(|(known, _)| known != id) => {
                name.ids.push((id.to_string(), number));
            }
            Some(_) => {}
            None => {
                name.bare.get_or_insert(number);
            }
        }
        if new.names_joined {
            name.bare.get_or_insert(number);
        }
        let ([one, other], Some(bare), GeneKey::IdsOrNames) = (&name.ids[..], name.bare, &self.key)
        else {
            return None;
        };
        Some(PlanError::IdsDiffer {
            path: self.lists[bare].clone(),
            name: key.to_string(),
            one: one.0.clone(),
            first: self.lists[one.1].clone(),
            other: other.0.clone(),
            second: self.lists[other.1].clone(),
        })
    }

    /// Number of genes.
    pub fn len(&self) -> usize {
        self.genes.len()
    }

    /// Identifiers learned for genes that were described without one.
    pub fn learned(&self) -> &BTreeMap<u32, String> {
        &self.learned
    }

    /// Keeps only the genes that all lists have.
    pub fn keep_common(&mut self) {
        let lists = self.lists.len();
        let mut learned = BTreeMap::new();
        let mut next = 0u32;
        for (place, known) in (0u32..).zip(&self.genes) {
            if known.found == lists {
                let id = self.learned.remove(&place);
                learned.extend(id.map(|id| (next, id)));
                next += 1;
            }
        }
        self.learned = learned;
        self.genes.retain(|known| known.found == lists);
    }

    /// Returns the keys and identifiers of all genes.
    pub fn finish(self) -> (Vec<String>, Vec<Option<String>>) {
        let genes = self.genes.into_iter();
        genes.map(|known| (known.key, known.id)).unzip()
    }
}

fn digest(list: &GeneList) -> u128 {
    let mut digest = Xxh3::new();
    for key in list.keys().iter().flatten() {
        digest.update(&(key.len() as u64).to_le_bytes());
        digest.update(key.as_bytes());
    }
    digest.digest128()
}
