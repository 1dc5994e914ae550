//! The float type that holds all numbers of an embedding.
//!
//! Embeddings are small beside the matrix of expression, and are read once before anything is written: a
//! number that no type holds, or an array that cannot be read, must not be found out after hours.

use serde::{Deserialize, Serialize};

use super::{ValueType, ValueTypes, first_misfit};
use crate::source::{Axis, CellSource, Embedding, NumberType, Numbers, SourceError};

/// A type of embeddings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FloatType {
    Float32,
    Float64,
}

impl FloatType {
    /// The type for numbers that these types hold; `None` where neither float type does.
    fn of(exact: ValueTypes) -> Option<Self> {
        if exact.contains(ValueType::Float32) {
            Some(FloatType::Float32)
        } else if exact.contains(ValueType::Float64) {
            Some(FloatType::Float64)
        } else {
            None
        }
    }
}

/// Numbers of an embedding that are looked at together.
const VALUES: u64 = 1 << 20;

/// Whether every number of the type is exact in float32.
fn is_narrow(number_type: NumberType) -> bool {
    matches!(
        number_type,
        NumberType::Bool
            | NumberType::Int8
            | NumberType::UInt8
            | NumberType::Int16
            | NumberType::UInt16
            | NumberType::Float16
            | NumberType::Float32
    )
}

/// Keeps the types that hold these numbers, or says which of them none holds.
fn look(exact: &mut ValueTypes, numbers: &Numbers) -> Result<(), String> {
    if is_narrow(numbers.number_type()) {
        return Ok(());
    }
    *exact = *exact & ValueTypes::exact_for(numbers);
    if exact.contains(ValueType::Float64) {
        return Ok(());
    }
    let misfit = first_misfit(numbers, ValueType::Float64);
    Err(misfit.map(|(_, value)| value).unwrap_or_default())
}

pub(super) fn of_embedding(
    source: &dyn CellSource,
    axis: Axis,
    rows: u64,
    embedding: &Embedding,
) -> Result<FloatType, SourceError> {
    let mut exact = ValueTypes::all();
    let step = (VALUES / embedding.width.max(1)).max(1);
    let part = match axis {
        Axis::Cells => "obsm",
        Axis::Genes => "varm",
    };
    for start in (0..rows).step_by(usize::try_from(step).unwrap_or(usize::MAX)) {
        let block = start..(start + step).min(rows);
        let numbers = source.embedding(axis, &embedding.name, block)?;
        look(&mut exact, &numbers).map_err(|value| {
            let name = &embedding.name;
            SourceError::Unsupported {
                path: source.description().path.clone(),
                object: format!("{part}/{name}"),
                what: format!("the number {value}, which float64 does not hold exactly,"),
                help: format!("leave it out with --skip {part}:{name}"),
            }
        })?;
    }
    Ok(FloatType::of(exact).unwrap_or(FloatType::Float64))
}
