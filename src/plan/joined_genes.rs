//! Which genes a dataset gets, and how those of each input are these.

use std::path::Path;

use super::genes::{check_exact, has_key_column};
use super::planner::Planner;
use super::{GeneIndex, GeneJoin, GeneKey, GenePlan, Join, PlanError, STABLE_IDS, gene_keys};

impl Planner<'_> {
    /// The genes of the dataset, their number, and how each input's genes are these.
    pub(super) fn genes(&self) -> Result<(GenePlan, u64, Vec<GeneJoin>), PlanError> {
        let path = |number: usize| -> &Path { &self.surveys[number].description.path };
        let join = self.options.join;
        let key = self.gene_key()?;
        let (mut index, first, begin) = match self.base {
            Some(base) => {
                let keys = base.keys(&key).ok_or_else(|| PlanError::NoBaseKey {
                    path: base.path.clone(),
                    column: key.to_string(),
                })?;
                (GeneIndex::new(keys.clone()), base.path.as_path(), 0)
            }
            None => {
                let keys = gene_keys(&*self.inputs.get(0)?, &key)?;
                (GeneIndex::new(keys), path(0), 1)
            }
        };
        let mut joins = Vec::new();
        if begin == 1 {
            joins.push(index.join(first, index.keys())?);
        }
        // Nothing is taken from a dataset.
        let reduces = join == Join::Inner && self.base.is_none();
        for number in begin..self.surveys.len() {
            let keys = gene_keys(&*self.inputs.get(number)?, &key)?;
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
                let keys = gene_keys(&*self.inputs.get(number)?, &key)?;
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
    pub(super) fn gene_key(&self) -> Result<GeneKey, PlanError> {
        if let Some(key) = &self.options.gene_key {
            return Ok(key.clone());
        }
        let stable = GeneKey::Column(STABLE_IDS.into());
        match self.base {
            None if self.surveys.len() < 2 => return Ok(GeneKey::Id),
            None => {}
            // Whatever joined them until now, so that a gene stays what it is.
            Some(base) => match &base.gene_key {
                Some(key) => return Ok(key.clone()),
                None if base.keys(&stable).is_none() => return Ok(GeneKey::Id),
                None => {}
            },
        }
        for number in 0..self.surveys.len() {
            if !has_key_column(&*self.inputs.get(number)?, STABLE_IDS) {
                return Ok(GeneKey::Id);
            }
        }
        Ok(stable)
    }
}
