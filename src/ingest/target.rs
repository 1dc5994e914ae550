//! Where a job writes, and what an earlier run left there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::IngestError;
use super::append::give_up;
use crate::dataset::{
    CONFIG, Checkpoint, ConfigFile, Dataset, DatasetConfig, JOB_FOLDER, JobFolder, JobState,
    JobSummary, ShardRecord, UNS,
};
use crate::plan::JobId;
use crate::store::{
    FolderLock, Named, Wait, create_folder, exchange_folders, remove_file, remove_folder,
};
use crate::table::{TableFolder, TableName};

/// What to do about a complete dataset in the output's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    Refuse,
    /// Build the new one beside it and swap them when it is complete.
    Replace,
}

/// What to do about the unfinished work of an earlier run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earlier {
    Resume,
    Discard,
}

/// The time between two looks at how far a job is, at least.
const BETWEEN_SUMMARIES: Duration = Duration::from_secs(1);

/// A folder that this process alone writes, until the target is dropped.
#[derive(Debug)]
pub(super) struct Target {
    output: PathBuf,
    build: PathBuf,
    job: JobId,
    locks: Vec<FolderLock>,
    /// The dataset that is appended to, as it was before.
    before: Option<Dataset>,
    /// What config.json says of it until the commit.
    recorded: Option<DatasetConfig>,
    /// When config.json last told how far the job is.
    told: Mutex<Option<Instant>>,
}

/// How far an earlier run of the job got.
#[derive(Debug)]
pub(super) enum Found {
    Nothing,
    Unfinished(Box<Checkpoint>),
    /// The dataset is complete; at most clearing up is left.
    Complete(Box<DatasetConfig>),
}

enum State {
    Missing,
    Empty,
    /// Made by the job of which the file tells.
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
            // A run that died before its first record leaves at most this.
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

/// Bytes of a name at most that a folder gets beside the output; file systems have 255.
const LONGEST_NAME: usize = 200;

/// The folder in which a replacement of `output` is built: beside it, so that the two can be
/// swapped.
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

/// The folder that an output is, where it is a link: what is behind a link is replaced, not the link.
fn resolved(output: &Path) -> Result<PathBuf, IngestError> {
    if output.is_symlink() && output.exists() {
        return Ok(std::fs::canonicalize(output).named("resolve", output)?);
    }
    Ok(output.to_path_buf())
}

/// Says early, before inputs are read, that an output cannot be used.
pub fn check_output(output: &Path, existing: Existing) -> Result<(), IngestError> {
    match examine(output)? {
        State::Complete(_) if existing == Existing::Refuse && !has_job_folder(output)? => {
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

impl Target {
    /// A dataset whose lock is held.
    pub fn holding(
        folder: PathBuf,
        job: JobId,
        lock: FolderLock,
        before: Dataset,
        recorded: DatasetConfig,
    ) -> Self {
        Target {
            output: folder.clone(),
            build: folder,
            job,
            locks: vec![lock],
            before: Some(before),
            recorded: Some(recorded),
            told: Mutex::default(),
        }
    }

    /// The job continues this, which is not what config.json says.
    pub fn adopt(&mut self, config: DatasetConfig) {
        if let Some(before) = &mut self.before {
            let versions = before.versions().clone();
            *before = Dataset::at(&self.build, config, versions);
        }
    }

    /// Takes hold of the output of a new dataset and finds out what is there.
    pub fn claim(
        output: &Path,
        job: &JobId,
        existing: Existing,
        earlier: Earlier,
        wait: Wait,
    ) -> Result<(Self, Found), IngestError> {
        let output = &resolved(output)?;
        let mut locks = Vec::new();
        if !matches!(examine(output)?, State::Missing) {
            locks.push(FolderLock::acquire(output, wait)?);
        }
        // Looked at again: only what is locked stays as it is.
        let state = examine(output)?;
        let beside = replacement(output)?;
        let build = match &state {
            State::Complete(_) if JobFolder::of(output, job).path().is_dir() => output,
            State::Complete(_) if existing == Existing::Refuse => {
                return Err(IngestError::Exists {
                    path: output.to_path_buf(),
                });
            }
            State::Complete(_) => &beside,
            // Where folders cannot be swapped in one step, a run may have died between the two.
            State::Missing if JobFolder::of(&beside, job).path().is_dir() => &beside,
            _ => output,
        };
        let mut target = Target {
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

    fn find(&self, existing: Existing, earlier: Earlier) -> Result<Found, IngestError> {
        match examine(&self.build)? {
            State::Missing | State::Empty => Ok(Found::Nothing),
            State::Complete(dataset) if self.job_folder().path().is_dir() => {
                Ok(Found::Complete(dataset))
            }
            // What a swap of another job left beside the output.
            State::Complete(_) => {
                self.discard()?;
                Ok(Found::Nothing)
            }
            State::Making(file) => {
                let resumes = earlier == Earlier::Resume;
                let keeps = resumes && existing == Existing::Refuse;
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

    /// The refusal of what another job has not finished.
    pub fn other_job(&self, checkpoint: &Checkpoint) -> IngestError {
        let inputs = checkpoint.plan.inputs.iter();
        let inputs = inputs.map(|input| input.path.display().to_string());
        IngestError::OtherJob {
            path: self.output.clone(),
            other: inputs.collect::<Vec<_>>().join(", "),
            started: checkpoint.started.clone(),
        }
    }

    /// Tells how far the job is, beside the dataset that is appended to.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), IngestError> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.tell(checkpoint, &mut told)
    }

    /// Likewise, unless that was done a moment ago.
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

    /// The dataset that is appended to, as it was before the job.
    pub fn before(&self) -> Option<&Dataset> {
        self.before.as_ref()
    }

    /// What config.json says of that dataset until the commit.
    pub fn recorded(&self) -> Option<&DatasetConfig> {
        self.recorded.as_ref()
    }

    /// The job that has hold of the target.
    pub fn job(&self) -> &JobId {
        &self.job
    }

    /// Removes everything that jobs write into the build folder. The config goes first: without it
    /// nothing looks like a dataset.
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

    /// Removes what this job began, where nothing worth keeping is in it.
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
        // Only an empty folder goes: whatever else a user put there stays.
        let _ = std::fs::remove_dir(&self.build);
        Ok(())
    }

    /// The folder in which the dataset is built.
    pub fn folder(&self) -> &Path {
        &self.build
    }

    /// A table of the dataset that is built.
    pub fn table(&self, table: TableName) -> TableFolder {
        TableFolder::new(self.build.join(table.folder()))
    }

    /// The job's own folder: its plan, records and counts, and the sign that the job has not let go of
    /// the dataset yet.
    pub fn job_folder(&self) -> JobFolder {
        JobFolder::of(&self.build, &self.job)
    }

    /// Removes the files of the job that neither a table nor a record names.
    pub fn remove_orphans(
        &self,
        records: &[ShardRecord],
        runtime: &tokio::runtime::Runtime,
    ) -> Result<(), IngestError> {
        let kept: Vec<_> = records
            .iter()
            .flat_map(|record| record.fragments.clone())
            .collect();
        for table in TableName::IN_COMMIT_ORDER {
            let removed = runtime.block_on(self.table(table).remove_orphans(
                &self.job,
                &kept,
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

    /// When this process took hold of the folder.
    pub fn since(&self) -> SystemTime {
        let locks = self.locks.iter().map(FolderLock::since);
        locks.max().unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn replaces(&self) -> bool {
        self.build != self.output
    }

    /// Puts the complete dataset in the output's place and removes the one that was there.
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
