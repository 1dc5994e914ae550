//! What the headers of an input say.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Format, NumberType, Part, Selection};

/// An input as its headers describe it, without what its reader was told to leave out.
#[derive(Debug, Clone)]
pub struct Description {
    /// The file or folder.
    pub path: PathBuf,
    pub format: Format,
    /// Rows of obs and of every matrix.
    pub n_obs: u64,
    /// Rows of var and columns of every matrix.
    pub n_vars: u64,
    /// The matrix that becomes the expression table.
    pub x: MatrixDescription,
    /// Other matrices of cells × genes.
    pub layers: Vec<MatrixDescription>,
    /// Columns of the cells, without the index.
    pub obs: Vec<Column>,
    /// Columns of the genes, without the index.
    pub var: Vec<Column>,
    /// Lists of numbers for each cell, and for each gene.
    pub obsm: Vec<Embedding>,
    pub varm: Vec<Embedding>,
    /// Matrices of cells × cells, and of genes × genes.
    pub obsp: Vec<MatrixDescription>,
    pub varp: Vec<MatrixDescription>,
    /// Whether there is anything unstructured; see [`super::CellSource::uns`].
    pub uns: bool,
    /// What is converted into something else than it is.
    pub converted: Vec<Note>,
    /// What the input holds and a conversion leaves out.
    pub left_out: Vec<Note>,
    /// What a user should know before trusting the result.
    pub warnings: Vec<String>,
}

/// Which matrix of an input.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MatrixName {
    /// The one that becomes the expression table.
    #[serde(rename = "main")]
    X,
    Layer(String),
    Obsp(String),
    Varp(String),
}

impl Description {
    /// All matrices: the main one, layers, and pairs of cells and of genes.
    pub fn matrices(&self) -> impl Iterator<Item = &MatrixDescription> {
        let pairs = self.obsp.iter().chain(&self.varp);
        std::iter::once(&self.x).chain(&self.layers).chain(pairs)
    }
}

impl MatrixName {
    /// The name among matrices of its kind; that of the main matrix is empty.
    pub fn key(&self) -> &str {
        match self {
            MatrixName::X => "",
            MatrixName::Layer(key) | MatrixName::Obsp(key) | MatrixName::Varp(key) => key,
        }
    }
}

impl fmt::Display for MatrixName {
    /// As anndata calls it: `X`, `layers/counts`, `obsp/distances`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MatrixName::X => f.write_str("X"),
            MatrixName::Layer(name) => write!(f, "layers/{name}"),
            MatrixName::Obsp(name) => write!(f, "obsp/{name}"),
            MatrixName::Varp(name) => write!(f, "varp/{name}"),
        }
    }
}

/// A matrix, as the headers describe it: cells × genes, cells × cells or genes × genes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatrixDescription {
    pub name: MatrixName,
    /// What it is called in the input, for messages: `X`, `layers/counts`.
    pub object: String,
    pub layout: Layout,
    /// The stored type of the values.
    pub number_type: NumberType,
    /// Stored entries; `None` for a dense matrix, whose zeros are not counted before it is read.
    pub entries: Option<u64>,
}

impl MatrixDescription {
    /// Whether the input can be asked for it: a main matrix that is absent is empty, another is
    /// one that only other inputs have.
    pub fn is_readable(&self) -> bool {
        self.layout != Layout::Absent || self.name == MatrixName::X
    }
}

/// How a matrix lies in its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Compressed sparse rows.
    Csr,
    /// Compressed sparse columns: gene after gene.
    Csc,
    /// Coordinates in any order.
    Coo,
    /// All values, cell after cell.
    Dense,
    /// There is none: the input has cells and genes only.
    Absent,
}

/// A list of `width` numbers for each cell or gene.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedding {
    pub name: String,
    pub width: u64,
    /// The stored type of the numbers.
    pub number_type: NumberType,
    /// The names of the numbers, where the input has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
}

/// Cells or genes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    Cells,
    Genes,
}

/// A column of obs or var.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub kind: ColumnKind,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Text; may have missing values.
    Text,
    /// Numbers or booleans without missing values, except a float's NaN.
    Number(NumberType),
    /// Numbers or booleans with missing values.
    Nullable(NumberType),
    /// Categories, which are text, numbers or booleans; may have missing values.
    Categorical { ordered: bool },
    /// Nanoseconds since 1970; may have missing values.
    Time,
}

/// An object of the input, and what is to be said of it: why it is left out, how it is converted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its path in the input.
    pub object: String,
    pub reason: String,
}

impl Note {
    /// A note on an object.
    pub fn new(object: impl Into<String>, reason: impl Into<String>) -> Self {
        Note {
            object: object.into(),
            reason: reason.into(),
        }
    }
}

/// A gene whose name is not its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepeatedName {
    /// Its position.
    pub gene: u64,
    /// What the file calls it.
    pub name: String,
}

/// What an input holds besides tables and matrices, as JSON.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Uns {
    pub values: serde_json::Map<String, serde_json::Value>,
    /// What has no form in JSON.
    pub left_out: Vec<Note>,
    /// What has one that is not quite the same, such as a missing number for NaN.
    pub converted: Vec<Note>,
}

impl Uns {
    /// Without what is not wanted, which is noted.
    pub(super) fn selected(mut self, selection: &Selection, left_out: &mut Vec<Note>) -> Self {
        self.values.retain(|key, _| {
            let reason = selection.excludes(Part::Uns, key);
            let wanted = reason.is_none();
            left_out.extend(reason.map(|reason| Note::new(format!("uns/{key}"), reason)));
            wanted
        });
        self
    }
}
