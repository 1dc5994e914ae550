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

use super::gene_index::GeneIndex;
use super::known_names::{KnownNames, NameUse, Named, TwoIds};
use super::repeated_names::{NameTrust, key_twice, repeated};
use super::{GeneJoin, GeneKey, GeneList, PlanError};
use crate::remedy::{Advice, Remedy, Setting};
use crate::source::{Reindex, RepeatedName};

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

/// The genes of all lists joined so far.
pub(super) struct KnownGenes {
    key: GeneKey,
    trust: NameTrust,
    genes: GeneIndex,
    names: KnownNames,
    lists: Vec<PathBuf>,
    first: Option<(GeneList, Vec<RepeatedName>)>,
    /// Digests of the keys of all lists.
    seen: HashSet<u128>,
    /// A key that two genes of one list have, and that list.
    twice: Option<(String, usize)>,
}

impl KnownGenes {
    /// Creates an empty list of genes that are joined by `key`.
    pub fn new(key: &GeneKey, trust: NameTrust) -> Self {
        KnownGenes {
            key: key.clone(),
            trust,
            genes: GeneIndex::of(key),
            names: KnownNames::default(),
            lists: Vec::new(),
            first: None,
            seen: HashSet::new(),
            twice: None,
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
            (0..list.len())
                .map(|gene| self.genes.place(list, gene, &self.names))
                .collect()
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
            self.genes.key(place).to_string()
        });
        let known = self.genes.len();
        for (gene, &place) in places.iter().enumerate() {
            let place = match self.genes.found_again(place) {
                true => Some(place),
                false if new.grow == NewGenes::Yes => Some(self.genes.push(list, gene)),
                false => None,
            };
            if let Some(place) = place.filter(|&place| (place as usize) < known) {
                self.genes.learn(place, list.id(gene));
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
        let places: Vec<u32> = (0u32..).take(list.len()).collect();
        for &place in &places {
            self.genes.found_again(place);
        }
        Added {
            join: GeneJoin::of(list, &places, known, |place| {
                self.genes.key(place).to_string()
            }),
            refusal: None,
            contradicted: None,
        }
    }

    /// Refuses a key that two genes of this or an earlier list have, unless all lists are the same.
    fn repeats(&mut self, list: &GeneList, number: usize) -> Option<PlanError> {
        let (key, by) = key_twice(list, &self.key);
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
        if by_ids && id.is_some_and(|id| self.genes.has_id(id)) && place != Reindex::DROPPED {
            return None;
        }
        let named = Named {
            name: key,
            id,
            original: own.map(String::as_str),
        };
        let found = self.names.given_by_place(&named, &self.key)?;
        let list = |number: Option<usize>| number.map(|number| self.lists[number].clone());
        Some(PlanError::GivenByPlace {
            path: new.path.to_path_buf(),
            first: self.lists[found.first.or(found.list).unwrap_or(0)].clone(),
            name: key.to_string(),
            of: list(found.list).unwrap_or_else(|| new.path.to_path_buf()),
            repeated: found.repeated,
            help: self.other_keys(),
        })
    }

    /// Finds genes that a join by names matches although their identifiers differ.
    fn contradicted(&self, list: &GeneList, places: &[u32]) -> Option<(u64, String)> {
        if self.key != GeneKey::Id {
            return None;
        }
        let genes = places.iter().enumerate().filter_map(|(gene, &place)| {
            let known = self.genes.id(place)?;
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
        let (key, id) = (new.list.key(gene), new.list.id(gene));
        let place = place.filter(|&place| self.genes.key(place as usize) == key);
        let named = Named {
            name: key,
            id,
            original: original.map(String::as_str),
        };
        let found = match (id, new.names_joined) {
            (None, _) | (_, true) => NameUse::Bare,
            (Some(_), false) => NameUse::WithId,
        };
        self.names.note(&named, number, place, found);
        if self.key != GeneKey::IdsOrNames {
            return None;
        }
        let TwoIds { one, other, bare } = self.names.two_ids(key)?;
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
        self.genes.learned()
    }

    /// Keeps only the genes that all lists have.
    pub fn keep_common(&mut self) {
        self.genes.keep_found(self.lists.len());
    }

    /// Returns the keys and identifiers of all genes.
    pub fn finish(self) -> (Vec<String>, Vec<Option<String>>) {
        self.genes.finish()
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
