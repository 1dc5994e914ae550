//! Orphaned files, to which nothing refers.

use std::collections::HashSet;
use std::path::Path;
use std::time::SystemTime;

use lance::Dataset;
use lance_table::format::Fragment;

use super::commit::names_in;
use super::guard::guarded;
use super::manifest::is_manifest;
use super::{TableError, TableFolder};
use crate::plan::JobId;
use crate::store::StoreError;

/// Prefix of the names of files that Lance has not finished.
const HALF_WRITTEN: &str = ".tmp";

/// Whether a file was last modified before this time. Other programs that are writing to the table
/// without a lock must not be disturbed.
fn is_older(file: &Path, than: SystemTime) -> bool {
    let modified = std::fs::metadata(file).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified < than)
}

impl TableFolder {
    /// Lists files to which no version of the table refers: data that was never committed, and
    /// leftovers of killed commits.
    ///
    /// # Errors
    /// If the table, its versions or its folder cannot be read.
    pub async fn orphans(&self) -> Result<Vec<String>, TableError> {
        let Some(newest) = self.newest().await? else {
            return Ok(Vec::new());
        };
        let files_of = |table: &Dataset| -> HashSet<String> {
            let files = table
                .fragments()
                .iter()
                .flat_map(|fragment| &fragment.files);
            files.map(|file| file.path.clone()).collect()
        };
        let mut known = files_of(&newest);
        let mut orphans = names_in(&self.path().join("data"))?;
        orphans.retain(|name| !known.contains(name));
        if !orphans.is_empty() {
            // Older versions may have files that the newest does not have.
            let history = "read the history of";
            for version in guarded(history, self.path(), newest.versions()).await? {
                let older = newest.checkout_version(version.version);
                if let Ok(older) = guarded(history, self.path(), older).await {
                    known.extend(files_of(&older));
                }
            }
            orphans.retain(|name| !known.contains(name));
        }
        let mut names: Vec<String> = orphans.iter().map(|name| format!("data/{name}")).collect();
        let versions = names_in(&self.path().join("_versions"))?.into_iter();
        let unfinished = versions.filter(|name| !is_version_file(name));
        names.extend(unfinished.map(|name| format!("_versions/{name}")));
        let transactions = names_in(&self.path().join("_transactions"))?.into_iter();
        let half_written = transactions.filter(|name| name.starts_with(HALF_WRITTEN));
        names.extend(half_written.map(|name| format!("_transactions/{name}")));
        Ok(names)
    }

    /// Removes the orphaned files of a job: data files that are neither in the newest version nor
    /// in `kept`, and files that killed runs left unfinished `before` this run began.
    /// Returns the number of files removed.
    ///
    /// # Errors
    /// If the table cannot be read, or a file cannot be removed.
    pub async fn remove_orphans(
        &self,
        job: &JobId,
        kept: &[Fragment],
        before: SystemTime,
    ) -> Result<u64, TableError> {
        if !self.path().is_dir() {
            return Ok(0);
        }
        let newest = self.newest().await?;
        let versions: &[Fragment] = newest.as_ref().map_or(&[], |table| table.fragments());
        let data: HashSet<&str> = versions
            .iter()
            .chain(kept)
            .flat_map(|fragment| &fragment.files)
            .map(|file| file.path.as_str())
            .collect();
        let folder = self.path().join("data");
        let mut removed = remove_files(&folder, |name| {
            name.starts_with(job.short()) && !data.contains(name)
                || name.starts_with(HALF_WRITTEN) && is_older(&folder.join(name), before)
        })?;
        let transaction = newest
            .as_ref()
            .and_then(|table| table.manifest().transaction_file.clone());
        let transactions = self.path().join("_transactions");
        // Do not disturb other programs that are writing at the same time.
        removed += remove_files(&transactions, |name| {
            let path = transactions.join(name);
            if name.starts_with(HALF_WRITTEN) {
                is_older(&path, before)
            } else {
                transaction.as_deref() != Some(name) && names_job(&path, job)
            }
        })?;
        let versions = self.path().join("_versions");
        removed += remove_files(&versions, |name| {
            !is_version_file(name) && is_older(&versions.join(name), before)
        })?;
        Ok(removed)
    }
}

/// Whether a transaction file was written by a job: it contains the property in plain text.
fn names_job(transaction: &Path, job: &JobId) -> bool {
    let job = job.as_str().as_bytes();
    let bytes = std::fs::read(transaction).unwrap_or_default();
    bytes.windows(job.len()).any(|window| window == job)
}

fn is_version_file(name: &str) -> bool {
    is_manifest(name) || name == "latest_version_hint.json"
}

fn remove_files(folder: &Path, unwanted: impl Fn(&str) -> bool) -> Result<u64, StoreError> {
    let mut removed = 0;
    for name in names_in(folder)? {
        let path = folder.join(&name);
        if path.is_file() && unwanted(&name) {
            crate::store::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}
