//! Rows of the expression table.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int32Type, UInt16Type, UInt32Type,
};

use super::narrow::{Genes, Narrow, Narrowed, narrow_genes, narrow_values};
use super::tidy::{Tidied, tidy};
use super::{ChunkError, ColumnMap, CooSpec, Digest, IdHash, ValueStats};
use crate::plan::IdType;
use crate::source::{CellChunk, Numbers};
use crate::survey::{ValueType, ValueTypes, first_misfit};

/// Rows of the expression table for a range of cells: cells ascend, genes ascend within a cell, no
/// coordinate occurs twice and no value is zero.
#[derive(Debug, Clone)]
pub struct CooBatch {
    /// Identifiers of the cells, one a row.
    pub cell_ids: ArrayRef,
    /// Identifiers of the genes.
    pub gene_ids: ArrayRef,
    pub values: ArrayRef,
    /// Rows of each cell.
    pub counts: Vec<u32>,
    /// Statistics of each cell.
    pub stats: Vec<ValueStats>,
    /// Entries of the chunk as stored.
    pub entries: u64,
    pub tidied: Tidied,
    pub digest: Digest,
}

impl CooBatch {
    /// Checks, tidies and narrows a chunk. `cell_hashes` are those of the chunk's cells.
    ///
    /// # Errors
    /// [`ChunkError`] naming cell and gene: a gene that does not exist, a value that the planned
    /// type does not hold exactly, a sum that no type holds.
    pub fn new(
        chunk: &CellChunk,
        cell_hashes: &[IdHash],
        spec: &CooSpec<'_>,
    ) -> Result<Self, ChunkError> {
        let entries = chunk.values.len() as u64;
        let moved = spec.columns.applied(chunk, spec)?;
        if let Some(moved) = &moved {
            // Rows that are out of order now were not so in the input.
            let here = CooSpec {
                genes: spec.dataset_genes,
                columns: ColumnMap::Same,
                ..spec.clone()
            };
            let mut batch = CooBatch::new(moved, cell_hashes, &here)?;
            batch.entries = entries;
            batch.tidied.sorted_cells = 0;
            return Ok(batch);
        }
        if let Some(columns) = Columns::of(chunk, spec)? {
            let tidied = Tidied::default();
            return Ok(columns.into_batch(chunk, cell_hashes, spec, entries, tidied));
        }
        let genes = checked_columns(chunk, spec)?;
        let (tidied_chunk, tidied) = tidy(chunk, &genes, spec)?;
        let columns = Columns::of(&tidied_chunk, spec)?;
        let columns = columns.expect("a tidied chunk has no zeros and ascending genes");
        Ok(columns.into_batch(&tidied_chunk, cell_hashes, spec, entries, tidied))
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.values.len()
    }
}

struct Columns {
    genes: ArrayRef,
    values: ArrayRef,
    stats: Vec<ValueStats>,
}

impl Columns {
    /// The columns of a chunk that is tidy; `None` for one that is not.
    fn of(chunk: &CellChunk, spec: &CooSpec<'_>) -> Result<Option<Self>, ChunkError> {
        let genes = match spec.gene_type {
            IdType::UInt16 => gene_column::<UInt16Type>(chunk, spec)?,
            IdType::UInt32 => gene_column::<UInt32Type>(chunk, spec)?,
            IdType::Int32 => gene_column::<Int32Type>(chunk, spec)?,
        };
        let Some(genes) = genes else { return Ok(None) };
        let values = match spec.value_type {
            ValueType::UInt16 => value_column::<UInt16Type>(chunk, spec)?,
            ValueType::UInt32 => value_column::<UInt32Type>(chunk, spec)?,
            ValueType::Int32 => value_column::<Int32Type>(chunk, spec)?,
            ValueType::Float32 => value_column::<Float32Type>(chunk, spec)?,
            ValueType::Float64 => value_column::<Float64Type>(chunk, spec)?,
        };
        Ok(values.map(|(values, stats)| Columns {
            genes,
            values,
            stats,
        }))
    }

    fn into_batch(
        self,
        chunk: &CellChunk,
        cell_hashes: &[IdHash],
        spec: &CooSpec<'_>,
        entries: u64,
        tidied: Tidied,
    ) -> CooBatch {
        let cell_ids = match spec.cell_type {
            IdType::UInt16 => cell_column::<UInt16Type>(chunk, spec),
            IdType::UInt32 => cell_column::<UInt32Type>(chunk, spec),
            IdType::Int32 => cell_column::<Int32Type>(chunk, spec),
        };
        let digest = digest(&self.genes, &self.values, &chunk.indptr, cell_hashes, spec);
        // A cell has at most as many rows as there are genes, which fit 32 bits by the plan.
        let counts = chunk
            .indptr
            .windows(2)
            .map(|row| (row[1] - row[0]) as u32)
            .collect();
        CooBatch {
            cell_ids,
            gene_ids: self.genes,
            values: self.values,
            counts,
            stats: self.stats,
            entries,
            tidied,
            digest,
        }
    }
}

/// The digest of rows, those of each cell between two positions of `indptr`.
fn digest(
    genes: &ArrayRef,
    values: &ArrayRef,
    indptr: &[usize],
    cell_hashes: &[IdHash],
    spec: &CooSpec<'_>,
) -> Digest {
    match spec.gene_type {
        IdType::UInt16 => digest_values::<UInt16Type>(genes, values, indptr, cell_hashes, spec),
        IdType::UInt32 => digest_values::<UInt32Type>(genes, values, indptr, cell_hashes, spec),
        IdType::Int32 => digest_values::<Int32Type>(genes, values, indptr, cell_hashes, spec),
    }
}

fn digest_values<G: ArrowPrimitiveType>(
    genes: &ArrayRef,
    values: &ArrayRef,
    indptr: &[usize],
    cell_hashes: &[IdHash],
    spec: &CooSpec<'_>,
) -> Digest
where
    G::Native: TryInto<usize>,
{
    fn sum<G: Copy + TryInto<usize>, V: Copy + Into<f64>>(
        genes: &[G],
        values: &[V],
        indptr: &[usize],
        cell_hashes: &[IdHash],
        gene_hashes: &[IdHash],
    ) -> Digest {
        let mut digest = Digest::default();
        for (&cell, row) in cell_hashes.iter().zip(indptr.windows(2)) {
            let (genes, values) = (&genes[row[0]..row[1]], &values[row[0]..row[1]]);
            for (&gene, &value) in genes.iter().zip(values) {
                // Genes were checked to exist when they were narrowed.
                let gene = gene
                    .try_into()
                    .map_or(gene_hashes[0], |gene| gene_hashes[gene]);
                digest.add_entry(cell, gene, value.into());
            }
        }
        digest
    }
    let genes = genes.as_primitive::<G>().values();
    let hashes = spec.gene_hashes;
    macro_rules! sum {
        ($type:ty) => {
            sum(
                genes,
                values.as_primitive::<$type>().values(),
                indptr,
                cell_hashes,
                hashes,
            )
        };
    }
    match spec.value_type {
        ValueType::UInt16 => sum!(UInt16Type),
        ValueType::UInt32 => sum!(UInt32Type),
        ValueType::Int32 => sum!(Int32Type),
        ValueType::Float32 => sum!(Float32Type),
        ValueType::Float64 => sum!(Float64Type),
    }
}

fn column<T: ArrowPrimitiveType>(values: Vec<T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), None))
}

/// The column of genes, or `None` where they do not ascend.
fn gene_column<T: ArrowPrimitiveType>(
    chunk: &CellChunk,
    spec: &CooSpec<'_>,
) -> Result<Option<ArrayRef>, ChunkError>
where
    i8: Narrow<T::Native>,
    i16: Narrow<T::Native>,
    i32: Narrow<T::Native>,
    i64: Narrow<T::Native>,
    u8: Narrow<T::Native>,
    u16: Narrow<T::Native>,
    u32: Narrow<T::Native>,
    u64: Narrow<T::Native>,
{
    fn genes<S, T>(genes: &[S], chunk: &CellChunk, spec: &CooSpec<'_>) -> Genes<T>
    where
        S: Narrow<T> + PartialOrd + TryFrom<u64> + bytemuck::Zeroable,
    {
        narrow_genes(genes, &chunk.indptr, spec.genes)
    }
    let genes: Genes<T::Native> = match &chunk.genes {
        Numbers::Int8(v) => genes(v, chunk, spec),
        Numbers::Int16(v) => genes(v, chunk, spec),
        Numbers::Int32(v) => genes(v, chunk, spec),
        Numbers::Int64(v) => genes(v, chunk, spec),
        Numbers::UInt8(v) => genes(v, chunk, spec),
        Numbers::UInt16(v) => genes(v, chunk, spec),
        Numbers::UInt32(v) => genes(v, chunk, spec),
        Numbers::UInt64(v) => genes(v, chunk, spec),
        Numbers::Bool(_) | Numbers::Float16(_) | Numbers::Float32(_) | Numbers::Float64(_) => {
            unreachable!("readers yield genes as whole numbers")
        }
    };
    if !genes.in_range {
        return checked_columns(chunk, spec).map(|_| None);
    }
    Ok(genes.ascending.then(|| column::<T>(genes.ids)))
}

/// The positions of the genes, or the first that does not exist.
pub(super) fn checked_columns(
    chunk: &CellChunk,
    spec: &CooSpec<'_>,
) -> Result<Vec<i64>, ChunkError> {
    let out_of_range = |entry: usize, gene: String| ChunkError::GeneOutOfRange {
        path: spec.path.clone(),
        matrix: spec.matrix.clone(),
        cell: cell_of(chunk, entry),
        gene,
        genes: spec.genes,
    };
    let genes = chunk
        .genes
        .to_i64()
        .map_err(|entry| out_of_range(entry, "a number of more than 63 bits".into()))?;
    let bad = |gene: i64| u64::try_from(gene).map_or(true, |gene| gene >= spec.genes);
    match genes.iter().position(|&gene| bad(gene)) {
        Some(entry) => Err(out_of_range(entry, genes[entry].to_string())),
        None => Ok(genes),
    }
}

/// The cell, by its position in the input, to which an entry of the chunk belongs.
fn cell_of(chunk: &CellChunk, entry: usize) -> u64 {
    chunk.cells.start
        + (chunk.indptr.partition_point(|&start| start <= entry) as u64).saturating_sub(1)
}

type ValueColumn = (ArrayRef, Vec<ValueStats>);

/// The column of values, or `None` where some are zero.
fn value_column<T: ArrowPrimitiveType>(
    chunk: &CellChunk,
    spec: &CooSpec<'_>,
) -> Result<Option<ValueColumn>, ChunkError>
where
    T::Native: Into<f64> + PartialEq + bytemuck::Zeroable,
    i8: Narrow<T::Native>,
    i16: Narrow<T::Native>,
    i32: Narrow<T::Native>,
    i64: Narrow<T::Native>,
    u8: Narrow<T::Native>,
    u16: Narrow<T::Native>,
    u32: Narrow<T::Native>,
    u64: Narrow<T::Native>,
    half::f16: Narrow<T::Native>,
    f32: Narrow<T::Native>,
    f64: Narrow<T::Native>,
{
    let narrowed: Narrowed<T::Native> = crate::with_numbers!(&chunk.values, v => narrow_values(v));
    // In this order: a value that became zero because the type is too narrow is no zero.
    if !narrowed.exact {
        return Err(misfit(chunk, spec));
    }
    if narrowed.zeros {
        return Ok(None);
    }
    let stats = chunk
        .indptr
        .windows(2)
        .map(|row| ValueStats::of_cell(&narrowed.values[row[0]..row[1]]))
        .collect();
    Ok(Some((column::<T>(narrowed.values), stats)))
}

/// The first value that the planned type does not hold.
fn misfit(chunk: &CellChunk, spec: &CooSpec<'_>) -> ChunkError {
    let misfit = first_misfit(&chunk.values, spec.value_type);
    let (entry, value) = misfit.unwrap_or_else(|| (0, "that was met".into()));
    let genes = chunk.genes.to_i64().unwrap_or_default();
    ChunkError::Misfit {
        path: spec.path.clone(),
        matrix: spec.matrix.clone(),
        cell: cell_of(chunk, entry),
        gene: genes
            .get(entry)
            .and_then(|&gene| u64::try_from(gene).ok())
            .unwrap_or(0),
        value,
        planned: spec.value_type,
        exact: ValueTypes::exact_for(&chunk.values),
    }
}

/// Each cell's identifier as often as it has rows.
fn cell_column<T: ArrowPrimitiveType>(chunk: &CellChunk, spec: &CooSpec<'_>) -> ArrayRef
where
    u64: Narrow<T::Native>,
{
    let rows = chunk.indptr.last().copied().unwrap_or(0);
    let mut ids = Vec::with_capacity(rows);
    let first = spec.first_cell + chunk.cells.start;
    for (cell, row) in (first..).zip(chunk.indptr.windows(2)) {
        let (id, fits) = Narrow::<T::Native>::narrow(cell);
        debug_assert!(fits, "the plan counts cells before it chooses this type");
        ids.resize(ids.len() + (row[1] - row[0]), id);
    }
    column::<T>(ids)
}
