//! Checks the files of a dataset: everything referenced must exist, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use lance::Dataset as LanceTable;

use super::changed::{self, Changed};
use super::{Problem, Problems, VerifyError};
use crate::dataset::{
    CONFIG, ConfigFile, Dataset, JobSummary, UNS, hash_of_file, read_config, unnamed_hashes,
};
use crate::store::{Named, StoreError};
use crate::table::{TableFolder, TableName};

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
    let mut read = read_bytes(path);
    loop {
        let dataset = Dataset::open(path)?;
        let ConfigFile {
            checkpoint, broken, ..
        } = read_config(path)?;
        let mut found = Problems::default();
        let mut changed = Changed::nothing(dataset);
        // What a job is about to commit belongs to it.
        if checkpoint.is_none() && broken.is_none() {
            match changed::check(&changed.described, &mut found).await {
                Ok(found) => changed = found,
                // Tables that cannot be read are reported below.
                Err(error) => {
                    let message = crate::error::in_one_line(&error);
                    found.add(Problem::new("tables", message));
                }
            }
        }
        let Changed {
            described: dataset,
            undescribed,
            made,
        } = changed;
        let checked = check(&dataset, checkpoint.as_ref(), &made, &mut found).await;
        let again = read_bytes(path);
        // If the temporary file exists, somebody is about to replace config.json.
        let changes = again != read || path.join(NEXT_CONFIG).exists();
        looks += 1;
        if changes && looks < LOOKS && (checked.is_err() || !found.is_empty()) {
            std::thread::sleep(BETWEEN);
            read = read_bytes(path);
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

fn read_bytes(path: &Path) -> Option<Vec<u8>> {
    std::fs::read(path.join(CONFIG)).ok()
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
                let message = crate::error::in_one_line(&error);
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
    let fragments = table.fragments();
    for file in fragments.iter().flat_map(|fragment| &fragment.files) {
        if file.base_id.is_some() {
            continue;
        }
        let path = folder.join("data").join(&file.path);
        let place = format!("{}/data/{}", name.folder(), file.path);
        match (std::fs::metadata(&path), file.file_size_bytes.get()) {
            (Err(error), _) => problems.add(Problem::new(place, format!("it is missing: {error}"))),
            (Ok(found), Some(expected)) if found.len() != u64::from(expected) => {
                problems
                    .add(Problem::new(place, "its size in bytes").differing(expected, found.len()));
            }
            _ => {
                if let Err(error) = TableFolder::new(folder.to_path_buf()).check_file(file) {
                    problems.add(Problem::new(place, crate::error::in_one_line(&error)));
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
    check_uns(dataset, problems)?;
    // Those of a job in progress belong to it.
    if checkpoint.is_none() {
        for file in unnamed_hashes(dataset.path(), &config.cell_hashes)? {
            problems.add(Problem::new(
                file.display().to_string(),
                "nothing refers to it",
            ));
        }
    }
    Ok(())
}

/// Checks that uns.json is what was written.
fn check_uns(dataset: &Dataset, problems: &mut Problems) -> Result<(), VerifyError> {
    let Some(expected) = &dataset.config().uns_xxh3 else {
        return Ok(());
    };
    match hash_of_file(&dataset.path().join(UNS))? {
        None => problems.add(Problem::new(UNS, "it is missing")),
        Some(found) => problems.expect(
            UNS,
            "it is not what was written: the hash",
            expected.clone(),
            found,
        ),
    }
    Ok(())
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
