//! Opens a dataset in a consistent state.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{ConfigFile, DatasetConfig, DatasetError};
use crate::table::{MissingFile, TableError, TableFolder, TableName, look_at_files};

/// A complete dataset: config.json and the versions of the tables that it describes.
#[derive(Debug, Clone)]
pub struct Dataset {
    path: PathBuf,
    config: DatasetConfig,
    /// Versions that are opened; for tables that are not listed, the newest.
    versions: BTreeMap<String, u64>,
}

impl Dataset {
    /// Opens the dataset in a folder.
    ///
    /// # Errors
    /// [`DatasetError::NotADataset`]; [`DatasetError::InProgress`] if it is incomplete.
    ///
    /// ```no_run
    /// let dataset = slaf::dataset::Dataset::open("cells.slaf".as_ref())?;
    /// let [cells, genes] = dataset.config().array_shape;
    /// println!("{cells} cells, {genes} genes");
    /// # Ok::<(), slaf::dataset::DatasetError>(())
    /// ```
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        Ok(Self::open_with_job(path)?.0)
    }

    /// Opens a dataset like [`Dataset::open`]; also returns what config.json says about a job in progress.
    pub(crate) fn open_with_job(path: &Path) -> Result<(Self, ConfigFile), DatasetError> {
        let mut file = read_config(path)?;
        match file.dataset.take() {
            Some(config) => Ok((Dataset::described(path, config), file)),
            None => Err(DatasetError::InProgress {
                path: path.to_path_buf(),
            }),
        }
    }

    /// Creates a reference to the dataset in a folder with this config.json.
    pub(super) fn described(path: &Path, config: DatasetConfig) -> Self {
        let versions = if config.is_described() {
            config.versions.clone()
        } else {
            BTreeMap::new()
        };
        Dataset::at(path, config, versions)
    }

    /// Creates a reference to the dataset in a folder, with these versions of its tables.
    pub fn at(path: &Path, config: DatasetConfig, versions: BTreeMap<String, u64>) -> Self {
        Dataset {
            path: path.to_path_buf(),
            config,
            versions,
        }
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Versions of its tables, as far as known.
    pub fn versions(&self) -> &BTreeMap<String, u64> {
        &self.versions
    }

    /// Contents of config.json.
    pub fn config(&self) -> &DatasetConfig {
        &self.config
    }

    /// Tables of the dataset.
    pub fn tables(&self) -> impl Iterator<Item = TableName> + '_ {
        let has = |table: &TableName| self.config.tables.contains_key(table.key());
        TableName::IN_COMMIT_ORDER.into_iter().filter(has)
    }

    /// Opens a table in the version that config.json describes, so that incomplete appends are not
    /// visible. If another program wrote last, no version is known, and the newest is opened.
    ///
    /// # Errors
    /// [`DatasetError::MissingVersion`] if the version does not exist or cannot be opened.
    pub async fn table(&self, table: TableName) -> Result<lance::Dataset, DatasetError> {
        let folder = self
            .config
            .tables
            .get(table.key())
            .map_or(table.folder(), String::as_str);
        let path = self.path.join(folder);
        let version = self.versions.get(table.key()).copied();
        let folder = TableFolder::new(path.clone());
        let missing = |source| DatasetError::MissingVersion {
            path: path.clone(),
            version: version.unwrap_or(0),
            source: Box::new(source),
        };
        if !folder.has(version)? {
            let place = path.display().to_string();
            return Err(missing(lance::Error::not_found(place)));
        }
        match folder.open(version).await {
            Err(TableError::Lance { source, .. }) => Err(missing(*source)),
            other => Ok(other?),
        }
    }

    /// Looks at the data files of all tables, without reading them: whether they are there, in the
    /// length that their table says.
    ///
    /// # Errors
    /// [`DatasetError::DataFile`] for the first that is not.
    pub async fn check_files(&self) -> Result<(), DatasetError> {
        for name in self.tables() {
            let table = self.table(name).await?;
            let folder = self.path.join(name.folder());
            let mut files = look_at_files(&table, &folder);
            let absent = files.find_map(|(path, _, absence)| Some((path, absence?)));
            if let Some((path, absence)) = absent {
                let what = match absence {
                    MissingFile::Missing(error) => format!("is missing ({error})"),
                    MissingFile::Length(expected, found) => {
                        format!("has {found} bytes instead of {expected}")
                    }
                };
                return Err(DatasetError::DataFile { path, what });
            }
        }
        Ok(())
    }
}

/// Reads the config of a folder that should contain a dataset.
pub(super) fn read_config(path: &Path) -> Result<ConfigFile, DatasetError> {
    let not = |why: &str| DatasetError::NotADataset {
        path: path.to_path_buf(),
        why: why.into(),
    };
    if !path.exists() {
        return Err(not("it does not exist"));
    }
    if !path.is_dir() {
        return Err(not("it is a file, not a folder"));
    }
    ConfigFile::read(path)?.ok_or_else(|| not("it has no config.json"))
}
