//! The output of a job, and what an earlier run left there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use lance_table::format::Fragment;

use super::IngestError;
use crate::dataset::{
    CONFIG, Checkpoint, ConfigFile, Dataset, DatasetConfig, JOB_FOLDER, JobFolder, JobState,
    JobSummary, UNS, remove_unnamed_hashes,
};
use crate::plan::JobId;
use crate::store::{
    FolderLock, LockPolicy, Named, create_folder, exchange_folders, remove_file, remove_folder,
};
use crate::table::{TableFolder, TableName};

/// What to do if the output is already a complete dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverwritePolicy {
    /// Refuse to write.
    Refuse,
    /// Build the new dataset next to it and swap them once it is complete.
    Replace,
}

/// What to do about the unfinished work of an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumePolicy {
    /// Resume it.
    Resume,
    /// Discard it.
    Discard,
}

/// Minimum time between two updates of the recorded progress.
const BETWEEN_SUMMARIES: Duration = Duration::from_secs(1);

/// A folder to which only this process writes until the target is dropped.
#[derive(Debug)]
pub(super) struct OutputDir {
    output: PathBuf,
    build: PathBuf,
    job: JobId,
    locks: Vec<FolderLock>,
    /// The dataset that is appended to, in its state before the job.
    before: Option<Dataset>,
    /// The dataset's description in config.json until the commit.
    recorded: Option<DatasetConfig>,
    /// When the job's progress was last written to config.json.
    told: Mutex<Option<Instant>>,
}

/// How far an earlier run of the job got.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// Some shards may be finished.
    Unfinished(Box<Checkpoint>),
    /// The dataset is complete; at most cleaning up is left.
    Complete(Box<DatasetConfig>),
}

enum State {
    Missing,
    Empty,
    /// Being made by the job that the file describes.
    Making(Box<ConfigFile>),
    Complete(Box<DatasetConfig>),
}

fn examine(folder: &Path) -> Result<State, IngestError> {
    let not_ours = |why| IngestError::NotOurs {
        path: folder.to_path_buf(),
        why,
    };
    if folder.is_symlink() && !folder.exists() {
        return Err(not_ours("is a link that leads nowhere"));
    }
    if !folder.exists() {
        return Ok(State::Missing);
    }
    if !folder.is_dir() {
        return Err(not_ours("exists and is a file"));
    }
    match ConfigFile::read(folder)? {
        Some(ConfigFile {
            dataset: Some(dataset),
            ..
        }) => Ok(State::Complete(Box::new(dataset))),
        Some(file) if file.checkpoint.is_some() || file.broken.is_some() => {
            Ok(State::Making(Box::new(file)))
        }
        Some(_) => Err(not_ours("holds a config.json without a dataset or a job")),
        None => {
            let mut entries = std::fs::read_dir(folder).named("list", folder)?;
            // A run that died before its first record leaves at most this file.
            let empty = entries
                .all(|entry| entry.is_ok_and(|entry| entry.file_name() == ".config.json.tmp"));
            if empty {
                Ok(State::Empty)
            } else {
                Err(not_ours("exists and is not a SLAF dataset"))
            }
        }
    }
}

/// Maximum number of bytes of the name of a folder created next to the output; file systems allow
/// 255.
const LONGEST_NAME: usize = 200;

/// Returns the folder in which a replacement of `output` is built: next to it, so that the two can
/// be swapped.
fn replacement(output: &Path) -> Result<PathBuf, IngestError> {
    let Some(name) = output.file_name() else {
        return Err(IngestError::NotOurs {
            path: output.to_path_buf(),
            why: "has no name of its own",
        });
    };
    let mut hidden = OsString::from(".");
    if name.len() <= LONGEST_NAME {
        hidden.push(name);
    } else {
        let digest = blake3::hash(name.as_encoded_bytes()).to_hex();
        hidden.push(&digest[..32]);
    }
    hidden.push(".slaf-new");
    Ok(output.with_file_name(hidden))
}

/// Resolves an output that is a link, so that its target is replaced instead of the link.
fn resolved(output: &Path) -> Result<PathBuf, IngestError> {
    if output.is_symlink() && output.exists() {
        return Ok(std::fs::canonicalize(output).named("resolve", output)?);
    }
    Ok(output.to_path_buf())
}

/// Forgets a job that made nothing visible: its checkpoint, its folder, and tables that only it
/// has.
pub(super) fn give_up(
    folder: &Path,
    job: Option<&JobId>,
    config: DatasetConfig,
) -> Result<(), IngestError> {
    let (tables, hashes) = (config.tables.clone(), config.cell_hashes.clone());
    let file = ConfigFile {
        dataset: Some(config),
        ..ConfigFile::default()
    };
    file.write(folder)?;
    for name in TableName::IN_COMMIT_ORDER {
        if !tables.contains_key(name.key()) {
            remove_folder(&folder.join(name.folder()))?;
        }
    }
    remove_unnamed_hashes(folder, &hashes)?;
    if let Some(job) = job {
        remove_folder(JobFolder::of(folder, job).path())?;
    }
    Ok(())
}

/// Checks early, before inputs are read, that an output can be used.
///
/// # Errors
/// If the output exists and may not be replaced, or is not a dataset.
pub fn check_output(output: &Path, existing: OverwritePolicy) -> Result<(), IngestError> {
    match examine(output)? {
        State::Complete(_) if existing == OverwritePolicy::Refuse && !has_job_folder(output)? => {
            Err(IngestError::Exists {
                path: output.to_path_buf(),
            })
        }
        _ => Ok(()),
    }
}

fn has_job_folder(folder: &Path) -> Result<bool, IngestError> {
    let entries = std::fs::read_dir(folder).named("list", folder)?;
    Ok(entries
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with(JOB_FOLDER)))
}

impl OutputDir {
    /// Creates the target for a dataset whose lock is held.
    pub fn holding(
        folder: PathBuf,
        job: JobId,
        lock: FolderLock,
        before: Dataset,
        recorded: DatasetConfig,
    ) -> Self {
        OutputDir {
            output: folder.clone(),
            build: folder,
            job,
            locks: vec![lock],
            before: Some(before),
            recorded: Some(recorded),
            told: Mutex::default(),
        }
    }

    /// Sets the state that the job continues from, if it is not that of config.json.
    pub fn adopt(&mut self, config: DatasetConfig) {
        if let Some(before) = &mut self.before {
            let versions = before.versions().clone();
            *before = Dataset::at(&self.build, config, versions);
        }
    }

    /// Locks the output of a new dataset and determines what is there.
    pub fn claim(
        output: &Path,
        job: &JobId,
        existing: OverwritePolicy,
        earlier: ResumePolicy,
        wait: LockPolicy,
    ) -> Result<(Self, Found), IngestError> {
        let output = &resolved(output)?;
        let mut locks = Vec::new();
        if !matches!(examine(output)?, State::Missing) {
            locks.push(FolderLock::acquire(output, wait)?);
        }
        // Inspect it again, since it can change until it is locked.
        let state = examine(output)?;
        let beside = replacement(output)?;
        let build = match &state {
            State::Complete(_) if JobFolder::of(output, job).path().is_dir() => output,
            State::Complete(_) if existing == OverwritePolicy::Refuse => {
                return Err(IngestError::Exists {
                    path: output.to_path_buf(),
                });
            }
            State::Complete(_) => &beside,
            // If folders cannot be swapped atomically, a run may have died between the two renames.
            State::Missing if JobFolder::of(&beside, job).path().is_dir() => &beside,
            _ => output,
        };
        let mut target = OutputDir {
            output: output.to_path_buf(),
            build: build.to_path_buf(),
            job: job.clone(),
            locks,
            before: None,
            recorded: None,
            told: Mutex::default(),
        };
        if target.locks.is_empty() || target.replaces() {
            create_folder(&target.build)?;
            target.locks.push(FolderLock::acquire(&target.build, wait)?);
        }
        let found = target.find(existing, earlier)?;
        Ok((target, found))
    }

    fn find(&self, existing: OverwritePolicy, earlier: ResumePolicy) -> Result<Found, IngestError> {
        match examine(&self.build)? {
            State::Missing | State::Empty => Ok(Found::Nothing),
            State::Complete(dataset) if self.job_folder().path().is_dir() => {
                Ok(Found::Complete(dataset))
            }
            // Left next to the output by another job's swap.
            State::Complete(_) => {
                self.discard()?;
                Ok(Found::Nothing)
            }
            State::Making(file) => {
                let resumes = earlier == ResumePolicy::Resume;
                let keeps = resumes && existing == OverwritePolicy::Refuse;
                match file.job(&self.build)? {
                    JobState::Known(checkpoint) if resumes && checkpoint.job == self.job => {
                        return Ok(Found::Unfinished(checkpoint));
                    }
                    JobState::Known(checkpoint) if keeps => return Err(self.other_job(&checkpoint)),
                    JobState::Broken(broken) if keeps => return Err(IngestError::broken(broken)),
                    _ => {}
                }
                self.discard()?;
                Ok(Found::Nothing)
            }
        }
    }

    /// Returns the error about another job's unfinished work.
    pub fn other_job(&self, checkpoint: &Checkpoint) -> IngestError {
        let inputs = checkpoint.plan.inputs.iter();
        let inputs = inputs.map(|input| input.path.display().to_string());
        IngestError::OtherJob {
            path: self.output.clone(),
            other: inputs.collect::<Vec<_>>().join(", "),
            started: checkpoint.started.clone(),
        }
    }

    /// Records the job's progress in config.json, next to the description of the dataset that is
    /// appended to.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), IngestError> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell(checkpoint, &mut told)
    }

    /// Like [`OutputDir::save`], unless that was done very recently.
    pub fn refresh(&self, checkpoint: &Checkpoint) -> Result<(), IngestError> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match *told {
            Some(last) if last.elapsed() < BETWEEN_SUMMARIES => Ok(()),
            _ => self.tell(checkpoint, &mut told),
        }
    }

    fn tell(&self, checkpoint: &Checkpoint, told: &mut Option<Instant>) -> Result<(), IngestError> {
        let file = ConfigFile {
            dataset: self.recorded.clone(),
            checkpoint: Some(JobSummary::of(checkpoint)),
            broken: None,
        };
        file.write(&self.build)?;
        *told = Some(Instant::now());
        Ok(())
    }

    /// Returns the dataset that is appended to, as it was before the job.
    pub fn before(&self) -> Option<&Dataset> {
        self.before.as_ref()
    }

    /// Returns the description of that dataset in config.json until the commit.
    pub fn recorded(&self) -> Option<&DatasetConfig> {
        self.recorded.as_ref()
    }

    /// Returns the job that holds the target.
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// Removes everything that jobs write to the build folder. The config goes first: without it,
    /// the folder is not taken for a dataset.
    pub fn discard(&self) -> Result<(), IngestError> {
        remove_file(&self.build.join(CONFIG))?;
        remove_file(&self.build.join(UNS))?;
        remove_file(&self.build.join(".uns.json.tmp"))?;
        for table in TableName::IN_COMMIT_ORDER {
            remove_folder(&self.build.join(table.folder()))?;
        }
        for entry in std::fs::read_dir(&self.build)
            .named("list", &self.build)?
            .flatten()
        {
            if entry.file_name().to_string_lossy().starts_with(JOB_FOLDER) {
                remove_folder(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Removes what this job has created, if nothing in it is worth keeping.
    pub fn abandon(
        &self,
        checkpoint: &Checkpoint,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<(), IngestError> {
        if let Some(recorded) = &self.recorded {
            give_up(&self.build, Some(&checkpoint.job), recorded.clone())?;
            return self.remove_orphans(&[], runtime);
        }
        self.discard()?;
        remove_file(&self.build.join(".config.json.tmp"))?;
        // Remove the folder only if it is empty; other files of the user are kept.
        let _ = std::fs::remove_dir(&self.build);
        Ok(())
    }

    /// Folder in which the dataset is built.
    pub fn folder(&self) -> &Path {
        &self.build
    }

    /// Returns a table of the dataset that is built.
    pub fn table(&self, table: TableName) -> TableFolder {
        TableFolder::new(self.build.join(table.folder()))
    }

    /// Folder of the job: its plan, records and counts. Its existence shows that the job has not
    /// released the dataset yet.
    pub fn job_folder(&self) -> JobFolder {
        JobFolder::of(&self.build, &self.job)
    }

    /// Removes the files of the job that neither a table nor a record names, whose fragments these are.
    pub fn remove_orphans(
        &self,
        kept: &[Fragment],
        runtime: &tokio::runtime::Runtime,
    ) -> Result<(), IngestError> {
        for table in TableName::IN_COMMIT_ORDER {
            let removed = runtime.block_on(self.table(table).remove_orphans(
                &self.job,
                kept,
                self.since(),
            ))?;
            if removed > 0 {
                tracing::info!(
                    "removed {removed} files of an interrupted run from {}",
                    table.folder()
                );
            }
        }
        Ok(())
    }

    /// Time at which this process locked the folder.
    pub fn since(&self) -> SystemTime {
        let locks = self.locks.iter().map(FolderLock::since);
        locks.max().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn replaces(&self) -> bool {
        self.build != self.output
    }

    /// Moves the complete dataset to the output's place and removes the one that was there.
    pub fn put_in_place(&mut self) -> Result<(), IngestError> {
        let beside = replacement(&self.output)?;
        if self.replaces() {
            crate::failpoint::reach("before-swap");
            if self.output.exists() {
                exchange_folders(&self.output, &self.build)?;
            } else {
                std::fs::rename(&self.build, &self.output).named("move into place", &self.build)?;
            }
            self.build = self.output.clone();
            crate::failpoint::reach("after-swap");
        }
        remove_folder(&beside)?;
        Ok(())
    }
}
