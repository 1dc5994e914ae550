//! `config.json`: the keys that the readers of the reference need, and ours beside them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{CategoryList, CellHashes, RecountedRange};
use crate::chunk::{Canonicalized, Digest, ValueStats};
use crate::plan::{GeneJoin, GeneKey, IdVersions, JobId};
use crate::source::{MatrixName, Note, OpenOptions, Part};
use crate::survey::{Fingerprint, Repeats, Scale};

/// The SLAF format version that is written.
pub(super) const FORMAT_VERSION: &str = "0.5";

/// A complete dataset. The keys down to `multi_file` are those of the reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DatasetConfig {
    pub format_version: String,
    /// Cells and genes.
    pub array_shape: [u64; 2],
    #[serde(default)]
    pub n_cells: u64,
    #[serde(default)]
    pub n_genes: u64,
    /// The folder of each table.
    pub tables: BTreeMap<String, String>,
    #[serde(default)]
    pub optimizations: Optimizations,
    #[serde(default)]
    pub metadata: Metadata,
    /// Columns that were categories, with what restores them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub obs_dtypes: BTreeMap<String, ColumnDtype>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub var_dtypes: BTreeMap<String, ColumnDtype>,
    /// Columns of obs and var that readers of the reference have listed, which they do once one of
    /// them has added a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obs: Option<Keys>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub var: Option<Keys>,
    /// Columns of the tables that hold layers, embeddings and pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Keys>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obsm: Option<Keys>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub varm: Option<Keys>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obsp: Option<Keys>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub varp: Option<Keys>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_at: String,
    /// When something was last appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_file: Option<MultiFile>,
    /// The program that wrote the dataset; `None` for the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<Writer>,
    /// The time of the change (`last_updated`, or `created_at`) that what follows describes. Another
    /// program that appends changes one, and not the other.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub described_at: String,
    /// The Lance version of each table that this file describes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, u64>,
    /// The digests of the tables that describe cells and genes. Those of matrices are with their
    /// sources.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, Digest>,
    /// For each table that other programs have added columns to, or made: the columns that are
    /// theirs, which they may change and remove.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub added_columns: BTreeMap<String, Vec<String>>,
    /// The sums that the statistics are made of, to which those of an append are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums: Option<ValueStats>,
    /// The type of the values and why it was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueNote>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceNote>,
    /// Columns that were written under another name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub column_notes: Vec<ColumnNote>,
    /// Files of the hashes of all cells' identifiers, in the order of the cells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cell_hashes: Vec<CellHashes>,
    /// The XXH3 hash of uns.json, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uns_xxh3: Option<String>,
    /// By what the genes of several inputs were joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene_key: Option<GeneKey>,
    /// Identifiers of genes that are described without, by the number of the gene: those of genes
    /// that were joined with them later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub learned_gene_ids: BTreeMap<u32, String>,
    /// Whether genes were joined without the versions of their identifiers.
    #[serde(default, skip_serializing_if = "IdVersions::is_default")]
    pub gene_id_versions: IdVersions,
    /// The jobs that made the dataset, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobId>,
    /// Keys of others, kept as they are.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Optimizations {
    pub use_integer_keys: bool,
    pub optimize_storage: bool,
}

impl Default for Optimizations {
    fn default() -> Self {
        Optimizations {
            use_integer_keys: true,
            optimize_storage: true,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Rows of the expression table.
    pub expression_count: u64,
    pub sparsity: f64,
    pub density: f64,
    pub total_possible_elements: u64,
    pub expression_stats: ExpressionStats,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpressionStats {
    pub min_value: f64,
    pub max_value: f64,
    pub mean_value: f64,
    pub std_value: f64,
    /// Values that are NaN or infinite, which the other numbers leave out.
    #[serde(skip_serializing_if = "is_zero")]
    pub non_finite: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What restores a column that was not plain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDtype {
    /// The pandas name: `category`, which is the only one that readers treat specially.
    pub dtype: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// The categories in their order, as the texts of the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<CategoryList>,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// The columns of one kind, as readers of the reference list them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keys {
    pub available: Vec<String>,
    /// Those that the reference does not let its users change.
    pub immutable: Vec<String>,
    pub mutable: Vec<String>,
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "dimensions"
    )]
    pub dimensions: BTreeMap<String, u64>,
}

/// slafdb leaves a list of names behind where it removed pairs; what it had is lost then.
fn dimensions<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Found {
        Dimensions(BTreeMap<String, u64>),
        Others(serde::de::IgnoredAny),
    }
    Ok(match Found::deserialize(deserializer)? {
        Found::Dimensions(dimensions) => dimensions,
        Found::Others(_) => BTreeMap::new(),
    })
}

impl Keys {
    /// Enters a name that another program added, which it may change.
    pub fn enter(&mut self, name: &str, dimension: Option<u64>) {
        if !self.available.iter().any(|known| known == name) {
            self.available.push(name.to_string());
            self.mutable.push(name.to_string());
        }
        if let Some(dimension) = dimension {
            self.dimensions.insert(name.to_string(), dimension);
        }
    }

    /// Forgets a name.
    pub fn remove(&mut self, name: &str) {
        for list in [&mut self.available, &mut self.immutable, &mut self.mutable] {
            list.retain(|known| known != name);
        }
        self.dimensions.remove(name);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiFile {
    pub source_files: Vec<SourceFile>,
    pub total_files: u64,
    pub total_cells_from_files: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    pub file_path: String,
    pub file_name: String,
    pub n_cells: u64,
    #[serde(default)]
    pub cell_offset: u64,
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    pub name: String,
    pub version: String,
}

impl Writer {
    /// This program.
    pub fn this() -> Self {
        Writer {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// The type of the value column and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueNote {
    pub r#type: String,
    pub reason: String,
    /// The type in the input.
    pub stored: String,
}

/// An input as it was when it was converted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceNote {
    /// The job that converted it; `None` for what another program wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Its path as it was given.
    pub path: PathBuf,
    pub source_file: String,
    pub fingerprint: Fingerprint,
    /// What of it was read.
    #[serde(default)]
    pub open: OpenOptions,
    /// The matrix that became the expression table.
    #[serde(default)]
    pub matrix: String,
    /// Its cells in the dataset.
    pub first_cell: u64,
    pub cells: u64,
    /// How its genes were those of the inputs before it, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene_join: Option<GeneJoin>,
    /// Entries as stored in the input, and rows that were written for them.
    pub entries: u64,
    pub rows: u64,
    #[serde(rename = "tidied")]
    pub canonicalized: Canonicalized,
    /// The digest of each matrix; see [`matrix_key`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, Digest>,
    /// Its other matrices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerNote>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub converted: Vec<Note>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Note>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    pub repeated_cells: Repeats,
    pub repeated_genes: Repeats,
    /// The scale of the matrix that became the expression table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

impl SourceNote {
    /// Cells that another program wrote, as they were found.
    pub fn of_another(range: &RecountedRange) -> Self {
        SourceNote {
            job: None,
            path: PathBuf::from(&range.name),
            source_file: range.name.clone(),
            fingerprint: Fingerprint::default(),
            open: OpenOptions::default(),
            matrix: String::new(),
            first_cell: range.first_cell,
            cells: range.cells,
            gene_join: None,
            entries: range.rows,
            rows: range.rows,
            canonicalized: Canonicalized::default(),
            digests: BTreeMap::from([("expression".to_string(), range.digest)]),
            layers: Vec::new(),
            converted: Vec::new(),
            left_out: Vec::new(),
            warnings: Vec::new(),
            repeated_cells: Repeats::default(),
            repeated_genes: Repeats::default(),
            scale: None,
        }
    }
}

/// A layer, or a matrix of pairs, as it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerNote {
    /// The key of its digest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// What it is called in the input.
    pub object: String,
    pub r#type: String,
    pub entries: u64,
    pub rows: u64,
    #[serde(rename = "tidied")]
    pub canonicalized: Canonicalized,
    /// The scale of a layer's values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

/// The key of a matrix's digest: `expression`, `layers/NAME`, `obsp/NAME`, `varp/NAME`.
pub fn matrix_key(name: &MatrixName) -> String {
    match name {
        MatrixName::X => "expression".into(),
        MatrixName::Layer(key) => format!("layers/{key}"),
        MatrixName::Obsp(key) => format!("obsp/{key}"),
        MatrixName::Varp(key) => format!("varp/{key}"),
    }
}

/// What was written under another name, or the names of an embedding's numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnNote {
    pub part: Part,
    pub column: String,
    pub written_as: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

impl Metadata {
    /// The statistics of a dataset of `shape` whose rows are `stats`.
    pub fn new(shape: [u64; 2], stats: &ValueStats) -> Self {
        let total = shape[0].saturating_mul(shape[1]);
        let density = if total == 0 {
            0.0
        } else {
            stats.rows as f64 / total as f64
        };
        Metadata {
            expression_count: stats.rows,
            sparsity: 1.0 - density,
            density,
            total_possible_elements: total,
            expression_stats: ExpressionStats {
                min_value: stats.min,
                max_value: stats.max,
                mean_value: stats.mean(),
                std_value: stats.std(),
                non_finite: stats.non_finite,
            },
        }
    }
}

impl DatasetConfig {
    /// Whether this program wrote the dataset last, so that versions, sums, digests and sources
    /// are true of it.
    pub fn is_described(&self) -> bool {
        let changed = self.last_updated.as_ref().unwrap_or(&self.created_at);
        self.writer.is_some() && !self.versions.is_empty() && *changed == self.described_at
    }

    /// The format version that this program writes.
    pub fn current_format() -> String {
        FORMAT_VERSION.into()
    }
}

/// The time as config.json writes it.
pub fn timestamp() -> String {
    chrono::Local::now()
        .format("%Y-%m-%dT%H:%M:%S%.6f")
        .to_string()
}
