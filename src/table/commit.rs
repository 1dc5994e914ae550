//! The folder of a table, and commits that make fragments visible in it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lance::Dataset;
use lance::dataset::CommitBuilder;
use lance::dataset::builder::DatasetBuilder;
use lance::dataset::transaction::{Operation, TransactionBuilder};
use lance_table::format::{DataFile, Fragment};

use super::blocks::checked;
use super::guard::guarded;
use super::{Layout, TableError, manifest};
use crate::plan::JobId;
use crate::store::{StoreError, sync_file, sync_folder};

/// Property of a Lance transaction that contains the job.
pub const JOB_PROPERTY: &str = "slaf.job";

/// Bytes of metadata and of indices that Lance caches for each open table; by default 1 GiB and 6
/// GiB.
const METADATA_CACHE: usize = 32 << 20;
const INDEX_CACHE: usize = 1 << 20;

/// The folder of one Lance table.
#[derive(Debug, Clone)]
pub struct TableFolder {
    path: PathBuf,
}

impl TableFolder {
    /// Creates a reference to the table in the folder `path`, which need not exist yet.
    pub fn new(path: PathBuf) -> Self {
        TableFolder { path }
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the URI of the folder in the form that Lance expects.
    ///
    /// # Errors
    /// If the path cannot be made absolute.
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

    /// Opens the newest version, if the table has one.
    ///
    /// # Errors
    /// If there are manifests, but the newest version cannot be opened.
    pub async fn newest(&self) -> Result<Option<Dataset>, TableError> {
        // Lance does not distinguish a table without versions from one whose files it cannot read.
        let manifests = self.manifests()?;
        if manifests.is_empty() {
            return Ok(None);
        }
        self.open(None).await.map(Some)
    }

    /// Lists the manifests, without the temporary files of killed commits.
    fn manifests(&self) -> Result<Vec<PathBuf>, TableError> {
        let folder = self.path.join("_versions");
        let mut names = names_in(&folder)?;
        names.retain(|name| manifest::is_manifest(name));
        Ok(names.iter().map(|name| folder.join(name)).collect())
    }

    /// Returns the path of the manifest of a version, if it exists.
    pub(crate) fn manifest(&self, version: u64) -> Result<Option<PathBuf>, TableError> {
        let manifests = self.manifests()?;
        Ok(manifest::of_version(&manifests, Some(version)).cloned())
    }

    /// Opens one version of the table.
    ///
    /// # Errors
    /// If the version does not exist or cannot be opened.
    pub async fn at(&self, version: u64) -> Result<Dataset, TableError> {
        self.open(Some(version)).await
    }

    /// Whether the version exists, or any version if `None`.
    pub(crate) fn has(&self, version: Option<u64>) -> Result<bool, TableError> {
        Ok(manifest::of_version(&self.manifests()?, version).is_some())
    }

    /// Opens a version of the table, or the newest.
    pub(crate) async fn open(&self, version: Option<u64>) -> Result<Dataset, TableError> {
        if let Some(manifest) = manifest::of_version(&self.manifests()?, version) {
            manifest::check(manifest)?;
        }
        let builder = DatasetBuilder::from_uri(self.uri()?)
            .with_metadata_cache_size_bytes(METADATA_CACHE)
            .with_index_cache_size_bytes(INDEX_CACHE);
        let builder = match version {
            Some(version) => builder.with_version(version),
            None => builder,
        };
        guarded("open", &self.path, builder.load()).await
    }

    /// Checks a data file of the table.
    ///
    /// # Errors
    /// [`TableError::Damaged`] if it is missing or not what was written.
    pub(crate) fn check_file(&self, file: &DataFile) -> Result<(), TableError> {
        checked(&self.path, file).map(|_| ())
    }

    /// Returns the version that a job committed, if any; it is durable when this returns. `before`
    /// is the version that the job continues if the table already existed.
    ///
    /// # Errors
    /// [`TableError::Taken`] if another job made the newest version.
    pub async fn landed(
        &self,
        job: &JobId,
        before: Option<u64>,
    ) -> Result<Option<u64>, TableError> {
        let Some(newest) = self.newest().await? else {
            return Ok(None);
        };
        let version = newest.version().version;
        if Some(version) == before {
            return Ok(None);
        }
        if self.owner_of(&newest).await?.as_deref() == Some(job.as_str()) {
            self.sync_versions()?;
            return Ok(Some(version));
        }
        // Another program may have committed after the job.
        if let Some(own) = before.map(|before| before + 1)
            && own < version
            && self.has(Some(own))?
            && self.owner_of(&self.at(own).await?).await?.as_deref() == Some(job.as_str())
        {
            return Ok(Some(own));
        }
        Err(TableError::Taken {
            path: self.path.clone(),
            version,
        })
    }

    /// Makes fragments visible, in this order, in one commit. Returns the new version, which is
    /// durable.
    ///
    /// # Errors
    /// [`TableError::Taken`] or [`TableError::Lance`] if another program has committed since; errors of
    /// writing.
    pub async fn commit(
        &self,
        job: &JobId,
        change: TableCommit<'_>,
        fragments: Vec<Fragment>,
    ) -> Result<u64, TableError> {
        let lance = |e| TableError::lance("commit", &self.path, e);
        let numbered = |fragments: Vec<Fragment>| {
            let numbered = (0u64..).zip(fragments);
            let fragment = numbered.map(|(id, fragment)| Fragment { id, ..fragment });
            fragment.collect()
        };
        let overwrite = |layout: &Layout, fragments| Operation::Overwrite {
            fragments: numbered(fragments),
            schema: layout.lance().clone(),
            config_upsert_values: None,
            initial_bases: None,
        };
        let uri = self.uri()?;
        let (builder, before, operation) = match change {
            TableCommit::Create(layout) => {
                let builder = CommitBuilder::new(uri.as_str());
                let builder = builder.with_storage_format(layout.files().to_selector());
                (builder, 0, overwrite(layout, fragments))
            }
            TableCommit::Replace(before, layout) => {
                let table = Arc::new(self.at(before).await?);
                let builder = CommitBuilder::new(table);
                let builder = builder.with_storage_format(layout.files().to_selector());
                (builder, before, overwrite(layout, fragments))
            }
            TableCommit::Append(before) => {
                let table = Arc::new(self.at(before).await?);
                (
                    CommitBuilder::new(table),
                    before,
                    Operation::Append { fragments },
                )
            }
            TableCommit::Restore(before, to) => {
                let table = Arc::new(self.at(before).await?);
                let operation = Operation::Restore { version: to };
                (CommitBuilder::new(table), before, operation)
            }
        };
        let owner = match change {
            TableCommit::Restore(..) => undone(job),
            _ => job.to_string(),
        };
        let properties = HashMap::from([(JOB_PROPERTY.to_string(), owner)]);
        let transaction = TransactionBuilder::new(before, operation)
            .transaction_properties(Some(properties.into()))
            .build();
        let committed = builder
            .enable_v2_manifest_paths(true)
            .with_skip_auto_cleanup(true)
            .with_max_retries(0)
            .execute(transaction)
            .await
            .map_err(lance)?;
        self.sync_versions()?;
        let version = committed.version().version;
        if version != before + 1 {
            // Another program has committed since the last check.
            return Err(TableError::Taken {
                path: self.path.clone(),
                version: version - 1,
            });
        }
        Ok(version)
    }

    /// Reverts what a job committed after the version `before`. Returns the version that now has
    /// the contents of `before`.
    ///
    /// # Errors
    /// [`TableError::Taken`] if another program has committed since.
    pub async fn undo(&self, job: &JobId, before: u64) -> Result<u64, TableError> {
        let Some(newest) = self.newest().await? else {
            return Ok(before);
        };
        let version = newest.version().version;
        if version == before {
            return Ok(before);
        }
        match self.owner_of(&newest).await? {
            Some(owner) if owner == undone(job) => Ok(version),
            Some(owner) if owner == job.as_str() => {
                // The version before the job, whoever made it.
                let change = TableCommit::Restore(version, version - 1);
                self.commit(job, change, Vec::new()).await
            }
            // Another program committed later, which matters only if the job had committed before
            // it.
            _ if !self.has(Some(before + 1))? => Ok(before),
            _ => match self.owner_of(&self.at(before + 1).await?).await? {
                Some(owner) if owner == job.as_str() => Err(TableError::Taken {
                    path: self.path.clone(),
                    version,
                }),
                _ => Ok(before),
            },
        }
    }

    /// Returns the job that made a version of the table.
    async fn owner_of(&self, table: &Dataset) -> Result<Option<String>, TableError> {
        let transaction = table.read_transaction();
        let transaction = guarded("read the history of", &self.path, transaction).await?;
        let properties = transaction.and_then(|transaction| transaction.transaction_properties);
        Ok(properties.and_then(|properties| properties.get(JOB_PROPERTY).cloned()))
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
}

/// Returns the name of the transaction that reverts a job.
fn undone(job: &JobId) -> String {
    format!("undo {job}")
}

/// A change of a table.
#[derive(Debug, Clone, Copy)]
pub enum TableCommit<'a> {
    /// Create the table.
    Create(&'a Layout),
    /// Append rows to this version.
    Append(u64),
    /// Replace all rows of this version.
    Replace(u64, &'a Layout),
    /// Restore an older version (second) from this version (first).
    Restore(u64, u64),
}

/// Returns the sorted names of the entries of a folder; none if the folder does not exist.
pub(super) fn names_in(folder: &Path) -> Result<Vec<String>, StoreError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let io = |e| StoreError::from_io("list", folder, e);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let name = entry.map_err(io)?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
