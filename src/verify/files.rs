//! Checks the files of a dataset: everything referenced must exist, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use lance::Dataset as LanceTable;

use super::changed::{self, Changed};
use super::{Problem, Problems, VerifyError};
use crate::dataset::{CONFIG, ConfigFile, Dataset, JobSummary, UNS, hash_of_file, unnamed_hashes};
use crate::remedy::Remedy;
use crate::store::{Named, StoreError};
use crate::table::{MissingFile, TableFolder, TableName, look_at_files};

/// The tables that can be opened, in the version that config.json describes.
pub(super) type Tables = BTreeMap<TableName, LanceTable>;

/// Maximum number of attempts on a dataset that keeps changing, and the time between them.
const LOOKS: usize = 40;
const BETWEEN: Duration = Duration::from_millis(25);

/// A consistent view of a dataset, whatever an append does in the meantime.
pub(super) struct Snapshot {
    /// The dataset.
    pub dataset: Dataset,
    /// Its tables.
    pub tables: Tables,
    /// Descriptions of what other programs have added since.
    pub undescribed: Vec<String>,
}

/// Opens a dataset and checks its files. Before problems are reported, config.json is read again,
/// since an append may have started or ended after it was read.
pub(super) async fn snapshot(
    path: &Path,
    problems: &mut Problems,
) -> Result<Snapshot, VerifyError> {
    let mut looks = 0;
    let mut read = config_hash(path);
    loop {
        let (dataset, job) = Dataset::open_with_job(path)?;
        let ConfigFile {
            checkpoint, broken, ..
        } = job;
        let mut found = Problems::default();
        let mut changed = Changed::nothing(dataset);
        // What a job is about to commit belongs to it.
        if checkpoint.is_none() && broken.is_none() {
            match changed::check(&changed.described, &mut found).await {
                Ok(found) => changed = found,
                // Tables that cannot be read are reported below.
                Err(error) => {
                    let message = crate::failure::in_one_line(&error);
                    found.add(Problem::new("tables", message));
                }
            }
        }
        let Changed {
            described: dataset,
            mut undescribed,
            made,
        } = changed;
        undescribed.extend(check_uns(&dataset, &mut found)?);
        let checked = check(&dataset, checkpoint.as_ref(), &made, &mut found).await;
        let again = config_hash(path);
        // If the temporary file exists, somebody is about to replace config.json.
        let changes = again != read || path.join(NEXT_CONFIG).exists();
        looks += 1;
        if changes && looks < LOOKS && (checked.is_err() || !found.is_empty()) {
            std::thread::sleep(BETWEEN);
            read = config_hash(path);
            continue;
        }
        problems.extend(found);
        return Ok(Snapshot {
            tables: checked?,
            dataset,
            undescribed,
        });
    }
}

/// Temporary file that replaces config.json atomically.
const NEXT_CONFIG: &str = ".config.json.tmp";

/// Hash of config.json, which is large if there are many categories.
fn config_hash(path: &Path) -> Option<String> {
    hash_of_file(&path.join(CONFIG)).ok().flatten()
}

/// Opens the tables and checks their files.
async fn check(
    dataset: &Dataset,
    checkpoint: Option<&JobSummary>,
    made: &[TableName],
    problems: &mut Problems,
) -> Result<Tables, VerifyError> {
    let mut tables = Tables::new();
    for name in [TableName::Expression, TableName::Genes, TableName::Cells] {
        if !dataset.config().tables.contains_key(name.key()) {
            problems.add(Problem::new(
                CONFIG,
                format!("the table {} is not named", name.key()),
            ));
        }
    }
    for name in dataset.tables() {
        match dataset.table(name).await {
            Ok(table) => {
                tables.insert(name, table);
            }
            Err(error) => {
                let message = crate::failure::in_one_line(&error);
                problems.add(Problem::new(name.key(), message));
            }
        }
    }
    for (&name, table) in &tables {
        let folder = dataset.path().join(name.folder());
        check_data_files(name, table, &folder, problems);
        check_versions(dataset, name, &folder, checkpoint, problems).await?;
    }
    check_folder(dataset, checkpoint, made, problems)?;
    Ok(tables)
}

fn check_data_files(name: TableName, table: &LanceTable, folder: &Path, problems: &mut Problems) {
    for (_, file, absence) in look_at_files(table, folder) {
        let place = format!("{}/data/{}", name.folder(), file.path);
        match absence {
            Some(MissingFile::Missing(error)) => {
                problems.add(Problem::new(place, format!("it is missing: {error}")));
            }
            Some(MissingFile::Length(expected, found)) => {
                problems.add(Problem::new(place, "its size in bytes").differing(expected, found));
            }
            None => {
                if let Err(error) = TableFolder::new(folder.to_path_buf()).check_file(file) {
                    problems.add(Problem::new(place, crate::failure::in_one_line(&error)));
                }
            }
        }
    }
}

/// Checks that there are no files besides those of the versions, unless an append is in progress.
async fn check_versions(
    dataset: &Dataset,
    name: TableName,
    folder: &Path,
    checkpoint: Option<&JobSummary>,
    problems: &mut Problems,
) -> Result<(), VerifyError> {
    let config = dataset.config();
    if !config.is_described() {
        return Ok(());
    }
    // Those of a job in progress belong to it.
    if checkpoint.is_none() {
        for file in TableFolder::new(folder.to_path_buf()).orphans().await? {
            let place = format!("{}/{file}", name.folder());
            problems.add(Problem::new(place, "nothing refers to it"));
        }
    }
    Ok(())
}

/// Checks that the dataset contains no unreferenced files.
fn check_folder(
    dataset: &Dataset,
    checkpoint: Option<&JobSummary>,
    made: &[TableName],
    problems: &mut Problems,
) -> Result<(), VerifyError> {
    let config = dataset.config();
    let mut tables: BTreeSet<String> = config.tables.values().cloned().collect();
    tables.extend(made.iter().map(|name| name.folder().to_string()));
    // An append may be creating other tables.
    if checkpoint.is_some() {
        let all = TableName::IN_COMMIT_ORDER.iter();
        tables.extend(all.map(|name| name.folder().to_string()));
    }
    let last = config.jobs.last();
    for name in list(dataset.path())? {
        let known = tables.contains(&name) || name == CONFIG || name == UNS;
        // Files that a job in progress, finished just now, or killed will clean up itself.
        let of_last = last.is_some_and(|job| name.strip_prefix(".job-") == Some(job.short()));
        let of_job = of_last || (checkpoint.is_some() && name.starts_with('.'));
        if !known && !of_job {
            problems.add(Problem::new(name, "nothing refers to it"));
        }
    }
    // Those of a job that is under way are its own, and of one that has to tidy up still.
    let untidy = last.filter(|job| {
        dataset
            .path()
            .join(format!(".job-{}", job.short()))
            .is_dir()
    });
    let is_of_job = |file: &Path| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        untidy.is_some_and(|job| name.starts_with(job.short()))
    };
    if checkpoint.is_none() {
        let unnamed = unnamed_hashes(dataset.path(), &config.cell_hashes)?;
        for file in unnamed.into_iter().filter(|file| !is_of_job(file)) {
            problems.add(Problem::new(
                file.display().to_string(),
                "nothing refers to it",
            ));
        }
    }
    Ok(())
}

/// What is neither a table nor a matrix is what was written. Returns what others added, in words.
fn check_uns(dataset: &Dataset, problems: &mut Problems) -> Result<Option<String>, VerifyError> {
    let Some(change) = dataset.uns_change()? else {
        return Ok(None);
    };
    match &change.problem {
        None => Ok(Some(change.to_string())),
        Some(problem) => {
            let accept = Remedy::AcceptChanges {
                dataset: dataset.path().to_path_buf(),
            };
            let what = format!("{problem}; {accept}");
            problems.add(Problem::new(UNS, what));
            Ok(None)
        }
    }
}

fn list(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).named("list", folder)? {
        let entry = entry.named("list", folder)?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
