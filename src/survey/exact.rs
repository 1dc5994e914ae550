//! The float type that holds every number of an embedding exactly.
//!
//! Embeddings are small compared with the expression matrix and are read once before anything is
//! written, so that a number that no type holds, or an array that cannot be read, is not discovered
//! hours into the job.

use super::{ValueType, ValueTypes, first_misfit};
use crate::remedy::Remedy;
use crate::source::{
    Axis, CellSource, Embedding, ScalarType, SourceError, TypedVec, scalar_subset,
};

scalar_subset! {
    /// The value type of an embedding.
    pub enum FloatType {
        /// Single-precision floats.
        Float32,
        /// Double-precision floats.
        Float64,
    }
}

impl FloatType {
    /// Returns the narrowest float type in the set, or `None` if it contains neither float type.
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

/// Number of values inspected at a time.
const VALUES: u64 = 1 << 20;

/// Whether float32 holds every number of the type exactly.
fn is_narrow(number_type: ScalarType) -> bool {
    matches!(
        number_type,
        ScalarType::Bool
            | ScalarType::Int8
            | ScalarType::UInt8
            | ScalarType::Int16
            | ScalarType::UInt16
            | ScalarType::Float16
            | ScalarType::Float32
    )
}

/// Keeps only the types that hold these numbers. Returns a number that none of them holds as the
/// error.
fn look(exact: &mut ValueTypes, numbers: &TypedVec) -> Result<(), String> {
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

/// Reads an embedding of `rows` cells or genes and returns the narrowest type that holds it
/// exactly.
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
                help: Remedy::skip(part, name).into(),
            }
        })?;
    }
    Ok(FloatType::of(exact).unwrap_or(FloatType::Float64))
}
