//! What the values of a matrix require, estimated from a sample.

use std::collections::BTreeMap;

use super::{LogBase, RowSample, Scale, ScaleKind, ValueType, ValueTypes, first_misfit, of_rows};
use crate::source::{CellSource, Matrix, MatrixDescription, MatrixName, SourceError, TypedVec};

/// Properties of a matrix, estimated from a sample.
#[derive(Debug, Clone)]
pub struct MatrixSurvey {
    /// The types that hold every sampled value exactly.
    pub exact: ValueTypes,
    /// For each other type, a sampled value that it does not hold exactly.
    pub misfits: BTreeMap<ValueType, String>,
    /// Number of entries; estimated from the sample if the headers do not give it.
    pub expected_entries: u64,
    /// Scale of the values, as far as the sample shows.
    pub scale: Scale,
}

impl MatrixSurvey {
    /// Inspects a matrix of `shape` (rows × columns). `noted` is the base of the logarithm that,
    /// according to the input, was taken.
    pub(super) fn of(
        source: &dyn CellSource,
        matrix: &MatrixDescription,
        shape: [u64; 2],
        noted: Option<LogBase>,
    ) -> Result<Self, SourceError> {
        let mut exact = ValueTypes::all();
        let mut misfits = BTreeMap::new();
        let (mut seen, mut nonzero) = (0u64, 0u64);
        let mut counts = true;
        let stored = source.matrix(&matrix.name)?;
        stored.sample(&mut |numbers| {
            let fits = ValueTypes::exact_for(numbers);
            for &value_type in ValueType::ALL {
                if exact.contains(value_type)
                    && !fits.contains(value_type)
                    && let Some((_, value)) = first_misfit(numbers, value_type)
                {
                    misfits.insert(value_type, value);
                }
            }
            exact = exact & fits;
            seen += numbers.len() as u64;
            nonzero += count_nonzero(numbers);
            counts = counts && are_counts(numbers, fits);
        })?;
        let scale = match &matrix.name {
            _ if nonzero == 0 => Scale::of(ScaleKind::Empty),
            _ if counts => Scale::COUNTS,
            MatrixName::X | MatrixName::Layer(_) => scale_of(stored, matrix, shape, noted)?,
            // Weights and distances have no scale.
            MatrixName::Obsp(_) | MatrixName::Varp(_) => Scale::UNKNOWN,
        };
        let bound = || stored.entries_at_most();
        let expected_entries = matrix.entries.or_else(bound).unwrap_or_else(|| {
            let all = u128::from(shape[0]) * u128::from(shape[1]);
            // Slightly more than the sample suggests, so that fragments rarely overflow.
            let expected = all * u128::from(nonzero) * 9 / (u128::from(seen.max(1)) * 8);
            u64::try_from(expected.min(all)).unwrap_or(u64::MAX)
        });
        Ok(MatrixSurvey {
            exact,
            misfits,
            expected_entries,
            scale,
        })
    }

    /// Returns the survey of a matrix without entries.
    pub(crate) fn of_nothing() -> Self {
        MatrixSurvey {
            exact: ValueTypes::all(),
            misfits: BTreeMap::new(),
            expected_entries: 0,
            scale: Scale::of(ScaleKind::Empty),
        }
    }
}

/// Determines the scale of values that are not counts from a sample of whole rows.
fn scale_of(
    stored: &dyn Matrix,
    matrix: &MatrixDescription,
    [rows, _]: [u64; 2],
    noted: Option<LogBase>,
) -> Result<Scale, SourceError> {
    let mut sample = RowSample::default();
    stored.sample_rows(&mut |shown| {
        sample.add(shown, rows, matrix.entries);
    })?;
    let mut sample = sample.finished(matrix.entries);
    sample.complete = sample.whole && sample.len() as u64 == rows;
    Ok(of_rows(&sample, matrix.number_type, noted))
}

/// Whether all numbers are non-negative integers. `fits` are the types that hold them exactly.
fn are_counts(numbers: &TypedVec, fits: ValueTypes) -> bool {
    if fits.contains(ValueType::UInt32) {
        return true;
    }
    match numbers {
        TypedVec::Int64(values) => values.iter().all(|&value| value >= 0),
        TypedVec::UInt64(_) => true,
        other => other.to_f64().is_ok_and(|values| {
            let whole = |value: &f64| *value >= 0.0 && value.fract() == 0.0;
            values.iter().all(whole)
        }),
    }
}

fn count_nonzero(numbers: &TypedVec) -> u64 {
    fn count<T: bytemuck::Zeroable + PartialEq>(values: &[T]) -> u64 {
        values.iter().filter(|&value| *value != T::zeroed()).count() as u64
    }
    crate::with_numbers!(numbers, values => count(values))
}
