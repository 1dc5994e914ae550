//! Determines the genes of a dataset and how those of each input correspond to them.

use std::path::Path;

use super::gene_keys::{KeyReader, has_key_column};
use super::genes::check_exact;
use super::known_genes::{Joining, KnownGenes, NewGenes};
use super::planner::Planner;
use super::repeated_names::NameTrust;
use super::{
    GeneIndex, GeneJoin, GeneKey, GeneList, GenePlan, IdVersions, Join, PlanError, PlanOptions,
};
use crate::remedy::Setting;
use crate::survey::{STABLE_IDS, Survey};

/// The genes of a dataset, and how those of each input correspond to them.
pub(super) struct JoinedGenes {
    /// The genes, as they go into the plan.
    pub plan: GenePlan,
    /// Number of genes.
    pub count: u64,
    /// For each input, how its genes correspond to those of the dataset.
    pub joins: Vec<GeneJoin>,
    /// Warnings about each input's genes.
    pub warnings: Vec<Vec<String>>,
    /// Why the genes cannot be joined, if so.
    pub refusal: Option<PlanError>,
}

impl Planner<'_> {
    /// Joins the genes of all inputs and of the dataset that they are appended to.
    pub(super) fn genes(&self) -> Result<JoinedGenes, PlanError> {
        let join = self.options.join;
        let key = self.gene_key();
        let reader = self.key_reader(&key);
        let list_of = |number: usize| reader.keys(number, self.digest(&key, number).as_deref());
        if let ([only], None) = (self.surveys, self.base) {
            if let GeneKey::Column(_) = key {
                list_of(0)?;
            }
            return Ok(self.of_one(key, only.description.n_vars));
        }
        let mut known = KnownGenes::new(&key, self.trust());
        let (first, begin) = match self.base {
            Some(base) => {
                known.add(&Joining {
                    path: &base.path,
                    list: &self.base_list(&key)?,
                    repeated: &[],
                    grow: NewGenes::Yes,
                    names_joined: matches!(base.gene_key, Some(GeneKey::Id | GeneKey::IdsOrNames)),
                });
                (base.path.as_path(), 0)
            }
            None => (self.path(0), 1),
        };
        let mut joined = Joins::default();
        for number in 0..self.surveys.len() {
            let (path, list) = (self.path(number), list_of(number)?);
            let grow = match join {
                Join::Outer => NewGenes::Yes,
                Join::Exact | Join::Inner if number < begin => NewGenes::Yes,
                Join::Exact | Join::Inner => NewGenes::No,
            };
            let mut added = known.add(&Joining {
                path,
                list: &list,
                repeated: &self.surveys[number].repeated_names,
                grow,
                names_joined: false,
            });
            if number < begin {
                added.join = GeneJoin {
                    genes: list.len() as u64,
                    shared: list.len() as u64,
                    same_order: true,
                    ..GeneJoin::default()
                };
            }
            let of = &added.join;
            let refusal = added.refusal.or_else(|| match join {
                Join::Exact => check_exact(path, first, &key, of, self.inner()).err(),
                Join::Inner => nothing_shared(path, first, &key, of),
                Join::Outer => None,
            });
            joined.add(added.join, refusal, added.contradicted);
        }
        // Nothing is removed from a dataset.
        let reduces = join == Join::Inner && self.base.is_none() && self.surveys.len() > 1;
        if reduces {
            known.keep_common();
            if known.len() == 0 && joined.refusal.is_none() {
                // Each input shares some genes with the first, but there are none that all share.
                let last = self.surveys.len() - 1;
                let join = GeneJoin {
                    shared: 0,
                    ..joined.joins[last].clone()
                };
                joined.refusal = nothing_shared(self.path(last), first, &key, &join);
            }
        }
        let (count, learned_ids) = (known.len() as u64, known.learned().clone());
        let (keys, ids) = known.finish();
        if reduces {
            // Only now is it known which genes remain.
            let list = match key {
                GeneKey::IdsOrNames => GeneList::of_names(keys.clone().into(), Some(&ids)),
                _ => GeneList::of_column(keys.clone().into()),
            };
            let index = GeneIndex::new(list, &key);
            for number in 0..self.surveys.len() {
                let (path, list) = (self.path(number), list_of(number)?);
                // Lists that cannot be joined were refused above.
                let Ok(join) = index.join(path, &list) else {
                    continue;
                };
                joined.joins[number] = join;
            }
        }
        if join == Join::Inner {
            for join in &mut joined.joins {
                join.dropped = join.extra;
            }
        }
        for (number, (join, warnings)) in joined.joins.iter().zip(&mut joined.warnings).enumerate()
        {
            if reduces || number >= begin {
                warnings.extend(few_shared(self.options.join, &key, join, first));
            }
        }
        let by_ids = key == GeneKey::IdsOrNames;
        let changed = match self.base {
            Some(base) => count != base.base.genes,
            None => join != Join::Exact && self.surveys.len() > 1,
        };
        Ok(JoinedGenes {
            count,
            plan: GenePlan {
                join,
                ids: by_ids.then_some(ids),
                keys: (changed || by_ids).then_some(keys),
                key,
                learned_ids,
                id_versions: self.id_versions(),
            },
            joins: joined.joins,
            warnings: joined.warnings,
            refusal: joined.refusal,
        })
    }

    /// Returns the genes of a single input, which are not joined with any others.
    fn of_one(&self, key: GeneKey, count: u64) -> JoinedGenes {
        JoinedGenes {
            plan: GenePlan {
                join: self.options.join,
                key,
                keys: None,
                ids: None,
                learned_ids: Default::default(),
                id_versions: self.id_versions(),
            },
            count,
            joins: vec![GeneJoin {
                genes: count,
                shared: count,
                same_order: true,
                ..GeneJoin::default()
            }],
            warnings: vec![Vec::new()],
            refusal: None,
        }
    }

    fn path(&self, number: usize) -> &Path {
        &self.surveys[number].description.path
    }

    /// Returns a reader of the inputs' gene keys.
    pub(super) fn key_reader(&self, key: &GeneKey) -> KeyReader<'_> {
        KeyReader::new(self.inputs, key.clone(), self.id_versions())
    }

    /// Whether versions of identifiers distinguish genes. Once they are ignored, they stay ignored.
    fn id_versions(&self) -> IdVersions {
        match self.base {
            Some(base) if base.id_versions == IdVersions::Strip => IdVersions::Strip,
            _ => self.options.id_versions,
        }
    }

    fn digest(&self, key: &GeneKey, number: usize) -> Option<String> {
        key.digest_in(&self.surveys[number].gene_lists)
    }

    /// Names are trusted if the user chose to join by them.
    fn trust(&self) -> NameTrust {
        match self.options.gene_key {
            Some(GeneKey::Id) => NameTrust::Names,
            _ => NameTrust::Nothing,
        }
    }

    /// Returns the genes of the dataset that is appended to.
    fn base_list(&self, key: &GeneKey) -> Result<GeneList, PlanError> {
        let base = self.base.ok_or(PlanError::NoInput)?;
        let wanted = match key {
            GeneKey::IdsOrNames => &GeneKey::Id,
            key => key,
        };
        let keys = base.keys(wanted).ok_or_else(|| PlanError::NoBaseKey {
            path: base.path.clone(),
            column: key.to_string(),
        })?;
        let list = match key {
            GeneKey::Column(_) => GeneList::of_column(keys.clone()),
            _ => GeneList::of_names(keys.clone(), Some(&base.gene_ids)),
        };
        Ok(list.under(self.id_versions()))
    }

    /// Returns the key of the genes: the requested one, otherwise that of the dataset, otherwise
    /// the default.
    pub(super) fn gene_key(&self) -> GeneKey {
        if let Some(key) = &self.options.gene_key {
            return key.clone();
        }
        if self.base.is_none() && self.surveys.len() < 2 {
            return GeneKey::Id;
        }
        let stable = GeneKey::Column(STABLE_IDS.into());
        // Keep the key of earlier joins, so that genes stay the same.
        let until_now = self.base.and_then(|base| base.gene_key.as_ref());
        if let Some(GeneKey::Column(name)) = until_now
            && name != STABLE_IDS
        {
            return GeneKey::Column(name.clone());
        }
        let has = |survey: &&Survey| has_key_column(&survey.description.var, STABLE_IDS);
        let complete = |survey: &Survey| has(&survey) && survey.gene_lists.stable_ids.is_some();
        let of_base = |of: &dyn Fn(&super::BaseSurvey) -> bool, none| self.base.map_or(none, of);
        let any = self.surveys.iter().any(|survey| has(&survey))
            || of_base(&|base| base.gene_ids.iter().any(Option::is_some), false);
        let all = self.surveys.iter().all(complete)
            && of_base(&|base| base.keys(&stable).is_some(), true);
        match until_now {
            Some(GeneKey::IdsOrNames) => GeneKey::IdsOrNames,
            _ if !any => GeneKey::Id,
            None | Some(GeneKey::Column(_)) if all => stable,
            _ => GeneKey::IdsOrNames,
        }
    }
}

/// Suggests other options under which inputs would have more genes in common.
pub(super) fn proposals(planner: &Planner<'_>, joins: &[GeneJoin]) -> Vec<String> {
    let shared = |joins: &[GeneJoin]| joins.iter().map(|join| join.shared).sum::<u64>();
    let versions = |survey: &Survey| survey.gene_lists.versions.iter().any(|of| of.with > 0);
    let with = |change: &dyn Fn(&mut PlanOptions)| {
        let mut options = planner.options.clone();
        // Compares shared genes, not added ones.
        options.join = Join::Inner;
        change(&mut options);
        let other = Planner {
            options: &options,
            ..*planner
        };
        other.genes().map_or(0, |genes| shared(&genes.joins))
    };
    let now = with(&|_| ());
    let complete = joins.iter().all(|join| join.extra + join.missing == 0);
    if complete || planner.base.is_none() && joins.len() < 2 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut propose = |what: String, then: u64| {
        if then > now {
            found.push(format!("{what}: {} more genes would be shared", then - now));
        }
    };
    if planner.id_versions() == IdVersions::Keep && planner.surveys.iter().any(versions) {
        let strip = with(&|options| options.id_versions = IdVersions::Strip);
        propose(Setting::of("gene-id-version", "strip").to_string(), strip);
    }
    if planner.options.gene_key.is_some() {
        let without = with(&|options| options.gene_key = None);
        propose(format!("no {}", Setting::any("gene-key")), without);
    } else {
        let by_name = with(&|options| options.gene_key = Some(GeneKey::Id));
        propose(Setting::of("gene-key", "gene_id").to_string(), by_name);
    }
    found
}

/// What is collected over all inputs.
#[derive(Default)]
struct Joins {
    joins: Vec<GeneJoin>,
    warnings: Vec<Vec<String>>,
    refusal: Option<PlanError>,
}

impl Joins {
    fn add(
        &mut self,
        join: GeneJoin,
        refusal: Option<PlanError>,
        contradicted: Option<(u64, String)>,
    ) {
        self.joins.push(join);
        self.refusal = self.refusal.take().or(refusal);
        let warning = contradicted.map(|(count, example)| {
            format!(
                "genes: {count} are joined by name although their {STABLE_IDS} differ, such as {example}"
            )
        });
        self.warnings.push(warning.into_iter().collect());
    }
}

/// Refuses to leave out all genes of an input.
fn nothing_shared(path: &Path, first: &Path, key: &GeneKey, join: &GeneJoin) -> Option<PlanError> {
    if join.shared > 0 {
        return None;
    }
    let examples = |examples: &[String]| match examples {
        [] => "none".to_string(),
        some => some.join(", "),
    };
    Some(PlanError::NothingShared {
        path: path.to_path_buf(),
        first: first.to_path_buf(),
        key: key.to_string(),
        own: examples(&join.extra_examples),
        others: examples(&join.missing_examples),
    })
}

/// Returns a warning about an input that has few genes in common with the others.
fn few_shared(join: Join, key: &GeneKey, genes: &GeneJoin, first: &Path) -> Option<String> {
    let GeneJoin {
        genes: all, shared, ..
    } = *genes;
    let known = shared.saturating_add(genes.missing);
    match join {
        Join::Outer if shared.saturating_mul(2) < all.min(known) => Some(format!(
            "genes: only {shared} of its {all} are among the {known} of {} and the inputs before it (by {key}); the others are added",
            first.display()
        )),
        Join::Inner if shared.saturating_mul(2) < all => Some(format!(
            "genes: only {shared} of its {all} are shared (by {key}); the others are left out with their values"
        )),
        _ => None,
    }
}
