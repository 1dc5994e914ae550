//! What the headers of an input say about it.

use std::fmt;
use std::path::PathBuf;

use arrow::datatypes::{DataType, TimeUnit};
use serde::{Deserialize, Serialize};

use super::{Format, Originals, Part, ScalarType, Selection};

/// Description of an input, taken from its headers, without the parts the reader was told to leave
/// out.
#[derive(Debug, Clone)]
pub struct Description {
    /// Path of the file or folder.
    pub path: PathBuf,
    /// Format of the input.
    pub format: Format,
    /// Number of rows of obs, and of X and every layer.
    pub n_obs: u64,
    /// Number of rows of var, and of columns of X and every layer.
    pub n_vars: u64,
    /// X, the matrix that becomes the expression table.
    pub x: MatrixDescription,
    /// Layers: other matrices of cells × genes.
    pub layers: Vec<MatrixDescription>,
    /// Columns of obs, without the index.
    pub obs: Vec<Column>,
    /// Columns of var, without the index.
    pub var: Vec<Column>,
    /// Embeddings of obsm: one row of numbers per cell.
    pub obsm: Vec<Embedding>,
    /// Embeddings of varm: one row of numbers per gene.
    pub varm: Vec<Embedding>,
    /// Pairwise matrices of cells × cells.
    pub obsp: Vec<MatrixDescription>,
    /// Pairwise matrices of genes × genes.
    pub varp: Vec<MatrixDescription>,
    /// Whether the input has unstructured data; see [`super::CellSource::uns`].
    pub uns: bool,
    /// Objects that are converted into something other than what the input holds.
    pub converted: Vec<Note>,
    /// Objects of the input that a conversion leaves out.
    pub left_out: Vec<Note>,
    /// What a user should know before trusting the result.
    pub warnings: Vec<String>,
    /// Types and names that the rest does not show.
    pub originals: Originals,
}

/// Identifies a matrix of an input.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatrixName {
    /// X, the matrix that becomes the expression table.
    #[serde(rename = "main")]
    X,
    /// A layer, by name.
    Layer(String),
    /// A matrix of obsp (cells × cells), by name.
    Obsp(String),
    /// A matrix of varp (genes × genes), by name.
    Varp(String),
}

impl Description {
    /// An input of `n_obs` × `n_vars` with one matrix and nothing else; the rest can be filled in.
    pub fn new(
        path: impl Into<PathBuf>,
        format: Format,
        [n_obs, n_vars]: [u64; 2],
        x: MatrixDescription,
    ) -> Self {
        Description {
            path: path.into(),
            format,
            n_obs,
            n_vars,
            x,
            layers: Vec::new(),
            obs: Vec::new(),
            var: Vec::new(),
            obsm: Vec::new(),
            varm: Vec::new(),
            obsp: Vec::new(),
            varp: Vec::new(),
            uns: false,
            converted: Vec::new(),
            left_out: Vec::new(),
            warnings: Vec::new(),
            originals: Originals::default(),
        }
    }

    /// Iterates over all matrices: X, the layers, obsp and varp.
    pub fn matrices(&self) -> impl Iterator<Item = &MatrixDescription> {
        let pairs = self.obsp.iter().chain(&self.varp);
        std::iter::once(&self.x).chain(&self.layers).chain(pairs)
    }
}

impl MatrixName {
    /// Returns the name among matrices of its kind; empty for X.
    pub fn key(&self) -> &str {
        match self {
            MatrixName::X => "",
            MatrixName::Layer(key) | MatrixName::Obsp(key) | MatrixName::Varp(key) => key,
        }
    }
}

impl fmt::Display for MatrixName {
    /// Formats the name the way anndata does: `X`, `layers/counts`, `obsp/distances`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MatrixName::X => f.write_str("X"),
            MatrixName::Layer(name) => write!(f, "layers/{name}"),
            MatrixName::Obsp(name) => write!(f, "obsp/{name}"),
            MatrixName::Varp(name) => write!(f, "varp/{name}"),
        }
    }
}

/// Description of a matrix of cells × genes, cells × cells or genes × genes, taken from the
/// headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixDescription {
    /// Which matrix this is.
    pub name: MatrixName,
    /// Its path in the input, for messages: `X`, `layers/counts`.
    pub object: String,
    /// How the input stores it.
    pub layout: Layout,
    /// Stored type of the values.
    pub number_type: ScalarType,
    /// Number of stored entries; `None` for a dense matrix, whose non-zeros are not counted before
    /// it is read.
    pub entries: Option<u64>,
}

impl MatrixDescription {
    /// Whether it can be read from this input. An absent X reads as empty; any other absent matrix
    /// is one that only other inputs have.
    pub fn is_readable(&self) -> bool {
        self.layout != Layout::Absent || self.name == MatrixName::X
    }
}

/// How an input stores a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Compressed sparse rows, cell by cell.
    Csr,
    /// Compressed sparse columns, gene by gene.
    Csc,
    /// Coordinates, in any order.
    Coo,
    /// All values, cell by cell.
    Dense,
    /// There is no matrix: the input only has obs and var.
    Absent,
}

/// An array with `width` numbers per cell or gene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedding {
    /// Name, such as `X_pca`.
    pub name: String,
    /// Number of columns.
    pub width: u64,
    /// Stored type of the numbers.
    pub number_type: ScalarType,
    /// Names of the columns, if the input has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

/// An axis of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// The cells (obs).
    Cells,
    /// The genes (var).
    Genes,
}

/// A column of obs or var.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name of the column.
    pub name: String,
    /// Type of its values.
    pub kind: ColumnKind,
}

/// Type of the values of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Text, possibly with missing values.
    Text,
    /// Numbers or booleans without missing values, except NaN in floats.
    Number(ScalarType),
    /// Numbers or booleans with missing values.
    Nullable(ScalarType),
    /// Categories, which are text, numbers or booleans; possibly with missing values.
    Categorical {
        /// Whether the categories have an order, as in pandas.
        ordered: bool,
    },
    /// Nanoseconds since 1970, possibly with missing values.
    Time,
}

impl ColumnKind {
    /// Returns the type that such a column has in the tables of cells and genes.
    pub fn arrow(&self) -> DataType {
        match self {
            // Plain strings, because the reference's SQL cannot filter dictionaries or large
            // strings.
            ColumnKind::Text | ColumnKind::Categorical { .. } => DataType::Utf8,
            ColumnKind::Time => DataType::Timestamp(TimeUnit::Nanosecond, None),
            ColumnKind::Number(number_type) | ColumnKind::Nullable(number_type) => {
                number_type.arrow()
            }
        }
    }

    /// Returns the kind of the columns of a table that have this type; `None` if no input's column
    /// becomes one. Categories are texts.
    pub(crate) fn of_arrow(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(ColumnKind::Text),
            DataType::Dictionary(_, values) => {
                ColumnKind::of_arrow(values).filter(|kind| *kind == ColumnKind::Text)
            }
            DataType::Timestamp(_, None) => Some(ColumnKind::Time),
            other => ScalarType::of_arrow(other).map(ColumnKind::Nullable),
        }
    }
}

/// A remark on an object of the input, such as why it is left out or how it is converted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Path of the object in the input.
    pub object: String,
    /// The remark.
    pub reason: String,
}

impl Note {
    /// Creates a note on an object.
    pub fn new(object: impl Into<String>, reason: impl Into<String>) -> Self {
        Note {
            object: object.into(),
            reason: reason.into(),
        }
    }
}

/// A gene whose name another gene has too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedName {
    /// Position of the gene in var.
    pub gene: u64,
    /// Its name in the file.
    pub name: String,
}

/// Unstructured data of an input, as JSON.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Uns {
    /// The values by key.
    pub values: serde_json::Map<String, serde_json::Value>,
    /// Objects that JSON cannot represent.
    pub left_out: Vec<Note>,
    /// Objects that JSON cannot represent exactly, such as a NaN that becomes a missing number.
    pub converted: Vec<Note>,
}

impl Uns {
    /// Removes what the selection excludes and adds a note for each.
    pub(crate) fn selected(mut self, selection: &Selection, left_out: &mut Vec<Note>) -> Self {
        self.values.retain(|key, _| {
            let reason = selection.excludes(Part::Uns, key);
            let wanted = reason.is_none();
            left_out.extend(reason.map(|reason| Note::new(format!("uns/{key}"), reason)));
            wanted
        });
        self
    }
}
