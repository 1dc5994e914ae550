//! One look at each input: how large it is, who is in it, and what its values need.
//!
//! A survey reads headers, identifiers, the columns of cells and genes, and a sample of the values
//! that is spread over the whole matrix. It never reads the matrix.

mod fingerprint;
mod frames;
mod value;

use std::collections::BTreeMap;

use crate::source::{CellSource, Layout, Numbers, SourceError};

pub use fingerprint::{Fingerprint, Repeats};
pub(crate) use frames::blocks;
pub(crate) use value::first_misfit;
pub use value::{ValueType, ValueTypes};

/// What a survey found out about one input.
#[derive(Debug, Clone)]
pub struct Survey {
    /// What identifies the input.
    pub fingerprint: Fingerprint,
    /// Cells whose identifier another cell of the input has too.
    pub repeated_cells: Repeats,
    /// Likewise for genes.
    pub repeated_genes: Repeats,
    /// The types that hold every sampled value exactly.
    pub exact: ValueTypes,
    /// For each other type, a sampled value that it does not hold.
    pub misfits: BTreeMap<ValueType, String>,
    /// How many entries the matrix has, estimated from the sample where only reading could tell.
    pub expected_entries: u64,
}

impl Survey {
    /// Looks at an input.
    pub fn of(source: &dyn CellSource) -> Result<Self, SourceError> {
        let description = source.description();
        let matrix = &description.main;
        let (fingerprint, repeated_cells, repeated_genes) = fingerprint::take(source)?;
        frames::check(source)?;
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
        let expected_entries = matrix.entries.unwrap_or_else(|| {
            debug_assert_eq!(matrix.layout, Layout::Dense);
            let all = u128::from(description.cells) * u128::from(description.genes);
            // A little more than the sample says, so that fragments seldom overflow.
            let expected = all * u128::from(nonzero) * 9 / (u128::from(seen.max(1)) * 8);
            u64::try_from(expected.min(all)).unwrap_or(u64::MAX)
        });
        Ok(Survey {
            fingerprint,
            repeated_cells,
            repeated_genes,
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
