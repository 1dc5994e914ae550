//! What the values of a matrix need, by a sample.

use std::collections::BTreeMap;

use super::{ValueType, ValueTypes, first_misfit};
use crate::source::{CellSource, Matrix, Numbers, SourceError};

/// What a sample of a matrix tells.
#[derive(Debug, Clone)]
pub struct MatrixSurvey {
    /// The types that hold every sampled value exactly.
    pub exact: ValueTypes,
    /// For each other type, a sampled value that it does not hold.
    pub misfits: BTreeMap<ValueType, String>,
    /// How many entries the matrix has, estimated from the sample where only reading could tell.
    pub expected_entries: u64,
}

impl MatrixSurvey {
    /// Looks at a matrix of `shape`, rows × columns.
    pub(super) fn of(
        source: &dyn CellSource,
        matrix: &Matrix,
        shape: [u64; 2],
    ) -> Result<Self, SourceError> {
        let mut exact = ValueTypes::all();
        let mut misfits = BTreeMap::new();
        let (mut seen, mut nonzero) = (0u64, 0u64);
        source.sample(&matrix.name, &mut |numbers| {
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
        })?;
        let bound = || source.entries_at_most(&matrix.name);
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
        })
    }
}

fn count_nonzero(numbers: &Numbers) -> u64 {
    fn count<T: bytemuck::Zeroable + PartialEq>(values: &[T]) -> u64 {
        values.iter().filter(|&value| *value != T::zeroed()).count() as u64
    }
    crate::with_numbers!(numbers, values => count(values))
}
