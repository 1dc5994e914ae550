//! Brings chunks into canonical form: genes ascending, one entry per gene, no explicit zeros.

use serde::{Deserialize, Serialize};

use super::sum::{BoolByte, NoSum, Sum};
use super::{ChunkError, CooSpec};
use crate::source::{CsrChunk, TypedVec};

/// Statistics of bringing chunks into canonical form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canonicalized {
    /// Number of entries that are zero (after summing duplicates) and were dropped.
    pub zeros: u64,
    /// Number of entries that were added to another entry of the same cell and gene.
    pub merged: u64,
    /// Number of cells whose entries were not sorted by gene.
    pub sorted_cells: u64,
    /// Number of entries that were left out because the dataset lacks their genes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Number of entries that were left out because their cell or gene is not in the input's obs or
    /// var.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub strays: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Canonicalized {
    /// Adds the statistics of other chunks.
    pub fn add(&mut self, other: &Canonicalized) {
        self.zeros += other.zeros;
        self.merged += other.merged;
        self.sorted_cells += other.sorted_cells;
        self.dropped += other.dropped;
        self.strays += other.strays;
    }
}

/// Sorts entries, sums duplicates and drops zeros, cell by cell. `genes` must be valid.
pub(super) fn canonicalize(
    chunk: &CsrChunk,
    genes: &[i64],
    spec: &CooSpec<'_>,
) -> Result<(CsrChunk, Canonicalized), ChunkError> {
    let mut rows = Rows {
        chunk,
        genes,
        spec,
        indptr: vec![0],
        kept: Vec::with_capacity(genes.len()),
        canonicalized: Canonicalized {
            strays: chunk.strays,
            ..Canonicalized::default()
        },
    };
    let values = match &chunk.data {
        TypedVec::Bool(v) => {
            let truths: Vec<BoolByte> = v.iter().map(|&byte| BoolByte(byte)).collect();
            TypedVec::Bool(rows.merge(&truths)?)
        }
        TypedVec::Int8(v) => TypedVec::Int64(rows.merge(v)?),
        TypedVec::Int16(v) => TypedVec::Int64(rows.merge(v)?),
        TypedVec::Int32(v) => TypedVec::Int64(rows.merge(v)?),
        TypedVec::Int64(v) => TypedVec::Int64(rows.merge(v)?),
        TypedVec::UInt8(v) => TypedVec::Int64(rows.merge(v)?),
        TypedVec::UInt16(v) => TypedVec::Int64(rows.merge(v)?),
        TypedVec::UInt32(v) => TypedVec::Int64(rows.merge(v)?),
        TypedVec::UInt64(v) => TypedVec::UInt64(rows.merge(v)?),
        TypedVec::Float16(v) => TypedVec::Float64(rows.merge(v)?),
        TypedVec::Float32(v) => TypedVec::Float64(rows.merge(v)?),
        TypedVec::Float64(v) => TypedVec::Float64(rows.merge(v)?),
    };
    let canonicalized = rows.canonicalized;
    let chunk = CsrChunk {
        rows: chunk.rows.clone(),
        indptr: rows.indptr,
        indices: TypedVec::Int64(rows.kept),
        data: values,
        strays: chunk.strays,
    };
    Ok((chunk, canonicalized))
}

struct Rows<'a> {
    chunk: &'a CsrChunk,
    genes: &'a [i64],
    spec: &'a CooSpec<'a>,
    indptr: Vec<usize>,
    kept: Vec<i64>,
    canonicalized: Canonicalized,
}

impl Rows<'_> {
    fn merge<T: Sum>(&mut self, values: &[T]) -> Result<Vec<T::Total>, ChunkError> {
        let mut totals = Vec::with_capacity(values.len());
        let mut order: Vec<usize> = Vec::new();
        for (cell, row) in (self.chunk.rows.start..).zip(self.chunk.indptr.windows(2)) {
            order.clear();
            order.extend(row[0]..row[1]);
            if !order.is_sorted_by_key(|&entry| self.genes[entry]) {
                self.canonicalized.sorted_cells += 1;
                // Stable sort: entries of the same gene are summed in the order of the input.
                order.sort_by_key(|&entry| self.genes[entry]);
            }
            let same_gene = |a: &usize, b: &usize| self.genes[*a] == self.genes[*b];
            for entries in order.chunk_by(same_gene) {
                let gene = self.genes[entries[0]];
                let total = match entries {
                    [only] => values[*only].widen(),
                    several => {
                        self.canonicalized.merged += several.len() as u64 - 1;
                        T::sum(several.iter().map(|&entry| values[entry]))
                            .map_err(|why| no_sum(why, self.spec, cell, gene))?
                    }
                };
                if T::is_zero(total) {
                    self.canonicalized.zeros += 1;
                } else {
                    totals.push(total);
                    self.kept.push(gene);
                }
            }
            self.indptr.push(totals.len());
        }
        Ok(totals)
    }
}

fn no_sum(why: NoSum, spec: &CooSpec<'_>, cell: u64, gene: i64) -> ChunkError {
    let (path, matrix) = (spec.path.clone(), spec.matrix.clone());
    match why {
        NoSum::TooLarge => ChunkError::SumTooLarge {
            path,
            matrix,
            cell,
            gene,
        },
        NoSum::Inexact => ChunkError::SumInexact {
            path,
            matrix,
            cell,
            gene,
        },
    }
}
