//! Which genes a dataset gets, and how those of each input are these.

use std::path::Path;

use super::gene_keys::{KeyReader, has_key_column};
use super::genes::check_exact;
use super::planner::Planner;
use super::{GeneIndex, GeneJoin, GeneKey, GenePlan, Join, PlanError};
use crate::survey::{STABLE_IDS, Survey};

impl Planner<'_> {
    /// The genes of the dataset, their number, and how each input's genes are these.
    pub(super) fn genes(&self) -> Result<(GenePlan, u64, Vec<GeneJoin>), PlanError> {
        let path = |number: usize| -> &Path { &self.surveys[number].description.path };
        let join = self.options.join;
        let key = self.gene_key();
        let reader = KeyReader::new(self.inputs, key.clone());
        let keys_of = |number: usize| {
            let digest = key.digest_in(&self.surveys[number].gene_lists);
            reader.keys(number, digest.as_deref())
        };
        let (mut index, first, begin) = match self.base {
            Some(base) => {
                let keys = base.keys(&key).ok_or_else(|| PlanError::NoBaseKey {
                    path: base.path.clone(),
                    column: key.to_string(),
                })?;
                (GeneIndex::new(keys.clone()), base.path.as_path(), 0)
            }
            None => (GeneIndex::new(keys_of(0)?), path(0), 1),
        };
        let mut joins = Vec::new();
        if begin == 1 {
            joins.push(index.join(first, index.keys())?);
        }
        // Nothing is taken from a dataset.
        let reduces = join == Join::Inner && self.base.is_none();
        for number in begin..self.surveys.len() {
            let keys = keys_of(number)?;
            let joined = index.join(path(number), &keys)?;
            match join {
                Join::Exact => check_exact(path(number), first, &key, &joined, self.inner())?,
                Join::Outer => index = index.extended(path(number), &keys)?,
                Join::Inner if reduces => index = index.reduced(path(number), &keys)?,
                Join::Inner => {}
            }
            joins.push(joined);
        }
        if reduces && self.surveys.len() > 1 {
            // Only now it is known which genes are left.
            for (number, joined) in joins.iter_mut().enumerate() {
                let keys = keys_of(number)?;
                *joined = index.join(path(number), &keys)?;
            }
        }
        let genes = index.len() as u64;
        let changed = match self.base {
            Some(base) => genes != base.base.genes,
            None => join != Join::Exact && self.surveys.len() > 1,
        };
        let keys = changed.then(|| {
            let keys = index.keys().iter();
            keys.map(|key| key.unwrap_or_default().to_string())
                .collect()
        });
        Ok((GenePlan { join, key, keys }, genes, joins))
    }

    /// By what genes are known: what was asked for, what the dataset's were, or what is usual.
    pub(super) fn gene_key(&self) -> GeneKey {
        if let Some(key) = &self.options.gene_key {
            return key.clone();
        }
        let stable = GeneKey::Column(STABLE_IDS.into());
        match self.base {
            None if self.surveys.len() < 2 => return GeneKey::Id,
            None => {}
            // Whatever joined them until now, so that a gene stays what it is.
            Some(base) => match &base.gene_key {
                Some(key) => return key.clone(),
                None if base.keys(&stable).is_none() => return GeneKey::Id,
                None => {}
            },
        }
        let has = |survey: &Survey| has_key_column(&survey.description.var, STABLE_IDS);
        match self.surveys.iter().all(has) {
            true => stable,
            false => GeneKey::Id,
        }
    }
}
