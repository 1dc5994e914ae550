//! What the headers of an input say.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Format, NumberType};

/// An input as its headers describe it.
#[derive(Debug, Clone)]
pub struct Description {
    /// The file or folder.
    pub path: PathBuf,
    pub format: Format,
    /// Rows of obs and of every matrix.
    pub cells: u64,
    /// Rows of var and columns of every matrix.
    pub genes: u64,
    /// The matrices that can be read. The main one comes first.
    pub matrices: Vec<Matrix>,
    /// Columns of the cells, without the index.
    pub obs: Vec<Column>,
    /// Columns of the genes, without the index.
    pub var: Vec<Column>,
    /// What the input holds and a conversion leaves out.
    pub left_out: Vec<LeftOut>,
}

/// A matrix of cells × genes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    pub name: String,
    pub layout: Layout,
    /// The stored type of the values.
    pub number_type: NumberType,
    /// Stored entries; `None` for a dense matrix, whose zeros are not counted before it is read.
    pub entries: Option<u64>,
}

/// How a matrix lies in its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Compressed sparse rows.
    Csr,
    /// All values, cell after cell.
    Dense,
    /// There is none: the input has cells and genes only.
    Absent,
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
}

/// An object of the input that is not converted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its path in the input.
    pub object: String,
    /// Why.
    pub reason: String,
}
