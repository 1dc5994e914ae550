//! Rows as a table wants them: genes ascending, one entry a gene, no zeros.

use half::f16;
use serde::{Deserialize, Serialize};

use super::{ChunkError, CooSpec};
use crate::source::{CellChunk, Numbers};

/// What tidying changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tidied {
    /// Entries that were stored although they are zero (after adding up), and were dropped.
    pub zeros: u64,
    /// Entries that were added to another of the same cell and gene.
    pub merged: u64,
    /// Cells whose entries were not in the order of the genes.
    pub sorted_cells: u64,
    /// Entries of genes that the dataset lacks, which were left out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Tidied {
    /// Adds up.
    pub fn add(&mut self, other: &Tidied) {
        self.zeros += other.zeros;
        self.merged += other.merged;
        self.sorted_cells += other.sorted_cells;
        self.dropped += other.dropped;
    }
}

/// A value that can be added to another entry of the same cell and gene the way readers of its
/// format do: whole numbers exactly, floats in their own precision, booleans by "or".
trait Sum: Copy {
    type Total: Copy;
    fn widen(self) -> Self::Total;
    fn add(total: Self::Total, value: Self) -> Option<Self::Total>;
    fn is_zero(total: Self::Total) -> bool;
}

macro_rules! sum_integers {
    ($($type:ty => $total:ty),*) => {$(
        impl Sum for $type {
            type Total = $total;
            fn widen(self) -> $total {
                self.into()
            }
            fn add(total: $total, value: Self) -> Option<$total> {
                total.checked_add(value.into())
            }
            fn is_zero(total: $total) -> bool {
                total == 0
            }
        }
    )*};
}

macro_rules! sum_floats {
    ($($type:ty: $zero:expr),*) => {$(
        impl Sum for $type {
            type Total = $type;
            fn widen(self) -> $type {
                self
            }
            fn add(total: $type, value: Self) -> Option<$type> {
                Some(total + value)
            }
            fn is_zero(total: $type) -> bool {
                total == $zero
            }
        }
    )*};
}

sum_integers!(i8 => i64, i16 => i64, i32 => i64, i64 => i64, u8 => i64, u16 => i64, u32 => i64, u64 => u64);
sum_floats!(f16: f16::ZERO, f32: 0.0, f64: 0.0);

/// A boolean's byte.
#[derive(Clone, Copy)]
struct Truth(u8);

impl Sum for Truth {
    type Total = u8;
    fn widen(self) -> u8 {
        self.0
    }
    fn add(total: u8, value: Self) -> Option<u8> {
        Some(total | value.0)
    }
    fn is_zero(total: u8) -> bool {
        total == 0
    }
}

/// Sorts, adds up and drops zeros, cell by cell. Genes must be in range already.
pub(super) fn tidy(
    chunk: &CellChunk,
    genes: &[i64],
    spec: &CooSpec<'_>,
) -> Result<(CellChunk, Tidied), ChunkError> {
    let mut rows = Rows {
        chunk,
        genes,
        spec,
        indptr: vec![0],
        kept: Vec::with_capacity(genes.len()),
        tidied: Tidied::default(),
    };
    let values = match &chunk.values {
        Numbers::Bool(v) => {
            let truths: Vec<Truth> = v.iter().map(|&byte| Truth(byte)).collect();
            Numbers::Bool(rows.merge(&truths)?)
        }
        Numbers::Int8(v) => Numbers::Int64(rows.merge(v)?),
        Numbers::Int16(v) => Numbers::Int64(rows.merge(v)?),
        Numbers::Int32(v) => Numbers::Int64(rows.merge(v)?),
        Numbers::Int64(v) => Numbers::Int64(rows.merge(v)?),
        Numbers::UInt8(v) => Numbers::Int64(rows.merge(v)?),
        Numbers::UInt16(v) => Numbers::Int64(rows.merge(v)?),
        Numbers::UInt32(v) => Numbers::Int64(rows.merge(v)?),
        Numbers::UInt64(v) => Numbers::UInt64(rows.merge(v)?),
        Numbers::Float16(v) => Numbers::Float16(rows.merge(v)?),
        Numbers::Float32(v) => Numbers::Float32(rows.merge(v)?),
        Numbers::Float64(v) => Numbers::Float64(rows.merge(v)?),
    };
    let tidied = rows.tidied;
    let chunk = CellChunk {
        cells: chunk.cells.clone(),
        indptr: rows.indptr,
        genes: Numbers::Int64(rows.kept),
        values,
    };
    Ok((chunk, tidied))
}

struct Rows<'a> {
    chunk: &'a CellChunk,
    genes: &'a [i64],
    spec: &'a CooSpec<'a>,
    indptr: Vec<usize>,
    kept: Vec<i64>,
    tidied: Tidied,
}

impl Rows<'_> {
    fn merge<T: Sum>(&mut self, values: &[T]) -> Result<Vec<T::Total>, ChunkError> {
        let mut totals = Vec::with_capacity(values.len());
        let mut order: Vec<usize> = Vec::new();
        for (cell, row) in (self.chunk.cells.start..).zip(self.chunk.indptr.windows(2)) {
            order.clear();
            order.extend(row[0]..row[1]);
            if !order.is_sorted_by_key(|&entry| self.genes[entry]) {
                self.tidied.sorted_cells += 1;
                // Stable: entries of the same gene are added in the order of the input.
                order.sort_by_key(|&entry| self.genes[entry]);
            }
            let mut entries = order.iter().peekable();
            while let Some(&entry) = entries.next() {
                let gene = self.genes[entry];
                let mut total = values[entry].widen();
                while let Some(&&next) = entries.peek()
                    && self.genes[next] == gene
                {
                    total = T::add(total, values[next]).ok_or_else(|| ChunkError::SumTooLarge {
                        path: self.spec.path.clone(),
                        matrix: self.spec.matrix.clone(),
                        cell,
                        gene,
                    })?;
                    self.tidied.merged += 1;
                    entries.next();
                }
                if T::is_zero(total) {
                    self.tidied.zeros += 1;
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
