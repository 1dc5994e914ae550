//! Runs a conversion or an append from inputs to commit: survey, plan, write.

use std::path::Path;

use super::append::{Appendable, check_unlocked};
use super::finished::Finished;
use super::job::Job;
use super::output_apart::check_apart;
use super::output_dir::{OverwritePolicy, check_output};
use super::run_options::RunOptions;
use super::{DuplicateCounts, IngestError};
use crate::dataset::{ConfigUse, Dataset};
use crate::plan::{BaseGenes, IdVersions, Plan, PlanOptions, VersionWish};
use crate::progress::Progress;
use crate::source::Inputs;
use crate::survey::Survey;

/// Maximum number of attempts to plan an append to a dataset that keeps changing.
const ATTEMPTS: usize = 10;

/// Options of a conversion or an append.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is read before `write` or `append`"]
pub struct Conversion {
    /// Options of the plan. `id_versions` is ignored; it is determined by `versions`.
    pub plan: PlanOptions,
    /// Whether genes are joined without the versions of their identifiers.
    pub versions: VersionWish,
    /// Resources, and what to do about existing output.
    pub run: RunOptions,
}

impl Conversion {
    /// Writes a new dataset, or resumes an earlier run of the same conversion.
    ///
    /// The dataset is complete when this returns. [`Finished::close`] removes the files by which a
    /// later run would recognise the job.
    ///
    /// # Errors
    /// An input is refused, inputs are incompatible, or the output cannot be written.
    pub fn write(
        &self,
        inputs: &mut Inputs,
        output: &Path,
        progress: &dyn Progress,
    ) -> Result<Finished, IngestError> {
        check_output(output, self.run.existing)?;
        let (mut surveys, options) = self.look(inputs, output, None)?;
        DuplicateCounts::leave_out(inputs, &mut surveys, &options, None, self.run.threads)?;
        let plan = Plan::new(inputs, &surveys, &options)?;
        drop(surveys);
        Job::begin(plan, output, self.run.clone())?.run(inputs, progress)
    }

    /// Appends to a dataset, or resumes an earlier run of the same append. If another process has
    /// changed the dataset in the meantime, the append is planned again.
    ///
    /// # Errors
    /// As [`Conversion::write`]; also if another process is writing the dataset.
    pub fn append(
        &self,
        inputs: &mut Inputs,
        dataset: &Path,
        progress: &dyn Progress,
    ) -> Result<Finished, IngestError> {
        ConfigUse::Change.check(dataset, self.run.memory)?;
        Dataset::open(dataset)?;
        check_unlocked(dataset, self.run.wait)?;
        let (mut surveys, options) = self.look(inputs, dataset, Some(dataset))?;
        let run = RunOptions {
            existing: OverwritePolicy::Refuse,
            ..self.run.clone()
        };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let plan = plan_of_append(inputs, &mut surveys, &options, dataset, &run)?;
            let job = Job::begin(plan, dataset, run.clone());
            match job.and_then(|job| job.run(inputs, progress)) {
                Err(IngestError::Moved { .. }) if attempts < ATTEMPTS => {
                    tracing::info!("the dataset has changed: planning again");
                }
                result => return result,
            }
        }
    }

    /// Surveys the inputs and makes the decisions that concern all of them.
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

/// Returns the plan of the unfinished append if it is the same one; otherwise a plan for the
/// dataset as it is now.
fn plan_of_append(
    inputs: &mut Inputs,
    surveys: &mut [Survey],
    options: &PlanOptions,
    path: &Path,
    run: &RunOptions,
) -> Result<Plan, IngestError> {
    let mut plan = |dataset: &Dataset| -> Result<Plan, IngestError> {
        let base = dataset.survey_now(surveys, options.gene_key.as_ref())?;
        let before = Some((dataset, &base));
        DuplicateCounts::leave_out(inputs, surveys, options, before, run.threads)?;
        Ok(Plan::append(inputs, surveys, options, &base)?)
    };
    let mut appendable = Appendable::open(path)?;
    appendable.check_rows()?;
    appendable.check_earlier(run.earlier)?;
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

/// Warns about patterns of a selection that matched nothing in any of the surveyed inputs.
pub(crate) fn tell_unmatched(inputs: &Inputs) {
    if inputs.is_empty() {
        return;
    }
    for unmatched in inputs.options(0).selection.unmatched() {
        tracing::warn!("{unmatched}");
    }
}
