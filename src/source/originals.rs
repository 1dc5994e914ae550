//! What is known of the input that a source was made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Axis, MatrixName, NumberType};

/// Types and names that the source itself does not show: what is not listed was as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Originals {
    /// Types of the values of matrices, by the names that anndata gives these: `X`, `layers/counts`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub matrices: BTreeMap<String, NumberType>,
    #[serde(skip_serializing_if = "OriginalFrame::is_empty")]
    pub obs: OriginalFrame,
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
    pub embeddings: BTreeMap<String, NumberType>,
}

/// What a column was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OriginalColumn {
    /// Of a type with missing values, whether or not it has any.
    Nullable,
    /// Categories that are numbers or booleans.
    Categories(NumberType),
}

impl Originals {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Originals::default()
    }

    /// The type that the values of a matrix had, which now have the type `now`.
    pub fn value_type(&self, matrix: &MatrixName, now: NumberType) -> NumberType {
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
        let same = |name: &String, own: &mut NumberType| other.embeddings.get(name) == Some(own);
        self.embeddings.retain(same);
    }
}

/// Whether a type holds every number of another.
pub(crate) fn holds(wanted: NumberType, all_of: NumberType) -> bool {
    /// Bits of integers that are exact, without the sign.
    fn digits(number_type: NumberType) -> u32 {
        match number_type {
            NumberType::Bool => 1,
            NumberType::Int8 => 7,
            NumberType::UInt8 => 8,
            NumberType::Int16 => 15,
            NumberType::UInt16 => 16,
            NumberType::Int32 => 31,
            NumberType::UInt32 => 32,
            NumberType::Int64 => 63,
            NumberType::UInt64 => 64,
            NumberType::Float16 => 11,
            NumberType::Float32 => 24,
            NumberType::Float64 => 53,
        }
    }
    let is_float = |n: NumberType| !n.is_integer() && n != NumberType::Bool;
    let is_signed = |n: NumberType| {
        is_float(n)
            || matches!(
                n,
                NumberType::Int8 | NumberType::Int16 | NumberType::Int32 | NumberType::Int64
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
        assert!(holds(NumberType::Float32, NumberType::UInt16));
        assert!(!holds(NumberType::Float32, NumberType::UInt32));
        assert!(holds(NumberType::Int64, NumberType::UInt32));
        assert!(!holds(NumberType::Int32, NumberType::UInt32));
        assert!(!holds(NumberType::UInt64, NumberType::Int8));
        assert!(!holds(NumberType::Int64, NumberType::Float32));
        assert!(holds(NumberType::Float64, NumberType::Float32));
    }
}
