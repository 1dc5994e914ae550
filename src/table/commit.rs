//! The folder of a table, and making fragments visible in it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::datatypes::Schema;
use lance::Dataset;
use lance::dataset::CommitBuilder;
use lance::dataset::transaction::{Operation, TransactionBuilder};
use lance_file::version::LanceFileVersion;
use lance_table::format::Fragment;

use super::TableError;
use crate::plan::JobId;
use crate::store::{StoreError, sync_file, sync_folder};

/// The property of a Lance transaction that names the job.
pub const JOB_PROPERTY: &str = "slaf.job";

/// The folder of one Lance table.
#[derive(Debug, Clone)]
pub struct TableFolder {
    path: PathBuf,
}

impl TableFolder {
    /// The table in the folder `path`, which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        TableFolder { path }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder as Lance takes it.
    pub fn uri(&self) -> Result<String, TableError> {
        let absolute = std::path::absolute(&self.path)
            .map_err(|source| StoreError::from_io("resolve", &self.path, source))?;
        match absolute.to_str() {
            Some(uri) => Ok(uri.to_string()),
            None => Err(StoreError::from_io(
                "use",
                &self.path,
                std::io::Error::other("the path is not valid UTF-8, which Lance needs"),
            )
            .into()),
        }
    }

    /// The newest version, if the table has one.
    pub async fn newest(&self) -> Result<Option<Dataset>, TableError> {
        // Lance cannot tell a table without versions from one whose files it cannot read.
        if !self.path.join("_versions").is_dir() || self.manifests()?.is_empty() {
            return Ok(None);
        }
        let opened = Dataset::open(&self.uri()?).await;
        opened
            .map(Some)
            .map_err(|e| TableError::lance("open", &self.path, e))
    }

    /// The manifests, without the temporary files of killed commits.
    fn manifests(&self) -> Result<Vec<PathBuf>, TableError> {
        let folder = self.path.join("_versions");
        let io = |e| StoreError::from_io("list", &folder, e);
        let mut manifests = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if is_manifest(&name) {
                manifests.push(path);
            }
        }
        Ok(manifests)
    }

    /// The version that a job committed, if the table exists; durable when this returns.
    ///
    /// # Errors
    /// [`TableError::Taken`] where another job made the table.
    pub async fn landed(&self, job: &JobId) -> Result<Option<u64>, TableError> {
        match self.newest().await? {
            Some(table) => self.version_of(&table, job).await.map(Some),
            None => Ok(None),
        }
    }

    /// Creates the table, which does not exist yet, from these fragments in this order. Returns
    /// the version, which is durable.
    pub async fn create(
        &self,
        job: &JobId,
        schema: &Schema,
        fragments: Vec<Fragment>,
    ) -> Result<u64, TableError> {
        let lance = |e| TableError::lance("commit", &self.path, e);
        let schema = lance_core::datatypes::Schema::try_from(schema).map_err(lance)?;
        let fragments = (0u64..)
            .zip(fragments)
            .map(|(id, fragment)| Fragment { id, ..fragment })
            .collect();
        let operation = Operation::Overwrite {
            fragments,
            schema,
            config_upsert_values: None,
            initial_bases: None,
        };
        let properties = HashMap::from([(JOB_PROPERTY.to_string(), job.to_string())]);
        let transaction = TransactionBuilder::new(0, operation)
            .transaction_properties(Some(properties.into()))
            .build();
        let committed = CommitBuilder::new(self.uri()?.as_str())
            .with_storage_format(LanceFileVersion::V2_1)
            .enable_v2_manifest_paths(true)
            .with_skip_auto_cleanup(true)
            .execute(transaction)
            .await
            .map_err(lance)?;
        self.sync_versions()?;
        Ok(committed.version().version)
    }

    /// The version of a table that exists, if this job made it.
    async fn version_of(&self, table: &Dataset, job: &JobId) -> Result<u64, TableError> {
        let transaction = table
            .read_transaction()
            .await
            .map_err(|e| TableError::lance("read the history of", &self.path, e))?;
        let properties = transaction.and_then(|transaction| transaction.transaction_properties);
        let owner = properties
            .as_ref()
            .and_then(|properties| properties.get(JOB_PROPERTY));
        let version = table.version().version;
        if owner.map(String::as_str) == Some(job.as_str()) {
            self.sync_versions()?;
            Ok(version)
        } else {
            Err(TableError::Taken {
                path: self.path.clone(),
                version,
            })
        }
    }

    fn sync_versions(&self) -> Result<(), TableError> {
        for manifest in self.manifests()? {
            sync_file(&manifest)?;
        }
        for folder in ["_versions", "_transactions"] {
            let folder = self.path.join(folder);
            if folder.is_dir() {
                sync_folder(&folder)?;
            }
        }
        sync_folder(&self.path)?;
        Ok(())
    }

    /// Files that no version of the table refers to: data that was never committed, and what killed
    /// commits left behind.
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
        let mut orphans = files_except(&self.path.join("data"), &known)?;
        if !orphans.is_empty() {
            // Older versions may have had files that the newest no longer has.
            let lance = |e| TableError::lance("read the history of", &self.path, e);
            for version in newest.versions().await.map_err(lance)? {
                if let Ok(older) = newest.checkout_version(version.version).await {
                    known.extend(files_of(&older));
                }
            }
            orphans.retain(|name| !known.contains(name));
        }
        let mut names: Vec<String> = orphans.iter().map(|name| format!("data/{name}")).collect();
        let unfinished = |name: &String| !is_version_file(name);
        let versions = files_except(&self.path.join("_versions"), &HashSet::new())?;
        let versions = versions.iter().filter(|name| unfinished(name));
        names.extend(versions.map(|name| format!("_versions/{name}")));
        Ok(names)
    }

    /// Removes the files of a table that only one job has ever written and nothing refers to: data
    /// files that no version and none of `kept` names, and what killed commits left behind.
    pub async fn remove_orphans(&self, kept: &[Fragment]) -> Result<u64, TableError> {
        if !self.path.is_dir() {
            return Ok(0);
        }
        let newest = self.newest().await?;
        let versions: &[Fragment] = newest.as_ref().map_or(&[], |table| table.fragments());
        let data: Vec<&str> = versions
            .iter()
            .chain(kept)
            .flat_map(|fragment| &fragment.files)
            .map(|file| file.path.as_str())
            .collect();
        let transaction = newest
            .as_ref()
            .and_then(|table| table.manifest().transaction_file.clone());
        let mut removed = remove_files(&self.path.join("data"), |name| !data.contains(&name))?;
        removed += remove_files(&self.path.join("_transactions"), |name| {
            transaction.as_deref() != Some(name)
        })?;
        removed += remove_files(&self.path.join("_versions"), |name| !is_version_file(name))?;
        Ok(removed)
    }
}

/// Temporary files of killed commits are called `.tmp_…` or, with a number, `….manifest#1`.
fn is_manifest(name: &str) -> bool {
    name.ends_with(".manifest") && !name.starts_with('.')
}

fn is_version_file(name: &str) -> bool {
    is_manifest(name) || name == "latest_version_hint.json"
}

/// The names of the files in a folder, without some.
fn files_except(folder: &Path, known: &HashSet<String>) -> Result<Vec<String>, StoreError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let io = |e| StoreError::from_io("list", folder, e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let name = entry
            .map_err(io)?
            .file_name()
            .to_string_lossy()
            .into_owned();
        if !known.contains(&name) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn remove_files(folder: &Path, unwanted: impl Fn(&str) -> bool) -> Result<u64, StoreError> {
    if !folder.is_dir() {
        return Ok(0);
    }
    let io = |e| StoreError::from_io("list", folder, e);
    let mut removed = 0;
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_file() && unwanted(&name) {
            crate::store::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}
