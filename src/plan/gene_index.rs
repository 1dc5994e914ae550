//! The genes that were joined so far, in their order, with their keys and identifiers.

use std::collections::{BTreeMap, HashMap};

use super::known_names::KnownNames;
use super::{GeneKey, GeneList};
use crate::source::Reindex;

struct Known {
    key: String,
    id: Option<String>,
    /// Number of lists that have the gene.
    found: usize,
}

/// Genes by their places, and by their identifiers where these join them.
pub(super) struct GeneIndex {
    key: GeneKey,
    genes: Vec<Known>,
    by_id: HashMap<String, u32>,
    learned: BTreeMap<u32, String>,
}

impl GeneIndex {
    /// Creates an empty index of genes that are joined by `key`.
    pub fn of(key: &GeneKey) -> Self {
        GeneIndex {
            key: key.clone(),
            genes: Vec::new(),
            by_id: HashMap::new(),
            learned: BTreeMap::new(),
        }
    }

    /// Number of genes.
    pub fn len(&self) -> usize {
        self.genes.len()
    }

    /// Returns the key of the gene at a place that exists.
    pub fn key(&self, place: usize) -> &str {
        &self.genes[place].key
    }

    /// Returns the identifier of a gene, if there is such a gene, and it has one.
    pub fn id(&self, place: u32) -> Option<&String> {
        self.genes.get(place as usize)?.id.as_ref()
    }

    /// Whether a gene that is joined by identifiers has this one.
    pub fn has_id(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// Identifiers learned for genes that were described without one.
    pub fn learned(&self) -> &BTreeMap<u32, String> {
        &self.learned
    }

    /// Returns the known gene that matches a gene of a list, or [`Reindex::DROPPED`].
    pub fn place(&self, list: &GeneList, gene: usize, names: &KnownNames) -> u32 {
        let id = match self.key {
            GeneKey::IdsOrNames => list.id(gene),
            _ => None,
        };
        if let Some(&place) = id.and_then(|id| self.by_id.get(id)) {
            return place;
        }
        let place = names.gene(list.key(gene));
        let is_another = |&place: &u32| id.is_some() && self.genes[place as usize].id.is_some();
        place
            .filter(|place| !is_another(place))
            .unwrap_or(Reindex::DROPPED)
    }

    /// Adds a gene of a list.
    pub fn push(&mut self, list: &GeneList, gene: usize) -> u32 {
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
    pub fn learn(&mut self, place: u32, id: Option<&str>) {
        let known = &mut self.genes[place as usize];
        if let (GeneKey::IdsOrNames, None, Some(id)) = (&self.key, &known.id, id) {
            known.id = Some(id.to_string());
            self.by_id.insert(id.to_string(), place);
            self.learned.insert(place, id.to_string());
        }
    }

    /// Counts a list that has the gene at a place. Returns whether there is such a gene.
    pub fn found_again(&mut self, place: u32) -> bool {
        let known = self.genes.get_mut(place as usize);
        known.map(|known| known.found += 1).is_some()
    }

    /// Keeps only the genes that so many lists have.
    pub fn keep_found(&mut self, lists: usize) {
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
