//! Rows of the expression table.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef};

use super::canonical::{Canonicalized, canonicalize};
use super::expand::{Expanded, expand};
use super::narrow::ascend;
use super::{ChunkError, CooSpec, Digest, IdHash, ValueStats};
use crate::source::{CsrChunk, Reindex};
use crate::survey::{ValueTypes, first_misfit};

/// Rows of the expression table for a range of cells: sorted by cell, then by gene, without
/// duplicate coordinates or zeros.
#[derive(Debug, Clone)]
pub struct CooBatch {
    /// Cell identifier of each row.
    pub cell_ids: ArrayRef,
    /// Gene identifier of each row.
    pub gene_ids: ArrayRef,
    /// Value of each row.
    pub values: ArrayRef,
    /// Number of rows of each cell.
    pub counts: Vec<u32>,
    /// Statistics of each cell.
    pub stats: Vec<ValueStats>,
    /// Hash of each cell's contents, if requested.
    pub contents: Vec<u64>,
    /// Number of values that are not whole numbers.
    pub fractions: u64,
    /// Number of entries of the chunk as stored.
    pub entries: u64,
    /// What was changed to bring the chunk into canonical form.
    pub canonicalized: Canonicalized,
    /// Digest of the rows.
    pub digest: Digest,
}

impl CooBatch {
    /// Checks, canonicalizes and narrows a chunk. `cell_hashes` are the identifier hashes of the
    /// chunk's cells.
    ///
    /// # Errors
    /// [`ChunkError`] naming cell and gene: a gene does not exist, the planned type does not hold a
    /// value exactly, or no type holds a sum.
    pub fn new(
        chunk: &CsrChunk,
        cell_hashes: &[IdHash],
        spec: &CooSpec<'_>,
    ) -> Result<Self, ChunkError> {
        let entries = chunk.data.len() as u64;
        if !spec.columns.is_identity() {
            let moved = spec.columns.moved(Cow::Borrowed(chunk));
            let moved =
                moved.map_err(|outside| out_of_range(chunk, spec, outside.entry, outside.index))?;
            // Rows that are unsorted after the mapping may have been sorted in the input.
            let here = CooSpec {
                genes: spec.dataset_genes,
                columns: &Reindex::Identity,
                ..spec.clone()
            };
            let mut batch = CooBatch::new(&moved, cell_hashes, &here)?;
            batch.entries = entries;
            batch.canonicalized.sorted_cells = 0;
            batch.canonicalized.dropped = entries - moved.data.len() as u64;
            return Ok(batch);
        }
        if let Some(expanded) = expand(chunk, cell_hashes, spec) {
            let canonicalized = Canonicalized {
                strays: chunk.strays,
                ..Canonicalized::default()
            };
            return Ok(CooBatch::from(chunk, expanded, entries, canonicalized));
        }
        let genes = checked_columns(chunk, spec)?;
        // If duplicate entries are summed, the sums must fit instead.
        let mut rows = chunk.indptr.windows(2);
        if rows.all(|row| ascend(&genes[row[0]..row[1]]))
            && let Some(misfit) = misfit(chunk, spec)
        {
            return Err(misfit);
        }
        let (canonical, canonicalized) = canonicalize(chunk, &genes, spec)?;
        match expand(&canonical, cell_hashes, spec) {
            Some(expanded) => Ok(CooBatch::from(&canonical, expanded, entries, canonicalized)),
            None => Err(misfit(&canonical, spec)
                .expect("a canonicalized chunk has no zeros and ascending genes")),
        }
    }

    fn from(
        chunk: &CsrChunk,
        expanded: Expanded,
        entries: u64,
        canonicalized: Canonicalized,
    ) -> Self {
        // A cell has at most as many rows as there are genes; the plan ensures that this fits 32
        // bits.
        let counts = chunk.indptr.windows(2);
        let counts = counts.map(|row| (row[1] - row[0]) as u32).collect();
        CooBatch {
            cell_ids: expanded.cells,
            gene_ids: expanded.genes,
            values: expanded.values,
            counts,
            stats: expanded.stats,
            contents: expanded.contents,
            fractions: expanded.fractions,
            entries,
            canonicalized,
            digest: expanded.digest,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len()
    }
}

/// Error about a gene that does not exist.
fn out_of_range(chunk: &CsrChunk, spec: &CooSpec<'_>, entry: usize, gene: String) -> ChunkError {
    ChunkError::GeneOutOfRange {
        path: spec.path.clone(),
        matrix: spec.matrix.clone(),
        cell: cell_of(chunk, entry),
        gene,
        genes: spec.genes,
    }
}

/// Returns the genes' positions, or an error about the first gene that does not exist.
fn checked_columns(chunk: &CsrChunk, spec: &CooSpec<'_>) -> Result<Vec<i64>, ChunkError> {
    let too_large = "a number of more than 63 bits";
    let genes = chunk.indices.to_i64();
    let genes = genes.map_err(|entry| out_of_range(chunk, spec, entry, too_large.into()))?;
    let bad = |gene: i64| u64::try_from(gene).map_or(true, |gene| gene >= spec.genes);
    match genes.iter().position(|&gene| bad(gene)) {
        Some(entry) => Err(out_of_range(chunk, spec, entry, genes[entry].to_string())),
        None => Ok(genes),
    }
}

/// Checks a chunk of a matrix with so many columns and brings it into canonical form, in types that
/// hold all sums.
pub(crate) fn canonicalized(
    chunk: &CsrChunk,
    path: &std::path::Path,
    matrix: &str,
    columns: u64,
) -> Result<CsrChunk, ChunkError> {
    let spec = CooSpec {
        path: path.to_path_buf(),
        matrix: matrix.to_string(),
        first_cell: 0,
        genes: columns,
        columns: &Reindex::Identity,
        dataset_genes: columns,
        cell_type: crate::plan::IdType::UInt32,
        gene_type: crate::plan::IdType::UInt32,
        value_type: crate::survey::ValueType::Float64,
        gene_hashes: (&[][..]).into(),
        identities: None,
    };
    let genes = checked_columns(chunk, &spec)?;
    canonicalize(chunk, &genes, &spec).map(|(chunk, _)| chunk)
}

/// Returns the position in the input of the cell to which an entry of the chunk belongs.
fn cell_of(chunk: &CsrChunk, entry: usize) -> u64 {
    chunk.rows.start
        + (chunk.indptr.partition_point(|&start| start <= entry) as u64).saturating_sub(1)
}

/// Returns an error about the first value that the planned type does not hold.
fn misfit(chunk: &CsrChunk, spec: &CooSpec<'_>) -> Option<ChunkError> {
    let (entry, value) = first_misfit(&chunk.data, spec.value_type)?;
    let genes = chunk.indices.to_i64().unwrap_or_default();
    Some(ChunkError::Misfit {
        path: spec.path.clone(),
        matrix: spec.matrix.clone(),
        cell: cell_of(chunk, entry),
        gene: genes
            .get(entry)
            .and_then(|&gene| u64::try_from(gene).ok())
            .unwrap_or(0),
        value,
        planned: spec.value_type,
        exact: ValueTypes::exact_for(&chunk.data),
    })
}
