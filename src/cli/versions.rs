//! Versions of identifiers of genes, as they were asked for.

use super::arguments::{GeneIdVersionArgument, JoinArguments};
use crate::dataset::Dataset;
use crate::error::Error;
use crate::plan::{BaseGenes, IdVersions, PlanOptions, VersionWish};
use crate::source::Inputs;
use crate::survey::Survey;

impl JoinArguments {
    /// What is said of the versions of identifiers.
    pub fn version_wish(&self) -> VersionWish {
        match self.gene_id_version {
            GeneIdVersionArgument::Auto => VersionWish::Auto,
            GeneIdVersionArgument::Strip => VersionWish::Strip,
            GeneIdVersionArgument::Keep => VersionWish::Keep,
        }
    }
}

/// Decides whether genes are joined without the versions of their identifiers.
pub(super) fn settle_versions(
    wish: VersionWish,
    inputs: &mut Inputs,
    surveys: &mut [Survey],
    options: &mut PlanOptions,
    dataset: Option<&Dataset>,
) -> Result<(), Error> {
    let base = match dataset {
        None => None,
        Some(dataset) => Some(BaseGenes {
            path: dataset.path(),
            list: dataset.list_of_genes_now()?,
            id_versions: dataset.config().gene_id_versions,
        }),
    };
    options.id_versions = IdVersions::settle(wish, inputs, surveys, options, base.as_ref())?;
    Ok(())
}
