//! Runs a job, from claiming the output to the last file.

use std::path::Path;

use super::IngestError;
use super::commit::Commit;
use super::contents::ContentsBefore;
use super::finished::{Finished, appended, clean_up, summarise};
use super::genes::DatasetGenes;
use super::late_checks::{check_contents, check_counts, check_scales};
use super::output_dir::{Found, OutputDir};
use super::resumed::resume;
use super::rewrites::write_and_widen;
use super::run_options::RunOptions;
use super::shards::{ShardRun, affordable_threads};
use super::tables::{Tables, TargetTable};
use crate::dataset::{
    Adoption, Checkpoint, Dataset, DatasetConfig, ShardRecord, Status, Writer, timestamp,
};
use crate::plan::{Described, KnownValues, Plan};
use crate::progress::{Event, Progress};
use crate::source::Inputs;
use crate::store::{create_folder, sync_folder};
use crate::table::{TableError, TableName, runtime};

/// A job that has exclusive access to its output.
///
/// ```
/// use slaf::ingest::{ResumePolicy, OverwritePolicy, Job, RunOptions};
/// use slaf::plan::{Plan, PlanOptions};
/// use slaf::source::{Inputs, OpenOptions};
/// use slaf::store::LockPolicy;
/// use slaf::survey::Survey;
///
/// # let folder = tempfile::tempdir()?;
/// # let output = folder.path().join("demo.slaf");
/// let input = ("fixtures/h5ad/demo.h5ad".into(), OpenOptions::default());
/// let inputs = Inputs::of_paths([input]);
/// let surveys = Survey::of_all(&inputs, 2)?;
/// let plan = Plan::new(&inputs, &surveys, &PlanOptions::default())?;
/// let options = RunOptions {
///     threads: 2,
///     memory: 512 << 20,
///     chunk_cells: u64::MAX,
///     existing: OverwritePolicy::Refuse,
///     earlier: ResumePolicy::Resume,
///     wait: LockPolicy::No,
/// };
/// let finished = Job::begin(plan, &output, options)?.run(&inputs, &())?;
/// assert_eq!(finished.outcome().dataset.array_shape, [200, 300]);
/// finished.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "a job does nothing until it runs"]
pub struct Job {
    target: OutputDir,
    found: Found,
    plan: Plan,
    options: RunOptions,
    runtime: tokio::runtime::Runtime,
}

impl Job {
    /// Claims the output for a plan: a new one, or the dataset that the plan was made for.
    ///
    /// # Errors
    /// The output exists, contains the unfinished work of another job, is being written by another
    /// process, or cannot be written. [`IngestError::Moved`] if a dataset has changed since the
    /// plan was made, so that a new plan is needed.
    pub fn begin(plan: Plan, output: &Path, options: RunOptions) -> Result<Self, IngestError> {
        let options = RunOptions {
            threads: affordable_threads(options.threads, options.memory),
            ..options
        };
        let runtime = runtime(options.threads).map_err(|source| IngestError::Threads { source })?;
        let RunOptions { earlier, wait, .. } = options;
        let (target, found) = match &plan.base {
            None => OutputDir::claim(output, &plan.job_id(), options.existing, earlier, wait)?,
            Some(base) => OutputDir::claim_dataset(output, &plan, base, earlier, wait, &runtime)?,
        };
        Ok(Job {
            target,
            found,
            plan,
            options,
            runtime,
        })
    }

    /// Does everything that is not done yet. Blocks; must not be called from asynchronous code.
    ///
    /// # Errors
    /// An input cannot be read, has changed, or is refused because of its contents; a value fits no
    /// allowed type; the output cannot be written; [`IngestError::Moved`] if another program has
    /// committed to the dataset in the meantime. What was recorded is kept, and the same job
    /// resumes from there.
    pub fn run(
        mut self,
        inputs: &Inputs,
        progress: &dyn Progress,
    ) -> Result<Finished, IngestError> {
        let mut checkpoint = match std::mem::replace(&mut self.found, Found::Nothing) {
            Found::Complete(dataset) => return self.tidied(*dataset),
            Found::Unfinished(earlier) => resume(*earlier, &self.plan, &self.target)?,
            Found::Nothing => self.new_checkpoint(inputs),
        };
        let resumed = checkpoint.done();
        self.prepare(&mut checkpoint, inputs)?;
        let genes = DatasetGenes::of(
            inputs,
            &checkpoint.plan,
            self.target.before(),
            &self.runtime,
        )?;
        self.write(&mut checkpoint, inputs, &genes, progress)?;
        let (dataset, tables) = self.check_and_commit(&mut checkpoint, inputs, &genes, progress)?;
        self.target.put_in_place()?;
        let (plan, recounted) = (&checkpoint.plan, checkpoint.recounted.as_ref());
        let adoption = checkpoint.adoption.as_deref();
        let appended = appended(plan, &dataset, Some(&tables), recounted, adoption);
        let outcome = summarise(
            &self.target,
            dataset,
            plan,
            appended,
            resumed,
            &self.runtime,
        )?;
        clean_up(self.target, outcome, &self.runtime)
    }

    /// Finishes a job of which at most the tidying up was left.
    fn tidied(self, dataset: DatasetConfig) -> Result<Finished, IngestError> {
        let Job {
            target,
            plan,
            runtime,
            ..
        } = self;
        let appended = appended(&plan, &dataset, None, None, None);
        let outcome = summarise(&target, dataset, &plan, appended, 0, &runtime)?;
        clean_up(target, outcome, &runtime)
    }

    fn new_checkpoint(&self, inputs: &Inputs) -> Checkpoint {
        Checkpoint {
            job: self.plan.job_id(),
            status: Status::Writing,
            started: timestamp(),
            writer: Writer::this(),
            plan: self.plan.clone(),
            recounted: None,
            unsorted: inputs.unsorted(),
            adoption: None,
            shards: Vec::new(),
            frames: Vec::new(),
        }
    }

    /// Tells the inputs what an earlier run has found out, and adopts what other programs have done
    /// to the dataset that is appended to.
    fn prepare(&mut self, checkpoint: &mut Checkpoint, inputs: &Inputs) -> Result<(), IngestError> {
        let unsorted = checkpoint.unsorted.iter().copied();
        unsorted
            .filter(|number| *number < inputs.len())
            .for_each(|number| inputs.assume_unsorted(number));
        if checkpoint.adoption.is_none() && checkpoint.recounted.is_none() {
            adopt(&mut self.target, checkpoint, &self.runtime)?;
        }
        Ok(())
    }

    /// Writes and records every shard that is not recorded yet.
    fn write(
        &self,
        checkpoint: &mut Checkpoint,
        inputs: &Inputs,
        genes: &DatasetGenes<'_>,
        progress: &dyn Progress,
    ) -> Result<(), IngestError> {
        let Job {
            target,
            options,
            runtime,
            ..
        } = self;
        let run = ShardRun {
            inputs,
            target,
            options,
            progress,
            runtime: runtime.handle().clone(),
            genes,
        };
        let written = claim_folders(target, checkpoint, runtime).and_then(|()| {
            progress.report(Event::Planned {
                plan: &checkpoint.plan,
            });
            report_resumed(checkpoint, progress);
            write_and_widen(&run, checkpoint, runtime)
        });
        let Err(failure) = written else {
            return Ok(());
        };
        // Nothing was recorded; an empty output would only obstruct another attempt.
        if checkpoint.shards.is_empty() {
            target.abandon(checkpoint, runtime)?;
            return Err(failure);
        }
        Err(match failure {
            IngestError::Source(_) | IngestError::Chunk(_) | IngestError::NoType { .. }
                if checkpoint.plan.inputs.len() > 1 =>
            {
                IngestError::InputFailed {
                    failure: Box::new(failure),
                }
            }
            other => other,
        })
    }

    /// Refuses what only the values tell, and makes the job visible.
    fn check_and_commit(
        &self,
        checkpoint: &mut Checkpoint,
        inputs: &Inputs,
        genes: &DatasetGenes<'_>,
        progress: &dyn Progress,
    ) -> Result<(DatasetConfig, Tables), IngestError> {
        let Job {
            target, runtime, ..
        } = self;
        check_contents(checkpoint, target.before())?;
        check_scales(checkpoint)?;
        let order = Adoption::order_of(checkpoint.adoption.as_deref(), TableName::Expression);
        let contents = ContentsBefore::of(target, order, &genes.identities, runtime)?;
        let warnings = check_counts(checkpoint, target, inputs, &contents, runtime)?;
        checkpoint.status = Status::Committing;
        target.save(checkpoint)?;
        let tables = runtime.block_on(TargetTable::of_all(target, checkpoint))?;
        let commit = Commit {
            tables: &tables,
            inputs,
            target,
            checkpoint,
            contents: &contents,
            warnings: &warnings,
            progress,
            runtime: runtime.handle(),
        };
        let dataset = match commit.run() {
            // For a new dataset, nothing is visible yet.
            Err(changed @ IngestError::ChangedLate(_)) => {
                if let Some(recorded) = target.recorded() {
                    target.take_back(checkpoint, recorded, runtime)?;
                }
                return Err(changed);
            }
            // Another program has committed in the meantime, so the plan is void.
            Err(IngestError::Table(TableError::Taken { .. })) if target.before().is_some() => {
                return Err(IngestError::Moved {
                    path: target.folder().to_path_buf(),
                });
            }
            result => result?,
        };
        Ok((dataset, tables))
    }
}

/// Inspects and adopts the changes other programs have made to the dataset that is appended to.
fn adopt(
    target: &mut OutputDir,
    checkpoint: &mut Checkpoint,
    runtime: &tokio::runtime::Runtime,
) -> Result<(), IngestError> {
    let (Some(base), Some(now)) = (&checkpoint.plan.base, target.before()) else {
        return Ok(());
    };
    let adoption = if base.known == KnownValues::Accept || base.described == Described::Partly {
        let (adoption, recounted) = runtime.block_on(Adoption::recount(now, base.known))?;
        checkpoint.recounted = Some(recounted);
        adoption
    } else {
        let described = Dataset::open(target.folder())?;
        let changes = runtime.block_on(described.changes())?;
        if changes.is_empty() {
            return Ok(());
        }
        runtime.block_on(Adoption::take(&described, now, &changes))?
    };
    target.adopt(adoption.config.clone());
    checkpoint.adoption = Some(Box::new(adoption));
    Ok(())
}

/// Writes the checkpoint, creates the folders and removes unfinished files of a run that was
/// killed.
fn claim_folders(
    target: &OutputDir,
    checkpoint: &Checkpoint,
    runtime: &tokio::runtime::Runtime,
) -> Result<(), IngestError> {
    target.save(checkpoint)?;
    crate::failpoint::reach("checkpoint-created");
    target.job_folder().create()?;
    target.job_folder().write_plan(checkpoint)?;
    crate::failpoint::reach("plan-written");
    target.keep_before()?;
    for table in TableName::of(&checkpoint.plan) {
        let folder = target.table(table);
        create_folder(&folder.path().join("data"))?;
        sync_folder(folder.path())?;
        sync_folder(target.folder())?;
    }
    target.remove_orphans(&checkpoint.fragments(), runtime)
}

fn report_resumed(checkpoint: &Checkpoint, progress: &dyn Progress) {
    if checkpoint.done() > 0 {
        progress.report(Event::Resumed {
            shards: checkpoint.shards.len() + checkpoint.frames.len(),
            entries: checkpoint.shards.iter().map(ShardRecord::entries).sum(),
        });
    }
}
