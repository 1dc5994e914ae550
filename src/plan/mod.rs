//! All decisions about a job, made once and recorded.
//!
//! A [`Plan`] is plain data. Together with the inputs it is all that a worker needs. Its digest,
//! the [`JobId`], identifies a job so that it can be resumed after a crash.

mod adopted;
mod base;
mod cells;
mod columns;
mod comparison;
mod continued;
mod dtypes;
mod error;
mod extras;
mod frames;
mod gene_index;
mod gene_keys;
mod gene_list;
mod genes;
mod id_versions;
mod join;
mod joined_genes;
mod joined_parts;
mod kinds;
mod known_genes;
mod known_names;
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

use crate::source::{Format, MatrixDescription, Note, OpenOptions, Originals};
use crate::survey::{Fingerprint, FloatType, Repeats, Scale};

pub use base::{Base, BaseMatrix, BaseSource, BaseSurvey, Described, KnownValues};
pub use columns::{PlannedColumn, Table};
pub use comparison::{Clash, ComparedInput, Comparison};
pub use dtypes::{Compression, Dtypes, IdType};
pub use error::PlanError;
pub(crate) use frames::{CATEGORIES_FILE, UNS_FILE, row_width};
pub use frames::{FrameShard, FrameTable};
pub(crate) use gene_keys::KeyReader;
pub use gene_keys::gene_keys;
pub use gene_list::{GeneList, IdVersions};
pub use genes::{GeneIndex, GeneJoin, GeneKey, GenePlan, Join};
pub use id_versions::{BaseGenes, VersionWish};
pub use options::{Duplicates, MixedScales, PlanOptions, SameCounts, Widening};
pub(crate) use scales::{ScaledMatrix, check as check_scales, not_counts};
pub use shard::{Shard, ShardPart, ShardTable};
pub(crate) use value::to_widen;
pub use value::{ValuePlan, Widened};

/// A job: its inputs, how they are written, and the shards they are divided into.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// Version of the plan's format.
    pub plan_version: u32,
    /// The dataset to append to; `None` for a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Base>,
    /// The inputs, in order.
    pub inputs: Vec<PlannedInput>,
    /// Number of cells of the whole dataset.
    pub cells: u64,
    /// Number of genes of the whole dataset.
    pub genes: u64,
    /// The genes of the dataset.
    pub gene_plan: GenePlan,
    /// Family of types of the expression table.
    pub dtypes: Dtypes,
    /// Type of the cell identifiers of the expression table.
    pub cell_type: IdType,
    /// Type of the gene identifiers of the expression table.
    pub gene_type: IdType,
    /// Types of the cell and gene identifiers of the layers table, if they differ from the
    /// reference's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_ids: Option<[IdType; 2]>,
    /// Values of the expression table.
    pub value: ValuePlan,
    /// Columns of the layers table.
    pub layers: Vec<PlannedLayer>,
    /// Compression of the tables of non-zeros.
    pub compression: Compression,
    /// Maximum number of rows of a fragment of the expression table.
    pub fragment_rows: u64,
    /// Columns of the obs table.
    pub obs: Vec<PlannedColumn>,
    /// Columns of the var table.
    pub var: Vec<PlannedColumn>,
    /// Embeddings of cells.
    pub obsm: Vec<PlannedEmbedding>,
    /// Embeddings of genes.
    pub varm: Vec<PlannedEmbedding>,
    /// Matrices of cells × cells.
    pub obsp: Vec<PlannedPairs>,
    /// Matrices of genes × genes.
    pub varp: Vec<PlannedPairs>,
    /// What to do about an input whose content turns out to be that of another.
    #[serde(default)]
    pub duplicate_sources: Duplicates,
    /// What to do about matrices whose scales turn out to differ.
    #[serde(default, skip_serializing_if = "MixedScales::is_default")]
    pub mixed_scales: MixedScales,
    /// What to do about cells that turn out to exist under other names.
    #[serde(default, skip_serializing_if = "SameCounts::is_default")]
    pub same_counts: SameCounts,
    /// Whether any input has unstructured data (`uns`).
    pub uns: bool,
    /// The shards of all tables.
    pub shards: Vec<Shard>,
    /// Shards of what describes cells and genes, numbered after those of matrices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<FrameShard>,
}

/// A layer and its column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedLayer {
    /// Name of the layer in the inputs.
    pub name: String,
    /// Name of its column in the layers table.
    pub written_as: String,
    /// Type of its values.
    pub value: ValuePlan,
    /// Scale of the dataset's layer that it continues, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

/// An embedding and its column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedEmbedding {
    /// Name of the embedding in the inputs.
    pub name: String,
    /// Name of its column in the obs or var table.
    pub written_as: String,
    /// Number of components.
    pub width: u64,
    /// Type of its numbers.
    pub float_type: FloatType,
    /// Names of the components, if the input has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

/// A matrix of cells × cells or genes × genes and its column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlannedPairs {
    /// Name of the matrix in the inputs.
    pub name: String,
    /// Name of its column.
    pub written_as: String,
    /// Type of its values.
    pub value: ValuePlan,
}

/// An input of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedInput {
    /// Location of the input; not part of the job's identity.
    pub path: PathBuf,
    /// Name of the input, as written to the column `source_file`.
    pub source_file: String,
    /// Format of the input.
    pub format: Format,
    /// What is read of the input.
    pub open: OpenOptions,
    /// What identifies the input.
    pub fingerprint: Fingerprint,
    /// The matrix that becomes the expression table.
    pub main: MatrixDescription,
    /// The matrix for each layer of the plan.
    pub layers: Vec<MatrixDescription>,
    /// The matrix for each element of [`Plan::obsp`].
    pub obsp: Vec<MatrixDescription>,
    /// The matrix for each element of [`Plan::varp`].
    pub varp: Vec<MatrixDescription>,
    /// Positions of its cells in the dataset.
    pub cells: Range<u64>,
    /// How its genes correspond to those of the inputs before it.
    pub gene_join: GeneJoin,
    /// Digest of the list by which its genes are joined, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene_list: Option<String>,
    /// What is converted with changes.
    pub converted: Vec<Note>,
    /// What is not converted.
    pub left_out: Vec<Note>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
    /// Types and names that nothing else here shows.
    #[serde(default, skip_serializing_if = "Originals::is_empty")]
    pub originals: Originals,
    /// Cell identifiers that occur more than once.
    pub repeated_cells: Repeats,
    /// Gene identifiers that occur more than once.
    pub repeated_genes: Repeats,
    /// Scale of its main matrix, estimated from a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// Scale of each layer of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer_scales: Vec<Scale>,
}

impl PlannedInput {
    /// Returns the matrices that a table is made from.
    pub fn matrices(&self, table: ShardTable) -> &[MatrixDescription] {
        match table {
            ShardTable::Expression => std::slice::from_ref(&self.main),
            ShardTable::Layers => &self.layers,
            ShardTable::Obsp => &self.obsp,
            ShardTable::Varp => &self.varp,
        }
    }
}

/// Digest of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(String);

impl JobId {
    /// Creates an identifier from the beginning of a digest.
    pub(crate) fn beginning(short: &str) -> Self {
        JobId(short.to_string())
    }

    /// Creates an identifier from a digest.
    pub(crate) fn of_text(digest: &str) -> Self {
        JobId(digest.to_string())
    }

    /// Returns the digest as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the beginning of the digest, used in the names of the job's files.
    pub fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl std::fmt::Display for JobId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Version of the format of [`Plan`] that this program writes and reads.
pub(crate) const PLAN_VERSION: u32 = 7;

impl Plan {
    /// Digest of everything decided before the first value is written. It does not depend on where
    /// the inputs are located, on whether duplicate inputs, duplicate cells or different scales are
    /// allowed, or on types that were widened later.
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

    /// Whether genes and columns are joined with those of other inputs or of a dataset.
    pub fn is_joined(&self) -> bool {
        self.inputs.len() > 1 || self.base.is_some()
    }

    /// Types of the values of all matrices.
    fn values_mut(&mut self) -> impl Iterator<Item = &mut ValuePlan> {
        let layers = self.layers.iter_mut().map(|layer| &mut layer.value);
        let pairs = self.obsp.iter_mut().chain(&mut self.varp);
        std::iter::once(&mut self.value)
            .chain(layers)
            .chain(pairs.map(|pairs| &mut pairs.value))
    }

    /// Returns the type of the values of each matrix of a table.
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

    /// Returns the type of the values of one matrix of a table for modification.
    pub fn value_mut(&mut self, table: ShardTable, matrix: usize) -> Option<&mut ValuePlan> {
        match table {
            ShardTable::Expression => Some(&mut self.value),
            ShardTable::Layers => self.layers.get_mut(matrix).map(|layer| &mut layer.value),
            ShardTable::Obsp => self.obsp.get_mut(matrix).map(|pairs| &mut pairs.value),
            ShardTable::Varp => self.varp.get_mut(matrix).map(|pairs| &mut pairs.value),
        }
    }

    /// Returns the types of the two identifiers in a table's rows: of a cell and a gene, or of two
    /// cells or two genes.
    pub fn id_types(&self, table: ShardTable) -> [IdType; 2] {
        match table {
            ShardTable::Expression => [self.cell_type, self.gene_type],
            ShardTable::Layers => self.layer_ids.unwrap_or([self.cell_type, self.gene_type]),
            ShardTable::Obsp => [IdType::UInt32; 2],
            // As in the reference, regardless of the types of the expression table.
            ShardTable::Varp if self.genes <= 1 << 16 => [IdType::UInt16; 2],
            ShardTable::Varp => [IdType::UInt32; 2],
        }
    }

    /// Number of stored entries of all inputs, as far as known; used to measure progress.
    pub fn expected_entries(&self) -> u64 {
        self.shards.iter().map(|shard| shard.entries).sum()
    }
}
