//! Determines whether genes are joined with or without the versions of their identifiers.

use std::collections::HashMap;
use std::path::Path;

use super::gene_keys::has_key_column;
use super::{GeneKey, GeneList, IdVersions, PlanError, PlanOptions, gene_keys};
use crate::source::stable_id::without_version;
use crate::source::{CellSource, Inputs};
use crate::survey::{STABLE_IDS, Survey, Versions};

/// The user's choice about identifier versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VersionWish {
    /// Ignore versions if one side has none and no two genes would become one.
    #[default]
    Auto,
    /// Join with versions.
    Keep,
    /// Join without versions.
    Strip,
}

/// The genes of a dataset that is appended to, before it is surveyed.
#[derive(Debug, Clone)]
pub struct BaseGenes<'a> {
    /// Path of the dataset.
    pub path: &'a Path,
    /// Its genes.
    pub list: GeneList,
    /// Whether versions distinguish its genes.
    pub id_versions: IdVersions,
}

impl IdVersions {
    /// Decides for all inputs, and reopens those whose versions are to be ignored.
    ///
    /// # Errors
    /// If versions must be ignored and two genes would become one; reading errors.
    pub fn settle(
        wish: VersionWish,
        inputs: &mut Inputs,
        surveys: &mut [Survey],
        options: &PlanOptions,
        base: Option<&BaseGenes<'_>>,
    ) -> Result<Self, PlanError> {
        let was_stripped = base.is_some_and(|base| base.id_versions == IdVersions::Strip);
        let (mut counts, mut seen) = (Vec::new(), Vec::new());
        for (number, survey) in surveys.iter().enumerate() {
            let [names, ids] = survey.gene_lists.versions;
            let has_ids = has_key_column(&survey.description.var, STABLE_IDS);
            let mut columns = vec![("gene_id".to_string(), names)];
            if has_ids {
                columns.push((STABLE_IDS.to_string(), ids));
            }
            let of_join = match &options.gene_key {
                Some(GeneKey::Id) => names,
                Some(GeneKey::Column(name)) if name != STABLE_IDS => {
                    let source = inputs.get(number)?;
                    let versions = of_list(&gene_keys(&*source, &GeneKey::Column(name.clone()))?);
                    columns.push((name.clone(), versions));
                    versions
                }
                _ if has_ids && ids != Versions::default() => ids,
                _ => names,
            };
            seen.push(of_join);
            columns.retain(|(_, versions)| versions.with > 0);
            counts.push(
                columns
                    .into_iter()
                    .map(|(name, _)| name)
                    .collect::<Vec<_>>(),
            );
        }
        seen.extend(base.map(|base| of_list(&base.list)));
        let some = |has: &dyn Fn(&Versions) -> bool| seen.iter().any(has);
        let differ = some(&|versions| versions.with > 0) && some(&|v| v.with == 0 && v.without > 0);
        let strip = match wish {
            VersionWish::Keep if was_stripped => {
                let path = base.map_or(Path::new(""), |base| base.path).to_path_buf();
                return Err(PlanError::VersionsStripped { path });
            }
            VersionWish::Keep => false,
            VersionWish::Strip => true,
            VersionWish::Auto => was_stripped || differ,
        };
        if !strip {
            return Ok(IdVersions::Keep);
        }
        let must = wish == VersionWish::Strip || was_stripped;
        let refused = |collision: Option<PlanError>| match collision {
            Some(collision) if must => Err(collision),
            collision => Ok(collision.is_some()),
        };
        if let Some(base) = base
            && refused(collision(base.path, &base.list))?
        {
            return Ok(IdVersions::Keep);
        }
        for (number, columns) in counts.iter().enumerate() {
            for column in columns {
                let source = inputs.get(number)?;
                if refused(collision_in(&*source, column)?)? {
                    return Ok(IdVersions::Keep);
                }
            }
        }
        for (number, columns) in counts.into_iter().enumerate() {
            if !columns.is_empty() {
                inputs.change(number, |open| open.strip_versions = columns);
                surveys[number] = Survey::of_input(inputs, number)?;
            }
        }
        Ok(IdVersions::Strip)
    }
}

/// Returns the identifier of each gene, or its key if it has none.
fn texts(list: &GeneList) -> impl Iterator<Item = &str> {
    (0..list.len()).map(|gene| list.id(gene).unwrap_or(list.key(gene)))
}

fn of_list(list: &GeneList) -> Versions {
    let mut versions = Versions::default();
    texts(list).for_each(|text| versions.add(text));
    versions
}

fn collision_in(source: &dyn CellSource, column: &str) -> Result<Option<PlanError>, PlanError> {
    let list = match column {
        "gene_id" => GeneList::of_column(gene_keys(source, &GeneKey::Id)?.keys().clone()),
        // Genes without a value cannot collide.
        STABLE_IDS => gene_keys(source, &GeneKey::IdsOrNames)?,
        name => gene_keys(source, &GeneKey::Column(name.to_string()))?,
    };
    Ok(collision(&source.description().path, &list))
}

/// Finds two different identifiers that are the same without their versions.
fn collision(path: &Path, list: &GeneList) -> Option<PlanError> {
    let mut seen: HashMap<String, &str> = HashMap::new();
    texts(list).find_map(|text| {
        let known = *seen
            .entry(without_version(text).into_owned())
            .or_insert(text);
        (known != text).then(|| PlanError::VersionsCollide {
            path: path.to_path_buf(),
            one: known.to_string(),
            other: text.to_string(),
        })
    })
}
