//! Every decision of a job, made once and written down.
//!
//! A [`Plan`] is plain data. Besides the inputs it is all that a worker needs, and its digest, the
//! [`JobId`], is how a job is known again after a crash.

mod adopted;
mod base;
mod cells;
mod columns;
mod comparison;
mod continued;
mod dtypes;
mod error;
mod extras;
mod gene_keys;
mod gene_list;
mod genes;
mod id_versions;
mod join;
mod joined_genes;
mod joined_parts;
mod kinds;
mod known_genes;
mod left_out;
mod options;
mod planned_shards;
mod planner;
mod repeated_names;
mod scales;
mod shard;
mod value;

use std::ops::Range;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::source::{Format, MatrixDescription, Note, OpenOptions};
use crate::survey::{Fingerprint, FloatType, Repeats, Scale};

pub use base::{Base, BaseMatrix, BaseSource, BaseSurvey, Described, KnownValues};
pub use columns::{PlannedColumn, Table, data_type};
pub use comparison::{Clash, ComparedInput, Comparison};
pub use dtypes::{Compression, Dtypes, IdType};
pub use error::PlanError;
pub(crate) use gene_keys::KeyReader;
pub use gene_keys::gene_keys;
pub use gene_list::{GeneList, IdVersions};
pub use genes::{GeneIndex, GeneJoin, GeneKey, GeneMap, GenePlan, Join};
pub use id_versions::{BaseGenes, VersionWish};
pub use options::{Duplicates, MixedScales, PlanOptions, SameCounts, Widening};
pub(crate) use scales::{ScaledMatrix, check as check_scales, not_counts};
pub use shard::{Shard, ShardPart, ShardTable};
pub use value::{ValuePlan, WIDEN, Widened};

/// A job: these inputs, written like this, cut into these shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The version of this description.
    pub plan_version: u32,
    /// The dataset that is appended to; `None` for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    pub inputs: Vec<PlannedInput>,
    /// Cells and genes of the whole dataset.
    pub cells: u64,
    pub genes: u64,
    /// Which genes these are.
    pub gene_plan: GenePlan,
    pub dtypes: Dtypes,
    pub cell_type: IdType,
    pub gene_type: IdType,
    /// The identifiers of the table of layers, where they are others: the reference's are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_ids: Option<[IdType; 2]>,
    /// The values of the expression table.
    pub value: ValuePlan,
    /// The columns of the table of layers.
    pub layers: Vec<PlannedLayer>,
    pub compression: Compression,
    pub fragment_rows: u64,
    pub obs: Vec<PlannedColumn>,
    pub var: Vec<PlannedColumn>,
    pub obsm: Vec<PlannedEmbedding>,
    pub varm: Vec<PlannedEmbedding>,
    pub obsp: Vec<PlannedPairs>,
    pub varp: Vec<PlannedPairs>,
    /// What is done about an input whose content turns out to be another's.
    #[serde(default)]
    pub duplicate_sources: Duplicates,
    /// What is done about matrices whose scales turn out to differ.
    #[serde(default, skip_serializing_if = "MixedScales::is_default")]
    pub mixed_scales: MixedScales,
    /// What is done about cells that turn out to be there under other names.
    #[serde(default, skip_serializing_if = "SameCounts::is_default")]
    pub same_counts: SameCounts,
    /// Whether there is anything unstructured.
    pub uns: bool,
    pub shards: Vec<Shard>,
}

/// A layer and the column that it becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedLayer {
    pub name: String,
    pub written_as: String,
    pub value: ValuePlan,
    /// The scale of the dataset's layer that it continues, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

/// An embedding and the column that it becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedEmbedding {
    pub name: String,
    pub written_as: String,
    pub width: u64,
    pub float_type: FloatType,
    /// The names of its numbers, where the input has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

/// A matrix of cells × cells or genes × genes and the column that it becomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedPairs {
    pub name: String,
    pub written_as: String,
    pub value: ValuePlan,
}

/// An input of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedInput {
    /// Where it is; not a part of the job's identity.
    pub path: PathBuf,
    /// Its name, as it goes into the column `source_file`.
    pub source_file: String,
    pub format: Format,
    /// What of it is read.
    pub open: OpenOptions,
    pub fingerprint: Fingerprint,
    /// The matrix that becomes the expression table.
    pub main: MatrixDescription,
    /// For each layer of the plan, the matrix that it is made of; likewise for pairs.
    pub layers: Vec<MatrixDescription>,
    pub obsp: Vec<MatrixDescription>,
    pub varp: Vec<MatrixDescription>,
    /// Its cells in the dataset.
    pub cells: Range<u64>,
    /// How its genes are those of the inputs before it.
    pub gene_join: GeneJoin,
    /// The digest of the list by which its genes are joined, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene_list: Option<String>,
    pub converted: Vec<Note>,
    pub left_out: Vec<Note>,
    pub warnings: Vec<String>,
    pub repeated_cells: Repeats,
    pub repeated_genes: Repeats,
    /// The scale of its main matrix, by a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// For each layer of the plan, its scale.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer_scales: Vec<Scale>,
}

impl PlannedInput {
    /// The matrices that a table is made of.
    pub fn matrices(&self, table: ShardTable) -> &[MatrixDescription] {
        match table {
            ShardTable::Expression => std::slice::from_ref(&self.main),
            ShardTable::Layers => &self.layers,
            ShardTable::Obsp => &self.obsp,
            ShardTable::Varp => &self.varp,
        }
    }
}

/// The digest of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// A job of which only the beginning of the digest is known.
    pub(crate) fn beginning(short: &str) -> Self {
        JobId(short.to_string())
    }

    /// A job by its digest.
    pub(crate) fn of_text(digest: &str) -> Self {
        JobId(digest.to_string())
    }

    /// The digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The beginning of the digest, which names the job's files.
    pub fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version of [`Plan`] that this program writes and understands.
pub(crate) const PLAN_VERSION: u32 = 6;

impl Plan {
    /// The digest of everything that was decided before the first value was written: where inputs
    /// lie, whether they or their cells may be alike, or on different scales, and a type that was
    /// widened later do not change it.
    pub fn job_id(&self) -> JobId {
        let mut identity = self.clone();
        for input in &mut identity.inputs {
            input.path = PathBuf::new();
        }
        identity.duplicate_sources = Duplicates::default();
        identity.mixed_scales = MixedScales::default();
        identity.same_counts = SameCounts::default();
        for value in identity.values_mut() {
            *value = value.as_guessed();
        }
        let json = serde_json::to_vec(&identity).expect("a plan is made of texts and numbers");
        JobId(blake3::hash(&json).to_hex()[..32].to_string())
    }

    /// Whether genes and columns are joined: with those of other inputs, or of a dataset.
    pub fn is_joined(&self) -> bool {
        self.inputs.len() > 1 || self.base.is_some()
    }

    /// The types of the values of all matrices.
    fn values_mut(&mut self) -> impl Iterator<Item = &mut ValuePlan> {
        let layers = self.layers.iter_mut().map(|layer| &mut layer.value);
        let pairs = self.obsp.iter_mut().chain(&mut self.varp);
        std::iter::once(&mut self.value)
            .chain(layers)
            .chain(pairs.map(|pairs| &mut pairs.value))
    }

    /// The type of the values of each matrix of a table.
    pub fn values(&self, table: ShardTable) -> Vec<&ValuePlan> {
        fn of_pairs(pairs: &[PlannedPairs]) -> Vec<&ValuePlan> {
            pairs.iter().map(|pairs| &pairs.value).collect()
        }
        match table {
            ShardTable::Expression => vec![&self.value],
            ShardTable::Layers => self.layers.iter().map(|layer| &layer.value).collect(),
            ShardTable::Obsp => of_pairs(&self.obsp),
            ShardTable::Varp => of_pairs(&self.varp),
        }
    }

    /// The type of the values of one matrix of a table, to be changed.
    pub fn value_mut(&mut self, table: ShardTable, matrix: usize) -> Option<&mut ValuePlan> {
        match table {
            ShardTable::Expression => Some(&mut self.value),
            ShardTable::Layers => self.layers.get_mut(matrix).map(|layer| &mut layer.value),
            ShardTable::Obsp => self.obsp.get_mut(matrix).map(|pairs| &mut pairs.value),
            ShardTable::Varp => self.varp.get_mut(matrix).map(|pairs| &mut pairs.value),
        }
    }

    /// The types of the two identifiers of a table's rows: of cells and genes, or of two cells or
    /// genes.
    pub fn id_types(&self, table: ShardTable) -> [IdType; 2] {
        match table {
            ShardTable::Expression => [self.cell_type, self.gene_type],
            ShardTable::Layers => self.layer_ids.unwrap_or([self.cell_type, self.gene_type]),
            ShardTable::Obsp => [IdType::UInt32; 2],
            // As the reference has them, whatever the types of the expression table.
            ShardTable::Varp if self.genes <= 1 << 16 => [IdType::UInt16; 2],
            ShardTable::Varp => [IdType::UInt32; 2],
        }
    }

    /// Stored entries of all inputs, as far as they are known: the measure of progress.
    pub fn expected_entries(&self) -> u64 {
        self.shards.iter().map(|shard| shard.entries).sum()
    }
}
