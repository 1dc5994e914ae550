//! Reads written datasets.

use std::collections::BTreeSet;
use std::path::Path;

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use slaf::dataset::Dataset;
use slaf::table::TableName;

pub type Triplets = Vec<(u64, u64, f64)>;

/// Runs a future to completion.
pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

/// Reads a whole table.
pub fn table(dataset: &Path, name: TableName) -> RecordBatch {
    block_on(async {
        let dataset = Dataset::open(dataset).unwrap();
        let table = dataset.table(name).await.unwrap();
        table.scan().try_into_batch().await.unwrap()
    })
}

/// Returns the number of rows of each fragment of a table.
pub fn fragments(dataset: &Path, name: TableName) -> Vec<usize> {
    block_on(async {
        let table = Dataset::open(dataset).unwrap().table(name).await.unwrap();
        table
            .fragments()
            .iter()
            .map(|fragment| fragment.physical_rows.unwrap())
            .collect()
    })
}

pub fn integers(column: &ArrayRef) -> Vec<i64> {
    let column = cast(column, &DataType::Int64).unwrap();
    column.as_primitive::<Int64Type>().values().to_vec()
}

pub fn floats(column: &ArrayRef) -> Vec<f64> {
    let column = cast(column, &DataType::Float64).unwrap();
    column.as_primitive::<Float64Type>().values().to_vec()
}

pub fn texts(column: &ArrayRef) -> Vec<Option<String>> {
    column
        .as_string::<i32>()
        .iter()
        .map(|text| text.map(str::to_string))
        .collect()
}

/// Returns the rows of the expression table, in order.
pub fn triplets(dataset: &Path) -> Triplets {
    rows(&table(dataset, TableName::Expression))
}

/// Converts rows of the expression table to numbers.
pub fn rows(batch: &RecordBatch) -> Triplets {
    let column = |name: &str| batch.column_by_name(name).unwrap();
    let cells = integers(column("cell_integer_id"));
    let genes = integers(column("gene_integer_id"));
    let values = floats(column("value"));
    let ids = cells.iter().zip(&genes);
    ids.zip(values)
        .map(|((&cell, &gene), value)| (cell as u64, gene as u64, value))
        .collect()
}

/// Whether two lists of rows are equal, with NaN equal to NaN.
pub fn same(left: &[(u64, u64, f64)], right: &[(u64, u64, f64)]) -> bool {
    let equal = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
    left.len() == right.len()
        && left
            .iter()
            .zip(right)
            .all(|(a, b)| a.0 == b.0 && a.1 == b.1 && equal(a.2, b.2))
}

/// Everything in a dataset except for file names and times: equal for equal datasets.
#[derive(Debug, PartialEq)]
pub struct Contents {
    tables: Vec<(TableName, RecordBatch, Vec<usize>)>,
    config: serde_json::Value,
    uns: Option<String>,
}

impl Contents {
    pub fn of(path: &Path) -> Self {
        let text = std::fs::read_to_string(path.join("config.json")).unwrap();
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
        for time in ["created_at", "described_at", "last_updated"] {
            if config.get(time).is_some() {
                config[time] = "".into();
            }
        }
        let tables = tables_of(path).into_iter();
        Contents {
            tables: tables
                .map(|name| (name, table(path, name), fragments(path, name)))
                .collect(),
            config,
            uns: std::fs::read_to_string(path.join("uns.json")).ok(),
        }
    }
}

impl Contents {
    /// Removes what config.json says about a job.
    pub fn without_checkpoint(mut self) -> Self {
        if let Some(config) = self.config.as_object_mut() {
            config.remove("checkpoint");
        }
        self
    }
}

/// Returns the tables of a dataset.
pub fn tables_of(dataset: &Path) -> Vec<TableName> {
    Dataset::open(dataset).unwrap().tables().collect()
}

/// Checks that a finished dataset has no unreferenced files, and that there are none next to it.
pub fn assert_no_orphans(dataset: &Path) {
    let mut expected = BTreeSet::from(["config.json".to_string()]);
    let uns = "uns.json".to_string();
    expected.extend(Some(uns).filter(|uns| dataset.join(uns).exists()));
    for hashes in &Dataset::open(dataset).unwrap().config().cell_hashes {
        expected.insert(hashes.file().display().to_string());
        let contents = hashes.contents_file();
        expected.extend(contents.map(|file| file.display().to_string()));
    }
    for name in tables_of(dataset) {
        let folder = name.folder();
        let versions = block_on(async {
            let newest = Dataset::open(dataset).unwrap().table(name).await.unwrap();
            let mut versions = Vec::new();
            for version in newest.versions().await.unwrap() {
                versions.push(newest.checkout_version(version.version).await.unwrap());
            }
            versions
        });
        for table in versions {
            let manifest = table.manifest();
            let data = table
                .fragments()
                .iter()
                .flat_map(|fragment| &fragment.files);
            expected.extend(data.map(|file| format!("{folder}/data/{}", file.path)));
            expected.extend(
                manifest
                    .transaction_file
                    .iter()
                    .map(|file| format!("{folder}/_transactions/{file}")),
            );
            // Names in Lance's second naming scheme: 2^64 - 1 - version.
            expected.insert(format!(
                "{folder}/_versions/{:020}.manifest",
                u64::MAX - manifest.version
            ));
        }
        // Lance writes it after the commit, and works without it.
        let hint = format!("{folder}/_versions/latest_version_hint.json");
        if dataset.join(&hint).exists() {
            expected.insert(hint);
        }
    }
    let found = files_below(dataset);
    assert_eq!(found, expected, "files of {}", dataset.display());
    let parent = dataset.parent().unwrap();
    for entry in std::fs::read_dir(parent).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().into_owned();
        assert!(
            !name.contains(".slaf-new") && !name.contains("slaf-aside"),
            "{name} was left behind"
        );
    }
}

/// Returns all files below a folder, by their relative path.
pub fn files_below(folder: &Path) -> BTreeSet<String> {
    fn walk(root: &Path, folder: &Path, files: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                files.insert(
                    path.strip_prefix(root)
                        .unwrap()
                        .to_string_lossy()
                        .into_owned(),
                );
            }
        }
    }
    let mut files = BTreeSet::new();
    walk(folder, folder, &mut files);
    files
}
