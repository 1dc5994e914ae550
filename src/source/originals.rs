//! What is known of the input that a source was made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Axis, MatrixName, ScalarType};

/// Types and names that the source itself does not show: what is not listed was as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Originals {
    /// Types of the values of matrices, by the names that anndata gives these: `X`, `layers/counts`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub matrices: BTreeMap<String, ScalarType>,
    /// obs and obsm.
    #[serde(skip_serializing_if = "OriginalFrame::is_empty")]
    pub obs: OriginalFrame,
    /// var and varm.
    #[serde(skip_serializing_if = "OriginalFrame::is_empty")]
    pub var: OriginalFrame,
}

/// What is known of obs and obsm, or of var and varm.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OriginalFrame {
    /// Name of the index, unless it is anndata's `_index`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<String>,
    /// Columns, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, OriginalColumn>,
    /// Types of embeddings.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub embeddings: BTreeMap<String, ScalarType>,
}

/// What a column was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginalColumn {
    /// Of a type with missing values, whether or not it has any.
    Nullable,
    /// Categories that are numbers or booleans.
    Categories(ScalarType),
}

impl Originals {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Originals::default()
    }

    /// The type that the values of a matrix had, which now have the type `now`.
    pub fn value_type(&self, matrix: &MatrixName, now: ScalarType) -> ScalarType {
        let known = self.matrices.get(&matrix.to_string());
        known.copied().unwrap_or(now)
    }

    /// What is known of an axis.
    pub fn frame(&self, axis: Axis) -> &OriginalFrame {
        match axis {
            Axis::Cells => &self.obs,
            Axis::Genes => &self.var,
        }
    }
}

impl OriginalFrame {
    fn is_empty(&self) -> bool {
        *self == OriginalFrame::default()
    }

    /// Keeps what holds for the rows of another frame, too.
    pub(crate) fn agree_with(&mut self, other: &OriginalFrame) {
        if self.index != other.index {
            self.index = None;
        }
        for (name, column) in &other.columns {
            match self.columns.get(name) {
                None => {
                    self.columns.insert(name.clone(), *column);
                }
                Some(known) if known != column => {
                    self.columns.remove(name);
                }
                Some(_) => {}
            }
        }
        let same = |name: &String, own: &mut ScalarType| other.embeddings.get(name) == Some(own);
        self.embeddings.retain(same);
    }
}

/// Whether a type holds every number of another.
pub(crate) fn holds(wanted: ScalarType, all_of: ScalarType) -> bool {
    /// Bits of integers that are exact, without the sign.
    fn digits(number_type: ScalarType) -> u32 {
        match number_type {
            ScalarType::Bool => 1,
            ScalarType::Int8 => 7,
            ScalarType::UInt8 => 8,
            ScalarType::Int16 => 15,
            ScalarType::UInt16 => 16,
            ScalarType::Int32 => 31,
            ScalarType::UInt32 => 32,
            ScalarType::Int64 => 63,
            ScalarType::UInt64 => 64,
            ScalarType::Float16 => 11,
            ScalarType::Float32 => 24,
            ScalarType::Float64 => 53,
        }
    }
    let is_float = |n: ScalarType| !n.is_integer() && n != ScalarType::Bool;
    let is_signed = |n: ScalarType| {
        is_float(n)
            || matches!(
                n,
                ScalarType::Int8 | ScalarType::Int16 | ScalarType::Int32 | ScalarType::Int64
            )
    };
    wanted == all_of
        || digits(wanted) >= digits(all_of)
            && (is_float(wanted) || !is_float(all_of))
            && (is_signed(wanted) || !is_signed(all_of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_hold_others_are_known() {
        assert!(holds(ScalarType::Float32, ScalarType::UInt16));
        assert!(!holds(ScalarType::Float32, ScalarType::UInt32));
        assert!(holds(ScalarType::Int64, ScalarType::UInt32));
        assert!(!holds(ScalarType::Int32, ScalarType::UInt32));
        assert!(!holds(ScalarType::UInt64, ScalarType::Int8));
        assert!(!holds(ScalarType::Int64, ScalarType::Float32));
        assert!(holds(ScalarType::Float64, ScalarType::Float32));
    }
}
