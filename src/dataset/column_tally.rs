//! What is counted of a column of values, source by source.

use crate::chunk::{Digest, ValueStats};
use crate::source::{CsrChunk, SampledRows, ScalarType, TypedVec};
use crate::survey::{RowSample, Scale, ScaleKind, ValueType, WrittenValues, of_rows};

/// Rows of a source that are kept to judge its scale by, about.
const ROWS: u64 = 128;

/// What was counted of the values of one source. Zeros are not there.
#[derive(Debug, Clone)]
pub(super) struct ColumnTally {
    pub digest: Digest,
    pub stats: ValueStats,
    fractions: u64,
    /// The scale of a sample of the rows.
    sampled: Scale,
}

impl Default for ColumnTally {
    fn default() -> Self {
        ColumnTally {
            digest: Digest::default(),
            stats: ValueStats::default(),
            fractions: 0,
            sampled: Scale::of(ScaleKind::Empty),
        }
    }
}

impl ColumnTally {
    /// Adds the values of a row of the matrix.
    pub fn add(&mut self, values: &[f64]) {
        let values: Vec<f64> = values.iter().copied().filter(|v| *v != 0.0).collect();
        let fractions = values.iter().filter(|v| v.is_finite() && v.fract() != 0.0);
        self.fractions += fractions.count() as u64;
        self.stats.add(&ValueStats::of_values(&values));
    }

    /// The scale of all values.
    pub fn scale(&self) -> Scale {
        self.sampled.rechecked(&WrittenValues {
            rows: self.stats.rows,
            fractions: self.fractions,
            non_finite: self.stats.non_finite,
            min: self.stats.min,
            max: self.stats.max,
        })
    }
}

/// Whether scales are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scales {
    Judge,
    /// They are known, or nobody asks.
    Leave,
}

/// A sample of the rows of the source that is being read.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    source: usize,
    columns: Vec<RowSample>,
    /// Rows that came.
    rows: u64,
}

impl Sampled {
    /// Begins with a source, unless it was begun, and judges the one before.
    pub fn begin(
        &mut self,
        source: usize,
        columns: &[(String, ValueType)],
        tallies: &mut [Vec<ColumnTally>],
    ) {
        if self.source == source && !self.columns.is_empty() {
            return;
        }
        self.finish(columns, tallies);
        self.source = source;
        self.columns = columns.iter().map(|_| RowSample::default()).collect();
    }

    /// Judges the source that was read.
    pub fn finish(&mut self, columns: &[(String, ValueType)], tallies: &mut [Vec<ColumnTally>]) {
        let samples = std::mem::take(&mut self.columns).into_iter().zip(columns);
        let Some(tallies) = tallies.get_mut(self.source) else {
            return;
        };
        for ((sample, (_, value_type)), tally) in samples.zip(tallies) {
            let number_type = ScalarType::from(*value_type);
            tally.sampled = of_rows(&sample.finished(None), number_type, None);
        }
        self.rows = 0;
    }

    /// Whether a row of a source of so many rows is one of the sample.
    pub fn takes(&mut self, of: u64) -> bool {
        self.rows += 1;
        (self.rows - 1).is_multiple_of(of.div_ceil(ROWS).max(1))
    }

    /// Adds a row of a column.
    pub fn add(&mut self, column: usize, genes: &[u32], values: &[f64]) {
        let row = CsrChunk {
            rows: 0..1,
            indptr: vec![0, values.len()],
            indices: TypedVec::UInt32(genes.to_vec()),
            data: TypedVec::Float64(values.to_vec()),
            strays: 0,
        };
        if let Some(sample) = self.columns.get_mut(column) {
            sample.add(SampledRows::Rows(&row), 0, None);
        }
    }
}
