//! Collects whole rows of matrices whose scale the survey could not determine, while they are
//! written.
//!
//! For a matrix stored by gene, reading rows during the survey would cost as much as a conversion;
//! while it is written, they are available for free.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt32Type};

use crate::chunk::CooBatch;
use crate::plan::{Plan, ShardPart, ShardTable};
use crate::source::{CsrChunk, SampledRows, ScalarType, TypedVec};
use crate::survey::{RowSample, Scale, ScaleKind, of_rows};

/// Approximate number of rows of a part that are kept.
const ROWS: u64 = 128;

/// Samples of each matrix in a part of a shard.
pub(super) struct ScaleSamples {
    /// Sample of each matrix, unless its scale is known.
    samples: Vec<Option<(RowSample, ScalarType)>>,
    /// Interval at which rows are kept.
    every: u64,
    /// Next row, counted from the beginning of the part.
    next: u64,
}

impl ScaleSamples {
    /// Creates empty samples for a part.
    pub fn of(plan: &Plan, part: &ShardPart, table: ShardTable) -> Self {
        let input = &plan.inputs[part.input];
        let unknown = |place: usize| {
            let scale = match table {
                ShardTable::Expression => input.scale.as_ref(),
                ShardTable::Layers => input.layer_scales.get(place),
                ShardTable::Obsp | ShardTable::Varp => None,
            };
            scale.is_some_and(|scale| scale.kind == ScaleKind::Unknown)
        };
        let matrices = input.matrices(table).iter().enumerate();
        let samples = matrices.map(|(place, matrix)| {
            unknown(place).then(|| (RowSample::default(), matrix.number_type))
        });
        let rows = part.rows.end - part.rows.start;
        ScaleSamples {
            samples: samples.collect(),
            every: rows.div_ceil(ROWS).max(1),
            next: 0,
        }
    }

    /// Samples the next rows of all matrices.
    pub fn add(&mut self, batches: &[CooBatch]) {
        let rows = batches.first().map_or(0, |batch| batch.counts.len());
        for (sample, batch) in self.samples.iter_mut().zip(batches) {
            let Some((sample, _)) = sample else { continue };
            let mut start = 0;
            for (row, &count) in (self.next..).zip(&batch.counts) {
                let count = count as usize;
                if row % self.every == 0 && !sample.is_full() {
                    add_row(sample, batch, start, count);
                }
                start += count;
            }
        }
        self.next += rows as u64;
    }

    /// Returns the scale of each matrix, as far as the rows show.
    pub fn verdicts(self) -> Vec<Option<Scale>> {
        let verdict = |(sample, number_type): (RowSample, ScalarType)| {
            of_rows(&sample.finished(None), number_type, None)
        };
        let samples = self.samples.into_iter();
        samples.map(|sample| sample.map(verdict)).collect()
    }
}

fn add_row(sample: &mut RowSample, batch: &CooBatch, start: usize, count: usize) {
    let genes = cast(&batch.gene_ids.slice(start, count), &DataType::UInt32);
    let values = cast(&batch.values.slice(start, count), &DataType::Float64);
    let (Ok(genes), Ok(values)) = (genes, values) else {
        return;
    };
    let chunk = CsrChunk {
        rows: 0..1,
        indptr: vec![0, count],
        indices: TypedVec::UInt32(genes.as_primitive::<UInt32Type>().values().to_vec()),
        data: TypedVec::Float64(values.as_primitive::<Float64Type>().values().to_vec()),
        strays: 0,
    };
    sample.add(SampledRows::Rows(&chunk), 0, None);
}
