//! Every decision of a job, made once and written down.
//!
//! A [`Plan`] is plain data. Besides the inputs it is all that a worker needs, and its digest, the
//! [`JobId`], is how a job is known again after a crash.

mod columns;
mod dtypes;
mod error;
mod shard;
mod value;

use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::source::{CellSource, Format, Matrix, Note};
use crate::survey::{Fingerprint, Repeats, Survey, ValueType};

pub use columns::{PlannedColumn, Table};
pub use dtypes::{Compression, Dtypes, IdType};
pub use error::PlanError;
pub use shard::Shard;
pub use value::{ValuePlan, Widened};

/// What a user may choose.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    pub dtypes: Dtypes,
    /// A forced type of the values; a value that does not fit it is refused.
    pub value_type: Option<ValueType>,
    pub compression: Compression,
    /// Rows of a fragment of the expression table at most (a single cell may have more).
    pub fragment_rows: u64,
}

/// A job: these inputs, written like this, cut into these shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this description.
    pub plan_version: u32,
    pub inputs: Vec<PlannedInput>,
    pub cells: u64,
    pub genes: u64,
    pub dtypes: Dtypes,
    pub cell_type: IdType,
    pub gene_type: IdType,
    pub value: ValuePlan,
    pub compression: Compression,
    pub fragment_rows: u64,
    pub obs: Vec<PlannedColumn>,
    pub var: Vec<PlannedColumn>,
    pub shards: Vec<Shard>,
}

/// An input of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedInput {
    /// Where it is; not a part of the job's identity.
    pub path: PathBuf,
    /// Its name, as it goes into the column `source_file`.
    pub source_file: String,
    pub format: Format,
    pub fingerprint: Fingerprint,
    pub matrix: Matrix,
    /// Its cells in the dataset.
    pub cells: Range<u64>,
    pub left_out: Vec<Note>,
    pub repeated_cells: Repeats,
    pub repeated_genes: Repeats,
}

/// The digest of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The beginning of the digest, which names the job's files.
    pub fn short(&self) -> &str {
        &self.0[..16.min(self.0.len())]
    }
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of [`Plan`] that this program writes and understands.
const PLAN_VERSION: u32 = 1;

impl Plan {
    /// Decides how one input becomes a dataset.
    ///
    /// # Errors
    /// [`PlanError`] when the input is too large for the chosen identifiers or its values fit no
    /// type; reading errors of the input.
    pub fn new(
        source: &dyn CellSource,
        survey: &Survey,
        options: &PlanOptions,
    ) -> Result<Self, PlanError> {
        let description = source.description();
        let path = &description.path;
        let matrix = description.main.clone();
        let cell_type = options.dtypes.cell_type(path, description.cells)?;
        let gene_type = options.dtypes.gene_type(path, description.genes)?;
        let value = ValuePlan::new(path, options, matrix.number_type, survey)?;
        let source_file = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Ok(Plan {
            plan_version: PLAN_VERSION,
            cells: description.cells,
            genes: description.genes,
            dtypes: options.dtypes,
            cell_type,
            gene_type,
            value,
            compression: options.compression,
            fragment_rows: options.fragment_rows,
            obs: columns::named(&description.obs, Table::Obs),
            var: columns::named(&description.var, Table::Var),
            shards: shard::cut(source, survey.expected_entries, options.fragment_rows)?,
            inputs: vec![PlannedInput {
                path: path.clone(),
                source_file,
                format: description.format,
                fingerprint: survey.fingerprint.clone(),
                matrix,
                cells: 0..description.cells,
                left_out: description.left_out.clone(),
                repeated_cells: survey.repeated_cells.clone(),
                repeated_genes: survey.repeated_genes.clone(),
            }],
        })
    }

    /// The digest of everything that was decided before the first value was written: where inputs
    /// lie and a type that was widened later do not change it.
    pub fn job_id(&self) -> JobId {
        let mut identity = self.clone();
        for input in &mut identity.inputs {
            input.path = PathBuf::new();
        }
        identity.value = self.value.as_guessed();
        let json = serde_json::to_vec(&identity).expect("a plan is made of texts and numbers");
        JobId(blake3::hash(&json).to_hex()[..32].to_string())
    }

    /// Stored entries of all inputs, as far as they are known: the measure of progress.
    pub fn expected_entries(&self) -> u64 {
        self.shards.iter().map(|shard| shard.entries).sum()
    }
}
