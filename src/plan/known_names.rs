//! Names of genes that were joined so far, and what they refer to: genes with identifiers, genes
//! without, or genes that only their position tells apart.

use std::collections::HashMap;

use super::GeneKey;

/// What names were found to refer to.
#[derive(Default)]
pub(super) struct KnownNames(HashMap<String, Name>);

/// What a name was found to refer to. Lists are numbered.
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

/// A gene of a list.
pub(super) struct Named<'a> {
    pub name: &'a str,
    pub id: Option<&'a str>,
    /// The name from which its own was derived by position.
    pub original: Option<&'a str>,
}

/// How a name is used in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameUse {
    /// It refers to the gene with an identifier.
    WithId,
    /// It refers to a gene without an identifier, or may.
    Bare,
}

/// A name that depends on the position of its gene.
pub(super) struct GivenByPlace {
    /// The name that several genes have.
    pub repeated: String,
    /// The list in which they have it, unless it is the one that is being joined.
    pub list: Option<usize>,
    /// The first list that has the name otherwise.
    pub first: Option<usize>,
}

/// A name that refers to two identifiers, each with its list, and in a third list to none.
pub(super) struct TwoIds<'a> {
    pub one: &'a (String, usize),
    pub other: &'a (String, usize),
    pub bare: usize,
}

impl KnownNames {
    /// Returns the first gene that was added under a name.
    pub fn gene(&self, name: &str) -> Option<u32> {
        self.0.get(name)?.place
    }

    /// Whether a gene would be matched, or kept apart, by a name that depends on its position.
    pub fn given_by_place(&self, gene: &Named<'_>, key: &GeneKey) -> Option<GivenByPlace> {
        let by_ids = *key == GeneKey::IdsOrNames;
        std::iter::once(gene.name)
            .chain(gene.original)
            .find_map(|name| {
                let known = self.0.get(name)?;
                let bare = gene.id.is_none() || known.bare.is_some() || !by_ids;
                if !bare || (known.repeated.is_none() && gene.original.is_none()) {
                    return None;
                }
                Some(GivenByPlace {
                    repeated: gene.original.unwrap_or(name).to_string(),
                    list: known.repeated,
                    first: known.bare.or(known.ids.first().map(|(_, list)| *list)),
                })
            })
    }

    /// Records what the name of a gene of a list refers to. `place` is the gene that was added
    /// under this name.
    pub fn note(&mut self, gene: &Named<'_>, list: usize, place: Option<u32>, found: NameUse) {
        if let Some(original) = gene.original {
            let name = self.0.entry(original.to_string()).or_default();
            name.repeated.get_or_insert(list);
        }
        let name = self.0.entry(gene.name.to_string()).or_default();
        if gene.original.is_some() {
            name.repeated.get_or_insert(list);
        }
        name.place = name.place.or(place);
        if let Some(id) = gene.id
            && name.ids.len() < 2
            && name.ids.iter().all(|(known, _)| known != id)
        {
            name.ids.push((id.to_string(), list));
        }
        if found == NameUse::Bare {
            name.bare.get_or_insert(list);
        }
    }

    /// Returns the two identifiers of a name that a gene without one has, too.
    pub fn two_ids(&self, name: &str) -> Option<TwoIds<'_>> {
        let name = self.0.get(name)?;
        match (&name.ids[..], name.bare) {
            ([one, other], Some(bare)) => Some(TwoIds { one, other, bare }),
            _ => None,
        }
    }
}
