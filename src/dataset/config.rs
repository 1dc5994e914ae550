//! `config.json`: the keys that readers of the reference need, and those added by this program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{CategoryList, CellHashes, RecountedRange, UnsKeys};
use crate::chunk::{Canonicalized, Digest, ValueStats};
use crate::plan::{GeneJoin, GeneKey, IdVersions, JobId};
use crate::source::{ColumnKind, MatrixName, Note, OpenOptions, Originals, Part};
use crate::survey::{Fingerprint, Repeats, Scale};

/// SLAF format version that is written.
pub(super) const FORMAT_VERSION: &str = "0.5";

/// Description of a complete dataset. The keys up to `multi_file` are those of the reference.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DatasetConfig {
    /// SLAF format version.
    pub format_version: String,
    /// Number of cells and of genes.
    pub array_shape: [u64; 2],
    /// Number of cells.
    #[serde(default)]
    pub n_cells: u64,
    /// Number of genes.
    #[serde(default)]
    pub n_genes: u64,
    /// Folder of each table.
    pub tables: BTreeMap<String, String>,
    /// Storage options of the reference.
    #[serde(default)]
    pub optimizations: Optimizations,
    /// Statistics of the values.
    #[serde(default)]
    pub metadata: Metadata,
    /// obs columns that were categoricals, with what is needed to restore them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub obs_dtypes: BTreeMap<String, ColumnDtype>,
    /// The same for var columns.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub var_dtypes: BTreeMap<String, ColumnDtype>,
    /// obs columns as listed by readers of the reference, which they do once one of them has added
    /// a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obs: Option<Keys>,
    /// The same for var columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub var: Option<Keys>,
    /// Columns of the layers table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<Keys>,
    /// Embeddings of cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obsm: Option<Keys>,
    /// Embeddings of genes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub varm: Option<Keys>,
    /// Matrices of cells × cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obsp: Option<Keys>,
    /// Matrices of genes × genes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub varp: Option<Keys>,
    /// Time at which the dataset was created.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub created_at: String,
    /// Time of the last append.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<String>,
    /// The files that the dataset was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_file: Option<MultiFile>,
    /// The program that wrote the dataset; `None` for the reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<Writer>,
    /// Time of the change (`last_updated`, or `created_at`) that the following keys describe.
    /// Another program that appends updates one but not the other.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub described_at: String,
    /// Lance version of each table that this file describes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub versions: BTreeMap<String, u64>,
    /// Digests of the cells and genes tables. Those of matrices are stored with their sources.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, Digest>,
    /// For each table to which other programs have added columns, or which they created: their
    /// columns, which they may change and remove.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub added_columns: BTreeMap<String, Vec<String>>,
    /// Sums from which the statistics are computed, and to which those of an append are added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums: Option<ValueStats>,
    /// Type of the values, and why it was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ValueNote>,
    /// The inputs, in the order of their cells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceNote>,
    /// Columns that were written under another name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub column_notes: Vec<ColumnNote>,
    /// Files with the identifier hashes of all cells, in the order of the cells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cell_hashes: Vec<CellHashes>,
    /// Types and names of the inputs that the tables do not show.
    #[serde(default, skip_serializing_if = "Originals::is_empty")]
    pub originals: Originals,
    /// XXH3 hash of uns.json in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uns_xxh3: Option<String>,
    /// The hashes of the values of its keys that were converted: other keys are other programs'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uns_keys: Option<UnsKeys>,
    /// Whether another program changed the column `source_file`, which no longer names the sources.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub renamed_sources: bool,
    /// By what the genes of several inputs were joined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene_key: Option<GeneKey>,
    /// Identifiers of genes that are described without one, by gene number, learned from genes that
    /// were joined with them later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub learned_gene_ids: BTreeMap<u32, String>,
    /// Whether versions of identifiers were ignored when genes were joined.
    #[serde(default, skip_serializing_if = "IdVersions::is_default")]
    pub gene_id_versions: IdVersions,
    /// Jobs that made the dataset, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<JobId>,
    /// Keys of other programs, kept unchanged.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// Storage options of the reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Optimizations {
    /// Whether tables refer to cells and genes by integer identifiers.
    pub use_integer_keys: bool,
    /// Whether text identifiers are left out of the tables of non-zeros.
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

/// Statistics of the expression table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Number of rows of the expression table.
    pub expression_count: u64,
    /// Fraction of elements that are not stored: 1 - density.
    pub sparsity: f64,
    /// Rows of the expression table divided by the number of elements.
    pub density: f64,
    /// Number of elements of the matrix: cells × genes.
    pub total_possible_elements: u64,
    /// Statistics of the values.
    pub expression_stats: ExpressionStats,
}

/// Statistics of the stored values of the expression table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpressionStats {
    /// Smallest finite value.
    pub min_value: f64,
    /// Largest finite value.
    pub max_value: f64,
    /// Mean of the finite values.
    pub mean_value: f64,
    /// Sample standard deviation of the finite values.
    pub std_value: f64,
    /// Number of values that are NaN or infinite; the other fields ignore them.
    #[serde(skip_serializing_if = "is_zero")]
    pub non_finite: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What is needed to restore the original type of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDtype {
    /// Name of the pandas dtype: `category`, the only one that readers treat specially.
    pub dtype: String,
    /// Whether the categories are ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// Categories in order, as strings in the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<CategoryList>,
    /// Keys of other programs, kept unchanged.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

impl ColumnDtype {
    /// Type of the column, which is one of categories.
    pub(crate) fn kind(&self) -> ColumnKind {
        ColumnKind::Categorical {
            ordered: self.ordered.unwrap_or(false),
        }
    }
}

/// Columns of one kind, as readers of the reference list them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keys {
    /// Names of all columns.
    pub available: Vec<String>,
    /// Names of the columns that the reference does not let its users change.
    pub immutable: Vec<String>,
    /// Names of the columns that the reference lets its users change.
    pub mutable: Vec<String>,
    /// Width of each embedding.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "dimensions"
    )]
    pub dimensions: BTreeMap<String, u64>,
}

/// slafdb leaves a list of names where it removed pairwise matrices; the dimensions are lost then.
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
    /// Adds a name that another program added and may change.
    pub fn enter(&mut self, name: &str, dimension: Option<u64>) {
        if !self.available.iter().any(|known| known == name) {
            self.available.push(name.to_string());
            self.mutable.push(name.to_string());
        }
        if let Some(dimension) = dimension {
            self.dimensions.insert(name.to_string(), dimension);
        }
    }

    /// Removes a name.
    pub fn remove(&mut self, name: &str) {
        for list in [&mut self.available, &mut self.immutable, &mut self.mutable] {
            list.retain(|known| known != name);
        }
        self.dimensions.remove(name);
    }
}

/// The files that a dataset was made from, as the reference lists them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiFile {
    /// The files, in the order of their cells.
    pub source_files: Vec<SourceFile>,
    /// Number of files.
    pub total_files: u64,
    /// Total number of cells of the files.
    pub total_cells_from_files: u64,
}

/// A file that a dataset was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Path of the file.
    pub file_path: String,
    /// Name of the file, as in the column `source_file`.
    pub file_name: String,
    /// Number of cells.
    pub n_cells: u64,
    /// Number of the first cell in the dataset.
    #[serde(default)]
    pub cell_offset: u64,
    /// Keys of other programs, kept unchanged.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// A program that writes datasets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Name of the program.
    pub name: String,
    /// Version of the program.
    pub version: String,
}

impl Writer {
    /// Returns name and version of this program.
    pub fn this() -> Self {
        Writer {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// Type of the value column, and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueNote {
    /// Type of the values.
    pub r#type: String,
    /// Why it was chosen, in a few words.
    pub reason: String,
    /// Type of the values in the input.
    pub stored: String,
}

/// An input as it was when it was converted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourceNote {
    /// The job that converted it; `None` if another program wrote the cells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobId>,
    /// Path as given by the user.
    pub path: PathBuf,
    /// Name in the column `source_file`.
    pub source_file: String,
    /// What identifies the input.
    pub fingerprint: Fingerprint,
    /// What was read of the input.
    #[serde(default)]
    pub open: OpenOptions,
    /// Name of the matrix that became the expression table.
    #[serde(default)]
    pub matrix: String,
    /// Number of its first cell in the dataset.
    pub first_cell: u64,
    /// Number of its cells.
    pub cells: u64,
    /// How its genes correspond to those of the inputs before it, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gene_join: Option<GeneJoin>,
    /// Number of entries as stored in the input.
    pub entries: u64,
    /// Number of rows that were written for these entries.
    pub rows: u64,
    /// What was changed to bring the entries into canonical form.
    #[serde(rename = "tidied")]
    pub canonicalized: Canonicalized,
    /// Digest of each matrix; see [`matrix_key`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, Digest>,
    /// Its other matrices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerNote>,
    /// What was converted with changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub converted: Vec<Note>,
    /// What was not converted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Note>,
    /// Warnings given when it was converted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Cell identifiers that occur more than once.
    pub repeated_cells: Repeats,
    /// Gene identifiers that occur more than once.
    pub repeated_genes: Repeats,
    /// Scale of the matrix that became the expression table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

impl SourceNote {
    /// Describes cells that another program wrote, as found by reading them.
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

/// A layer, obsp or varp matrix as it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerNote {
    /// Key of its digest; see [`matrix_key`].
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// Name in the input.
    pub object: String,
    /// Type of its values.
    pub r#type: String,
    /// Number of entries as stored in the input.
    pub entries: u64,
    /// Number of rows that were written for these entries.
    pub rows: u64,
    /// What was changed to bring the entries into canonical form.
    #[serde(rename = "tidied")]
    pub canonicalized: Canonicalized,
    /// Scale of a layer's values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

impl LayerNote {
    /// Whether this is the key of its digest.
    pub(crate) fn is_of(&self, key: &str) -> bool {
        self.key == key || self.key.is_empty() && self.object == key
    }
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

/// A column that was written under another name, or the names of an embedding's components.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnNote {
    /// Part of the input that contains the column.
    pub part: Part,
    /// Name in the input.
    pub column: String,
    /// Name in the dataset.
    pub written_as: String,
    /// Names of the components, if it is an embedding that has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}

impl Metadata {
    /// Computes the metadata of a dataset of `shape` (cells, genes) whose rows have these
    /// statistics.
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
    /// describe its current state.
    pub fn is_described(&self) -> bool {
        let changed = self.last_updated.as_ref().unwrap_or(&self.created_at);
        self.writer.is_some() && !self.versions.is_empty() && *changed == self.described_at
    }

    /// Returns what is known of the categories of a column of obs or var; `None` if it has none.
    pub(crate) fn category(&self, part: Part, column: &str) -> Option<&ColumnDtype> {
        let dtypes = match part {
            Part::Obs => &self.obs_dtypes,
            _ => &self.var_dtypes,
        };
        let dtype = dtypes.get(column);
        dtype.filter(|dtype| dtype.dtype == "category")
    }

    /// Returns the format version that this program writes.
    pub fn current_format() -> String {
        FORMAT_VERSION.into()
    }
}

/// Returns the current time in the format of config.json.
pub fn timestamp() -> String {
    chrono::Local::now()
        .format("%Y-%m-%dT%H:%M:%S%.6f")
        .to_string()
}
