//! Inspecting and locking a dataset that is appended to.

use std::collections::BTreeMap;
use std::path::Path;

use super::output_dir::{Found, OutputDir, ResumePolicy, give_up};
use super::{IngestError, base_snapshot};
use crate::dataset::{
    Adoption, Changes, Checkpoint, Dataset, DatasetConfig, JOB_FOLDER, JobFolder, JobState, Known,
    remove_unnamed_hashes,
};
use crate::plan::{Base, Described, JobId, KnownValues, Plan};
use crate::store::{FolderLock, LockPolicy, Named, remove_folder};
use crate::table::{TableError, TableName};

/// The states of a dataset that an append may continue from.
///
/// ```
/// # use slaf::ingest::{ResumePolicy, OverwritePolicy, Job, RunOptions};
/// # use slaf::source::OpenOptions;
/// # use slaf::store::LockPolicy;
/// use slaf::ingest::Appendable;
/// use slaf::plan::{Plan, PlanOptions};
/// use slaf::source::Inputs;
/// use slaf::survey::Survey;
///
/// # let folder = tempfile::tempdir()?;
/// # let dataset = folder.path().join("demo.slaf");
/// # let run = || RunOptions {
/// #     threads: 2,
/// #     memory: 512 << 20,
/// #     chunk_cells: u64::MAX,
/// #     existing: OverwritePolicy::Refuse,
/// #     earlier: ResumePolicy::Resume,
/// #     wait: LockPolicy::No,
/// # };
/// # let demo = |prefix: Option<&str>| {
/// #     let cell_id_prefix = prefix.map(String::from);
/// #     Inputs::of_paths([(
/// #         "fixtures/h5ad/demo.h5ad".into(),
/// #         OpenOptions { cell_id_prefix, ..OpenOptions::default() },
/// #     )])
/// # };
/// # let inputs = demo(None);
/// # let plan = Plan::new(&inputs, &Survey::of_all(&inputs, 2)?, &PlanOptions::default())?;
/// # Job::begin(plan, &dataset, run())?.run(&inputs, &())?.close()?;
/// # let inputs = demo(Some("more-"));
/// let surveys = Survey::of_all(&inputs, 2)?;
/// let base = Appendable::open(&dataset)?.now.survey_now(&surveys, None)?;
/// let plan = Plan::append(&inputs, &surveys, &PlanOptions::default(), &base)?;
/// let finished = Job::begin(plan, &dataset, run())?.run(&inputs, &())?;
/// assert_eq!(finished.outcome().dataset.array_shape, [400, 300]);
/// finished.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct Appendable {
    /// An append that is unfinished or not cleaned up, and the dataset as it was before. An append
    /// resumes it if its plan, made for that state, is the same.
    pub earlier: Option<(JobId, Dataset)>,
    /// The dataset as it is now, including changes by other programs.
    pub now: Dataset,
    /// What that is.
    pub changes: Changes,
    /// Why it is not known what it was before an append that is not tidied up.
    broken: Option<IngestError>,
}

impl Appendable {
    /// Inspects the dataset in a folder.
    ///
    /// # Errors
    /// Where there is no complete dataset, or a data file of a table is missing or cut short, also of
    /// one that an append does not read: what is added to a damaged dataset would be lost with it.
    pub fn open(path: &Path) -> Result<Self, IngestError> {
        let (described, file) = Dataset::open_with_job(path)?;
        let runtime = runtime(1)?;
        let state = file.job_plan(path)?;
        if let JobState::Known(checkpoint) = &state
            && let Some(base) = &checkpoint.plan.base
        {
            // What the unfinished job has committed is ignored.
            let config = checkpoint.continued(described.config()).clone();
            let before = Dataset::at(path, config, base.versions.clone());
            runtime.block_on(before.check_files())?;
            return Ok(Appendable {
                now: before.clone(),
                earlier: Some((checkpoint.job.clone(), before)),
                changes: Changes::default(),
                broken: None,
            });
        }
        let changes = match state {
            // Nobody knows what is the job's.
            JobState::Broken(_) => Changes::default(),
            _ => runtime.block_on(described.changes())?,
        };
        let now = runtime.block_on(described.with_changes(&changes))?;
        runtime.block_on(now.check_files())?;
        let (earlier, broken) = match Self::uncleaned(path, described.config()) {
            Ok(earlier) => (earlier, None),
            Err(broken) => (None, Some(broken)),
        };
        Ok(Appendable {
            earlier,
            now,
            changes,
            broken,
        })
    }

    /// Refuses to continue if the state to continue from is not known.
    ///
    /// # Errors
    /// [`IngestError::Broken`], unless earlier work is to be discarded.
    pub fn check_earlier(&mut self, earlier: ResumePolicy) -> Result<(), IngestError> {
        match self.broken.take() {
            Some(broken) if earlier == ResumePolicy::Resume => Err(broken),
            _ => Ok(()),
        }
    }

    /// Refuses tables whose number of rows differs from that in config.json, and sums that contradict
    /// each other.
    ///
    /// # Errors
    /// [`crate::dataset::DatasetError::Contradiction`], and, of what another program did,
    /// [`crate::dataset::DatasetError::Changed`]
    pub fn check_rows(&mut self) -> Result<(), IngestError> {
        let runtime = runtime(1)?;
        runtime.block_on(self.now.check_recorded_sums(&self.changes))?;
        let frames = self.changes.of_frames();
        let mut changed = frames.tables.iter();
        if changed.any(|change| change.known != Known::Same) && self.now.config().is_described() {
            let described = Dataset::open(self.now.path())?;
            let adoption = Adoption::take(&described, &self.now, &frames);
            let adopted = runtime.block_on(adoption)?.config;
            // If the described version no longer exists, only this shows which columns are new.
            let config = DatasetConfig {
                obs: adopted.obs,
                var: adopted.var,
                obsm: adopted.obsm,
                varm: adopted.varm,
                added_columns: adopted.added_columns,
                ..self.now.config().clone()
            };
            let versions = self.now.versions().clone();
            self.now = Dataset::at(self.now.path(), config, versions);
        }
        Ok(())
    }

    /// Accepts rows that config.json does not describe as they are.
    ///
    /// # Errors
    /// If the tables cannot be read.
    pub fn accept(&mut self) -> Result<(), IngestError> {
        if self.earlier.is_none() {
            self.now = runtime(1)?.block_on(self.now.with_shape_of_tables())?;
        }
        Ok(())
    }

    /// Returns the last job if its folder still exists.
    fn uncleaned(
        path: &Path,
        config: &DatasetConfig,
    ) -> Result<Option<(JobId, Dataset)>, IngestError> {
        let Some(job) = config.jobs.last() else {
            return Ok(None);
        };
        let before = base_snapshot::kept(path, JobFolder::of(path, job).path())?;
        Ok(before.map(|before| (job.clone(), before)))
    }
}

impl OutputDir {
    /// Locks a dataset to append to, for a plan that was made for one of its states.
    pub(super) fn claim_dataset(
        output: &Path,
        plan: &Plan,
        base: &Base,
        earlier: ResumePolicy,
        wait: LockPolicy,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<(Self, Found), IngestError> {
        let lock = FolderLock::acquire(output, wait)?;
        // Inspect it again, since it can change until it is locked.
        let (now, file) = Dataset::open_with_job(output)?;
        let recorded = now.config().clone();
        let job = plan.job_id();
        let state = file.job(output)?;
        let now = match &state {
            JobState::Known(checkpoint) => {
                let config = checkpoint.continued(&recorded).clone();
                Dataset::at(output, config, base.versions.clone())
            }
            // It is not known which changes are the job's.
            JobState::Broken(_) => now,
            JobState::None | JobState::Begun(_) => {
                let changes = runtime.block_on(now.changes())?;
                runtime.block_on(now.with_changes(&changes))?
            }
        };
        let before = Dataset::at(output, now.config().clone(), base.versions.clone());
        let folder = output.to_path_buf();
        let target = OutputDir::holding(folder, job.clone(), lock, before, recorded.clone());
        let moved = || IngestError::Moved {
            path: output.to_path_buf(),
        };
        let resumes = earlier == ResumePolicy::Resume;
        match state {
            JobState::None => {}
            JobState::Begun(job) => {
                target.roll_back(&job, &base.versions, &recorded, runtime)?;
                return Err(moved());
            }
            JobState::Broken(broken) => {
                if resumes {
                    return Err(IngestError::broken(broken));
                }
                if let Some(job) = &broken.job {
                    target.roll_back(job, &base.versions, &recorded, runtime)?;
                } else {
                    give_up(output, None, recorded.clone())?;
                }
                return Err(moved());
            }
            JobState::Known(checkpoint) => {
                if resumes && checkpoint.job != job {
                    return Err(target.other_job(&checkpoint));
                }
                if resumes && target.is_unmoved(base, runtime)? {
                    return Ok((target, Found::Unfinished(checkpoint)));
                }
                target.take_back(&checkpoint, &recorded, runtime)?;
                return Err(moved());
            }
        }
        if recorded.jobs.last() == Some(&job) && target.job_folder().path().is_dir() {
            return Ok((target, Found::Complete(Box::new(recorded))));
        }
        target.clean_up_after_others(&recorded, runtime)?;
        if base.known == KnownValues::Keep && now.config().array_shape[0] != base.cells {
            return Err(moved());
        }
        if base.described == Described::Whole && now.config().versions != base.versions {
            return Err(moved());
        }
        if !target.is_unmoved(base, runtime)? {
            return Err(moved());
        }
        Ok((target, Found::Nothing))
    }

    /// Cleans up after other jobs that were killed; none of them is still running.
    fn clean_up_after_others(
        &self,
        config: &DatasetConfig,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<(), IngestError> {
        for entry in std::fs::read_dir(self.folder())
            .named("list", self.folder())?
            .flatten()
        {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(short) = name.strip_prefix(JOB_FOLDER) else {
                continue;
            };
            let job = JobId::beginning(short);
            for name in TableName::IN_COMMIT_ORDER {
                runtime.block_on(self.table(name).remove_orphans(&job, &[], self.since()))?;
            }
            remove_folder(&entry.path())?;
        }
        Ok(remove_unnamed_hashes(self.folder(), &config.cell_hashes)?)
    }

    /// Whether the newest versions are those that the plan was made for, or this job's own.
    fn is_unmoved(
        &self,
        base: &Base,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<bool, IngestError> {
        for name in TableName::IN_COMMIT_ORDER {
            let Some(&before) = base.versions.get(name.key()) else {
                continue;
            };
            match runtime.block_on(self.table(name).landed(self.job(), Some(before))) {
                Err(TableError::Taken { .. }) => return Ok(false),
                other => other?,
            };
        }
        Ok(true)
    }

    /// Saves the state of the dataset before the job, for a run that finds the job complete.
    pub(super) fn keep_before(&self) -> Result<(), IngestError> {
        let Some(before) = self.before() else {
            return Ok(());
        };
        base_snapshot::keep(before, self.job_folder().path())
    }

    /// Restores the dataset to its state before an append that is abandoned.
    pub(super) fn take_back(
        &self,
        checkpoint: &Checkpoint,
        config: &DatasetConfig,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<(), IngestError> {
        let base = checkpoint.plan.base.as_ref();
        let versions = base.map_or_else(BTreeMap::new, |base| base.versions.clone());
        self.roll_back(&checkpoint.job, &versions, config, runtime)
    }

    /// Restores the dataset for a job of which only the identifier is known.
    fn roll_back(
        &self,
        job: &JobId,
        versions: &BTreeMap<String, u64>,
        config: &DatasetConfig,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<(), IngestError> {
        let mut config = config.clone();
        // Revert cells before their rows, so that no reader sees cells without rows.
        for name in TableName::IN_COMMIT_ORDER.into_iter().rev() {
            let Some(&before) = versions.get(name.key()) else {
                continue;
            };
            let restored = runtime.block_on(self.table(name).undo(job, before))?;
            // Versions by other programs remain undescribed.
            if let Some(version) = config.versions.get_mut(name.key())
                && *version == before
            {
                *version = restored;
            }
        }
        give_up(self.folder(), Some(job), config)?;
        for name in TableName::IN_COMMIT_ORDER {
            runtime.block_on(self.table(name).remove_orphans(job, &[], self.since()))?;
        }
        Ok(())
    }
}

fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, IngestError> {
    crate::table::runtime(threads).map_err(|source| IngestError::Threads { source })
}

/// Checks early, before inputs are read, whether another process has locked the dataset.
///
/// # Errors
/// If the folder does not exist, or another process has locked it and `wait` is [`LockPolicy::No`].
pub fn check_unlocked(folder: &Path, wait: LockPolicy) -> Result<(), IngestError> {
    std::fs::metadata(folder).named("open", folder)?;
    drop(FolderLock::acquire(folder, wait)?);
    Ok(())
}
