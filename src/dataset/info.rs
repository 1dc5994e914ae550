//! Summary of a dataset, complete or not.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::open::read_config;
use super::{
    Checkpoint, Dataset, DatasetConfig, DatasetError, JobState, JobSummary, SourceNote, Status,
    TableChange, UnsChange,
};
use crate::plan::Dtypes;
use crate::table::TableName;

/// Output of `slaf info`.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Info {
    /// Path of the dataset.
    pub path: PathBuf,
    /// Whether the dataset is complete.
    pub complete: bool,
    /// SLAF format version; `None` if the dataset is incomplete.
    pub format_version: Option<String>,
    /// Name and version of the program that wrote it.
    pub writer: Option<String>,
    /// Number of cells.
    pub cells: u64,
    /// Number of genes.
    pub genes: u64,
    /// Number of rows of the expression table.
    pub non_zeros: u64,
    /// Fraction of elements that are non-zero.
    pub density: f64,
    /// Smallest value.
    pub min_value: f64,
    /// Largest value.
    pub max_value: f64,
    /// Mean of the stored values.
    pub mean_value: f64,
    /// Standard deviation of the stored values.
    pub std_value: f64,
    /// Whether slafdb's lazy AnnData and SQL can filter the columns (`signed`) or not (`narrow`).
    pub dtypes: Option<Dtypes>,
    /// Its tables.
    pub tables: Vec<TableInfo>,
    /// The inputs it was made from.
    pub sources: Vec<SourceNote>,
    /// Time at which it was created.
    pub created_at: Option<String>,
    /// Changes that other programs have made to the tables since config.json described them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undescribed: Vec<TableChange>,
    /// Likewise to uns.json.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undescribed_uns: Option<UnsChange>,
    /// What a job that is under way has done.
    pub in_progress: Option<Progress>,
}

/// A table of a dataset.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct TableInfo {
    /// Key of the table in config.json.
    pub name: String,
    /// Lance version.
    pub version: u64,
    /// Number of rows.
    pub rows: u64,
    /// Number of fragments.
    pub fragments: u64,
    /// Size of the data files in bytes.
    pub bytes: u64,
    /// Columns with their Arrow types.
    pub columns: Vec<(String, String)>,
}

/// Progress of a job.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// Identifier of the job.
    pub job: String,
    /// What the job is doing.
    pub status: Status,
    /// Time at which it was started.
    pub started: String,
    /// Paths of its inputs.
    pub inputs: Vec<PathBuf>,
    /// Number of finished shards.
    pub shards_done: u64,
    /// Number of shards.
    pub shards: u64,
    /// Number of entries of finished shards, as expected by the plan.
    pub entries_done: u64,
    /// Number of entries of all shards, as expected by the plan.
    pub entries: u64,
}

impl Info {
    /// Summarises the dataset in a folder.
    ///
    /// # Errors
    /// If there is no dataset, or its config or tables cannot be read. [`DatasetError::BrokenJob`]
    /// if the dataset is incomplete and its job cannot be resumed.
    pub async fn of(path: &Path) -> Result<Self, DatasetError> {
        let mut file = read_config(path)?;
        let plan = match file.job_plan(path)? {
            JobState::Known(checkpoint) => Some(checkpoint),
            JobState::Broken(broken) if file.dataset.is_none() => {
                return Err(DatasetError::BrokenJob {
                    path: broken.path,
                    problem: broken.problem,
                });
            }
            JobState::None | JobState::Begun(_) | JobState::Broken(_) => None,
        };
        let mut info = match &file.dataset {
            Some(config) => Info::complete(path, config),
            None => Info::unfinished(path, plan.as_deref()),
        };
        let summary = file.checkpoint.as_ref();
        info.in_progress = summary.map(|summary| Progress::of(summary, plan.as_deref()));
        if let Some(config) = file.dataset.take() {
            let mut dataset = Dataset::described(path, config);
            // What a job is about to commit belongs to it.
            if info.in_progress.is_none() && file.broken.is_none() {
                let changes = dataset.changes().await?;
                dataset = dataset.with_changes(&changes).await?;
                info.undescribed = changes.tables;
                info.undescribed_uns = changes.uns;
            }
            for table in dataset.tables() {
                info.tables
                    .push(TableInfo::of(table, &dataset.table(table).await?).await?);
            }
            info.dtypes = dtypes(&info.tables);
        }
        Ok(info)
    }

    fn complete(path: &Path, config: &DatasetConfig) -> Self {
        let stats = &config.metadata.expression_stats;
        Info {
            path: path.to_path_buf(),
            complete: true,
            format_version: Some(config.format_version.clone()),
            writer: config
                .writer
                .as_ref()
                .map(|writer| format!("{} {}", writer.name, writer.version)),
            cells: config.array_shape[0],
            genes: config.array_shape[1],
            non_zeros: config.metadata.expression_count,
            density: config.metadata.density,
            min_value: stats.min_value,
            max_value: stats.max_value,
            mean_value: stats.mean_value,
            std_value: stats.std_value,
            dtypes: None,
            tables: Vec::new(),
            sources: config.sources.clone(),
            created_at: Some(config.created_at.clone()).filter(|time| !time.is_empty()),
            undescribed: Vec::new(),
            undescribed_uns: None,
            in_progress: None,
        }
    }

    fn unfinished(path: &Path, checkpoint: Option<&Checkpoint>) -> Self {
        let plan = checkpoint.map(|checkpoint| &checkpoint.plan);
        Info {
            path: path.to_path_buf(),
            complete: false,
            format_version: None,
            writer: checkpoint.map(|c| format!("{} {}", c.writer.name, c.writer.version)),
            cells: plan.map_or(0, |plan| plan.cells),
            genes: plan.map_or(0, |plan| plan.genes),
            non_zeros: 0,
            density: 0.0,
            min_value: 0.0,
            max_value: 0.0,
            mean_value: 0.0,
            std_value: 0.0,
            dtypes: plan.map(|plan| plan.dtypes),
            tables: Vec::new(),
            sources: Vec::new(),
            created_at: None,
            undescribed: Vec::new(),
            undescribed_uns: None,
            in_progress: None,
        }
    }
}

fn dtypes(tables: &[TableInfo]) -> Option<Dtypes> {
    let expression = tables.iter().find(|table| table.name == "expression")?;
    let (_, cell_type) = expression.columns.first()?;
    Some(if cell_type.starts_with('U') {
        Dtypes::Narrow
    } else {
        Dtypes::Signed
    })
}

impl TableInfo {
    async fn of(name: TableName, table: &lance::Dataset) -> Result<Self, DatasetError> {
        let fragments = table.fragments();
        let rows = fragments
            .iter()
            .filter_map(lance_table::format::Fragment::num_rows)
            .sum::<usize>();
        let bytes = fragments
            .iter()
            .flat_map(|fragment| &fragment.files)
            .filter_map(|file| file.file_size_bytes.get())
            .map(u64::from)
            .sum();
        let schema = arrow::datatypes::Schema::from(table.schema());
        Ok(TableInfo {
            name: name.key().into(),
            version: table.version().version,
            rows: rows as u64,
            fragments: fragments.len() as u64,
            bytes,
            columns: schema
                .fields()
                .iter()
                .map(|field| (field.name().clone(), field.data_type().to_string()))
                .collect(),
        })
    }
}

impl Progress {
    fn of(summary: &JobSummary, plan: Option<&Checkpoint>) -> Self {
        let inputs = plan.into_iter().flat_map(|job| &job.plan.inputs);
        Progress {
            job: summary.job.to_string(),
            status: summary.status,
            started: summary.started.clone(),
            inputs: inputs.map(|input| input.path.clone()).collect(),
            shards_done: summary.shards_done,
            shards: summary.shards,
            entries_done: summary.entries_done,
            entries: summary.entries,
        }
    }
}
