//! A summary of a dataset, complete or not.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::open::read_config;
use super::{
    Checkpoint, Dataset, DatasetConfig, DatasetError, JobState, JobSummary, SourceNote, Status,
    TableChange,
};
use crate::plan::Dtypes;
use crate::table::TableName;

/// What `slaf info` tells.
#[derive(Debug, Clone, Serialize)]
pub struct Info {
    pub path: PathBuf,
    pub complete: bool,
    pub format_version: Option<String>,
    /// The program that wrote it, with its version.
    pub writer: Option<String>,
    pub cells: u64,
    pub genes: u64,
    pub non_zeros: u64,
    pub density: f64,
    pub min_value: f64,
    pub max_value: f64,
    pub mean_value: f64,
    pub std_value: f64,
    /// Whether slafdb's lazy AnnData and SQL can filter the columns (`signed`) or not (`narrow`).
    pub dtypes: Option<Dtypes>,
    pub tables: Vec<TableInfo>,
    pub sources: Vec<SourceNote>,
    pub created_at: Option<String>,
    /// What other programs have done to the tables since config.json described them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undescribed: Vec<TableChange>,
    /// What a job that is under way has done.
    pub in_progress: Option<Progress>,
}

/// A table of a dataset.
#[derive(Debug, Clone, Serialize)]
pub struct TableInfo {
    pub name: String,
    pub version: u64,
    pub rows: u64,
    pub fragments: u64,
    /// Bytes of the data files.
    pub bytes: u64,
    /// Columns with their Arrow types.
    pub columns: Vec<(String, String)>,
}

/// How far a job is.
#[derive(Debug, Clone, Serialize)]
pub struct Progress {
    pub job: String,
    pub status: Status,
    pub started: String,
    pub inputs: Vec<PathBuf>,
    pub shards_done: u64,
    pub shards: u64,
    pub entries_done: u64,
    pub entries: u64,
}

impl Info {
    /// Describes the dataset in a folder.
    pub async fn of(path: &Path) -> Result<Self, DatasetError> {
        let file = read_config(path)?;
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
        if file.dataset.is_some() {
            // What a job is about to commit is its own.
            let dataset = match (&info.in_progress, &file.broken) {
                (Some(_), _) | (_, Some(_)) => Dataset::open(path)?,
                (None, None) => {
                    let (now, changes) = Dataset::open_newest(path).await?;
                    info.undescribed = changes;
                    now
                }
            };
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
            .filter_map(|fragment| fragment.num_rows())
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
