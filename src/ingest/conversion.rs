//! A conversion and an append from their inputs to the commit: look, plan, write.

use std::path::Path;

use super::IngestError;
use super::apart::check_apart;
use super::append::{Appendable, check_unlocked};
use super::finished::Finished;
use super::job::{Job, RunOptions};
use super::target::{Earlier, Existing, check_output};
use crate::dataset::Dataset;
use crate::plan::{BaseGenes, IdVersions, Plan, PlanOptions, VersionWish};
use crate::progress::Progress;
use crate::source::Inputs;
use crate::survey::Survey;

/// How often a plan is made again because the dataset has changed meanwhile.
const ATTEMPTS: usize = 10;

/// What is done with inputs.
#[derive(Debug, Clone, Default)]
pub struct Conversion {
    /// What becomes of them. Its `id_versions` is decided by `versions`, and its value ignored.
    pub plan: PlanOptions,
    /// Whether genes are joined without the versions of their identifiers.
    pub versions: VersionWish,
    /// With what resources, and what is done about what is there already.
    pub run: RunOptions,
}

impl Conversion {
    /// Writes a new dataset, or goes on where an earlier run of the same conversion ended.
    ///
    /// The dataset is complete when this returns. [`Finished::close`] removes what a later run would
    /// know it by.
    ///
    /// # Errors
    /// An input is refused, inputs do not go together, or the output cannot be written.
    pub fn write(
        &self,
        inputs: &mut Inputs,
        output: &Path,
        progress: &dyn Progress,
    ) -> Result<Finished, IngestError> {
        check_output(output, self.run.existing)?;
        let (surveys, options) = self.look(inputs, output, None)?;
        let plan = Plan::new(inputs, &surveys, &options)?;
        drop(surveys);
        Job::begin(plan, output, self.run.clone())?.run(inputs, progress)
    }

    /// Appends to a dataset, or goes on where an earlier run of the same append ended. Where another
    /// process has changed the dataset meanwhile, the append is planned again.
    ///
    /// # Errors
    /// As [`Conversion::write`]; and where the dataset is being written by another process.
    pub fn append(
        &self,
        inputs: &mut Inputs,
        dataset: &Path,
        progress: &dyn Progress,
    ) -> Result<Finished, IngestError> {
        Dataset::open(dataset)?;
        check_unlocked(dataset, self.run.wait)?;
        let (surveys, options) = self.look(inputs, dataset, Some(dataset))?;
        let run = RunOptions {
            existing: Existing::Refuse,
            ..self.run.clone()
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let plan = plan_of_append(inputs, &surveys, &options, dataset, run.earlier)?;
            let job = Job::begin(plan, dataset, run.clone());
            match job.and_then(|job| job.run(inputs, progress)) {
                Err(IngestError::Moved { .. }) if attempts < ATTEMPTS => {
                    tracing::info!("the dataset has changed: planning again");
                }
                result => return result,
            }
        }
    }

    /// Surveys the inputs, and decides what is decided for all of them together.
    fn look(
        &self,
        inputs: &mut Inputs,
        output: &Path,
        dataset: Option<&Path>,
    ) -> Result<(Vec<Survey>, PlanOptions), IngestError> {
        let mut surveys = Survey::of_all(inputs, self.run.threads)?;
        tell_unmatched(inputs);
        check_apart(output, inputs)?;
        for number in 0..inputs.len() {
            check_apart(&inputs.options(number).scratch, inputs)?;
        }
        let mut options = self.plan.clone();
        let dataset = match dataset {
            Some(path) => Some(Appendable::open(path)?.now),
            None => None,
        };
        settle_versions(
            self.versions,
            inputs,
            &mut surveys,
            &mut options,
            dataset.as_ref(),
        )?;
        Ok((surveys, options))
    }
}

/// The plan of the append that was begun earlier, where it is this one; else that for the dataset as
/// it is.
fn plan_of_append(
    inputs: &Inputs,
    surveys: &[Survey],
    options: &PlanOptions,
    path: &Path,
    earlier: Earlier,
) -> Result<Plan, IngestError> {
    let plan = |dataset: &Dataset| -> Result<Plan, IngestError> {
        let base = dataset.survey_now(surveys, options.gene_key.as_ref())?;
        Ok(Plan::append(inputs, surveys, options, &base)?)
    };
    let mut appendable = Appendable::open(path)?;
    appendable.check_rows()?;
    appendable.check_earlier(earlier)?;
    if let Some((job, before)) = &appendable.earlier
        && let Ok(plan) = plan(before)
        && plan.job_id() == *job
    {
        return Ok(plan);
    }
    plan(&appendable.now)
}

/// Decides whether genes are joined without the versions of their identifiers.
pub(crate) fn settle_versions(
    wish: VersionWish,
    inputs: &mut Inputs,
    surveys: &mut [Survey],
    options: &mut PlanOptions,
    dataset: Option<&Dataset>,
) -> Result<(), IngestError> {
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

/// Says which patterns of a selection chose nothing of all inputs, once they were surveyed.
pub(crate) fn tell_unmatched(inputs: &Inputs) {
    if inputs.is_empty() {
        return;
    }
    for unmatched in inputs.options(0).selection.unmatched() {
        tracing::warn!("{unmatched}");
    }
}
