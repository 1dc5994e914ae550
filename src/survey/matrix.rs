//! What the values of a matrix need, by a sample.

use std::collections::BTreeMap;

use super::{LogBase, RowSample, Scale, ScaleKind, ValueType, ValueTypes, first_misfit, of_rows};
use crate::source::{CellSource, Matrix, MatrixDescription, MatrixName, Numbers, SourceError};

/// What a sample of a matrix tells.
#[derive(Debug, Clone)]
pub struct MatrixSurvey {
    /// The types that hold every sampled value exactly.
    pub exact: ValueTypes,
    /// For each other type, a sampled value that it does not hold.
    pub misfits: BTreeMap<ValueType, String>,
    /// How many entries the matrix has, estimated from the sample where only reading could tell.
    pub expected_entries: u64,
    /// On what scale the values are, as far as a sample tells.
    pub scale: Scale,
}

impl MatrixSurvey {
    /// Looks at a matrix of `shape`, rows × columns. `noted` is the base of a logarithm that the
    /// input says was taken.
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
            for value_type in ValueType::ALL {
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
            // Weights and distances have none.
            MatrixName::Obsp(_) | MatrixName::Varp(_) => Scale::UNKNOWN,
        };
        let bound = || stored.entries_at_most();
        let expected_entries = matrix.entries.or_else(bound).unwrap_or_else(|| {
            let all = u128::from(shape[0]) * u128::from(shape[1]);
            // A little more than the sample says, so that fragments seldom overflow.
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

    /// The survey of a matrix that has no entries.
    pub(crate) fn of_nothing() -> Self {
        MatrixSurvey {
            exact: ValueTypes::all(),
            misfits: BTreeMap::new(),
            expected_entries: 0,
            scale: Scale::of(ScaleKind::Empty),
        }
    }
}

/// Judges values that are no counts by some whole rows.
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

/// Whether numbers are whole and not negative, of which those are that fit this type or that.
fn are_counts(numbers: &Numbers, fits: ValueTypes) -> bool {
    if fits.contains(ValueType::UInt32) {
        return true;
    }
    match numbers {
        Numbers::Int64(values) => values.iter().all(|&value| value >= 0),
        Numbers::UInt64(_) => true,
        other => other.to_f64().is_ok_and(|values| {
            let whole = |value: &f64| *value >= 0.0 && value.fract() == 0.0;
            values.iter().all(whole)
        }),
    }
}

fn count_nonzero(numbers: &Numbers) -> u64 {
    fn count<T: bytemuck::Zeroable + PartialEq>(values: &[T]) -> u64 {
        values.iter().filter(|&value| *value != T::zeroed()).count() as u64
    }
    crate::with_numbers!(numbers, values => count(values))
}
