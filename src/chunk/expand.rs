//! Converts chunks in canonical form to columns. They are checked, narrowed, counted and digested
//! block by block, so that the data of one step is still in the CPU cache for the next.

use std::sync::Arc;

use arrow::array::{ArrayRef, PrimitiveArray, new_empty_array};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int32Type, UInt16Type, UInt32Type,
};

use super::contents::{ContentHash, GeneIdentity};
use super::digest::MixedValue;
use super::narrow::{Column, IdColumn, Narrow, ascend};
use super::{ColumnHashes, CooSpec, Digest, IdHash, ValueStats};
use crate::plan::IdType;
use crate::source::CsrChunk;
use crate::survey::ValueType;

/// Number of entries of a block, unless a single cell has more. At up to 16 bytes each before and
/// after conversion, they fit into the cache of one core.
const BLOCK: usize = 1 << 13;

/// A chunk converted to columns.
pub(super) struct Expanded {
    /// Cell identifier of each entry.
    pub cells: ArrayRef,
    /// Gene identifier of each entry.
    pub genes: ArrayRef,
    /// Value of each entry.
    pub values: ArrayRef,
    /// Statistics of each cell.
    pub stats: Vec<ValueStats>,
    /// Number of values that are not whole numbers.
    pub fractions: u64,
    /// Hash of each cell's contents, if requested.
    pub contents: Vec<u64>,
    /// Digest of the rows.
    pub digest: Digest,
}

/// Converts a chunk to columns. Returns `None` if a gene does not exist, genes do not ascend in
/// every cell, or a value is zero or not exact in the planned type; the caller then searches for
/// the cause.
pub(super) fn expand(
    chunk: &CsrChunk,
    cell_hashes: &[IdHash],
    spec: &CooSpec<'_>,
) -> Option<Expanded> {
    let mut expanded = match spec.gene_type {
        IdType::UInt16 => by_value::<UInt16Type>(chunk, cell_hashes, spec),
        IdType::UInt32 => by_value::<UInt32Type>(chunk, cell_hashes, spec),
        IdType::Int32 => by_value::<Int32Type>(chunk, cell_hashes, spec),
    }?;
    expanded.cells = match spec.cell_type {
        IdType::UInt16 => cell_column::<UInt16Type>(chunk, spec),
        IdType::UInt32 => cell_column::<UInt32Type>(chunk, spec),
        IdType::Int32 => cell_column::<Int32Type>(chunk, spec),
    };
    Some(expanded)
}

fn by_value<G>(chunk: &CsrChunk, cell_hashes: &[IdHash], spec: &CooSpec<'_>) -> Option<Expanded>
where
    G: ArrowPrimitiveType<Native: IdColumn>,
{
    match spec.value_type {
        ValueType::UInt16 => block_by_block::<G, UInt16Type>(chunk, cell_hashes, spec),
        ValueType::UInt32 => block_by_block::<G, UInt32Type>(chunk, cell_hashes, spec),
        ValueType::Int32 => block_by_block::<G, Int32Type>(chunk, cell_hashes, spec),
        ValueType::Float32 => block_by_block::<G, Float32Type>(chunk, cell_hashes, spec),
        ValueType::Float64 => block_by_block::<G, Float64Type>(chunk, cell_hashes, spec),
    }
}

/// Converts everything but the cell column, which is left empty.
fn block_by_block<G, V>(
    chunk: &CsrChunk,
    cell_hashes: &[IdHash],
    spec: &CooSpec<'_>,
) -> Option<Expanded>
where
    G: ArrowPrimitiveType<Native: IdColumn>,
    V: ArrowPrimitiveType<Native: Column>,
{
    let ends = &chunk.indptr;
    let mut genes: Vec<G::Native> = Vec::with_capacity(chunk.indices.len());
    let mut values: Vec<V::Native> = Vec::with_capacity(chunk.data.len());
    let mut stats = Vec::with_capacity(cell_hashes.len());
    let mut digest = Digest::default();
    let (mut fractions, mut all_contents) = (0, Vec::new());
    let mut first = 0;
    while first + 1 < ends.len() {
        let mut last = first + 1;
        while last + 1 < ends.len() && ends[last + 1] - ends[first] <= BLOCK {
            last += 1;
        }
        let block = ends[first]..ends[last];
        let exist = G::Native::genes(&chunk.indices, block.clone(), spec.genes, &mut genes);
        let seen = V::Native::values(&chunk.data, block, &mut values);
        if !exist || !seen.exact || seen.zeros {
            return None;
        }
        fractions += V::Native::fractions(&values[ends[first]..]);
        for (row, &cell) in ends[first..=last].windows(2).zip(&cell_hashes[first..]) {
            let (genes, values) = (&genes[row[0]..row[1]], &values[row[0]..row[1]]);
            if !ascend(genes) {
                return None;
            }
            let of_cell = ValueStats::of_cell(values);
            stats.push(of_cell);
            let of_rows = if let Some(identities) = spec.identities {
                let (digest, contents) =
                    row_hashes(cell, genes, values, spec.gene_hashes, identities);
                all_contents.push(contents.finish(of_cell.sum));
                digest
            } else {
                row_digest(cell, genes, values, spec.gene_hashes)
            };
            digest.add(of_rows);
        }
        first = last;
    }
    Some(Expanded {
        // Filled in by the caller if everything is valid.
        cells: new_empty_array(&DataType::UInt32),
        genes: column::<G>(genes),
        values: column::<V>(values),
        stats,
        fractions,
        contents: all_contents,
        digest,
    })
}

/// Returns the digest of a cell's rows. The genes must exist.
fn row_digest<G: IdColumn, V: Column>(
    cell: IdHash,
    genes: &[G],
    values: &[V],
    hashes: ColumnHashes<'_>,
) -> Digest {
    let mut digest = Digest::default();
    for (&gene, &value) in genes.iter().zip(values) {
        let gene = gene
            .try_into()
            .map_or(IdHash::NOBODY, |gene| hashes.of(gene));
        digest.add_entry(cell, gene, value.into());
    }
    digest
}

/// Returns the digest of a cell's rows and the hash of its contents, which have most of the work in
/// common. The genes must exist.
fn row_hashes<G: IdColumn, V: Column>(
    cell: IdHash,
    genes: &[G],
    values: &[V],
    hashes: ColumnHashes<'_>,
    identities: &[GeneIdentity],
) -> (Digest, ContentHash) {
    let (mut digest, mut contents) = (Digest::default(), ContentHash::default());
    for (&gene, &value) in genes.iter().zip(values) {
        let value = MixedValue::of(value.into());
        let gene = gene.try_into().unwrap_or(usize::MAX);
        digest.add_mixed(cell, hashes.of(gene), value);
        if let Some(&identity) = identities.get(gene) {
            contents.add(identity, value);
        }
    }
    (digest, contents)
}

fn column<T: ArrowPrimitiveType>(values: Vec<T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), None))
}

/// Repeats each cell's identifier once per row.
fn cell_column<T: ArrowPrimitiveType>(chunk: &CsrChunk, spec: &CooSpec<'_>) -> ArrayRef
where
    u64: Narrow<T::Native>,
{
    let rows = chunk.indptr.last().copied().unwrap_or(0);
    let mut ids = Vec::with_capacity(rows);
    let first = spec.first_cell + chunk.rows.start;
    for (cell, row) in (first..).zip(chunk.indptr.windows(2)) {
        let (id, fits) = Narrow::<T::Native>::narrow(cell);
        debug_assert!(fits, "the plan counts cells before it chooses this type");
        ids.resize(ids.len() + (row[1] - row[0]), id);
    }
    column::<T>(ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Reindex;
    use crate::source::TypedVec;

    const GENES: usize = BLOCK + 10;

    fn hashes(count: usize) -> Vec<IdHash> {
        (0..count).map(|id| IdHash::of(&id.to_string())).collect()
    }

    fn spec(gene_hashes: &[IdHash]) -> CooSpec<'_> {
        CooSpec {
            path: "made".into(),
            matrix: "X".into(),
            first_cell: 100,
            genes: GENES as u64,
            columns: &Reindex::Identity,
            dataset_genes: GENES as u64,
            cell_type: IdType::UInt32,
            gene_type: IdType::UInt16,
            value_type: ValueType::UInt16,
            gene_hashes: gene_hashes.into(),
            identities: None,
        }
    }

    /// Makes cells of these sizes; their entries start at the first gene.
    fn chunk(first: u64, sizes: &[usize]) -> CsrChunk {
        let (mut indptr, mut genes, mut values) = (vec![0], Vec::new(), Vec::new());
        for (&size, cell) in sizes.iter().zip(first..) {
            genes.extend(0..i32::try_from(size).unwrap());
            values.extend((0..size).map(|gene| ((gene as u64 + cell) % 7 + 1) as f32));
            indptr.push(genes.len());
        }
        CsrChunk {
            rows: first..first + sizes.len() as u64,
            indptr,
            indices: TypedVec::Int32(genes),
            data: TypedVec::Float32(values),
            strays: 0,
        }
    }

    #[test]
    fn cells_in_blocks_are_as_cells_alone() {
        let sizes = [3, BLOCK - 4, 2, 0, BLOCK + 5, BLOCK, 1];
        let (gene_hashes, cell_hashes) = (hashes(GENES), hashes(sizes.len()));
        let spec = spec(&gene_hashes);
        let whole = expand(&chunk(0, &sizes), &cell_hashes, &spec).unwrap();
        let (mut start, mut digest) = (0, Digest::default());
        for (cell, &size) in sizes.iter().enumerate() {
            let hash = &cell_hashes[cell..=cell];
            let alone = expand(&chunk(cell as u64, &[size]), hash, &spec).unwrap();
            for (all, own) in [
                (&whole.cells, &alone.cells),
                (&whole.genes, &alone.genes),
                (&whole.values, &alone.values),
            ] {
                assert_eq!(all.slice(start, size).as_ref(), own.as_ref());
            }
            assert_eq!(whole.stats[cell], alone.stats[0]);
            digest.add(alone.digest);
            start += size;
        }
        assert_eq!(whole.values.len(), start);
        assert_eq!(whole.digest, digest);
    }

    #[test]
    fn hashes_of_rows_and_contents_are_those_of_each_alone() {
        let sizes = [3, BLOCK + 5, 0, 4, 40];
        let (gene_hashes, cell_hashes) = (hashes(GENES), hashes(sizes.len()));
        let identities: Vec<GeneIdentity> = (0..GENES)
            .map(|gene| GeneIdentity::of(&format!("gene {gene}")))
            .collect();
        let without = spec(&gene_hashes);
        let with = CooSpec {
            identities: Some(&identities),
            ..spec(&gene_hashes)
        };
        let chunk = chunk(0, &sizes);
        let alone = expand(&chunk, &cell_hashes, &without).unwrap();
        let both = expand(&chunk, &cell_hashes, &with).unwrap();
        assert_eq!(both.digest, alone.digest);
        let wanted = sizes.iter().enumerate().map(|(cell, &size)| {
            let entries: Vec<(u32, f64)> = (0..size as u32)
                .map(|gene| (gene, f64::from((gene + cell as u32) % 7 + 1)))
                .collect();
            crate::chunk::contents_of_entries(&entries, &identities).unwrap()
        });
        assert_eq!(both.contents, wanted.collect::<Vec<u64>>());
        assert_eq!(both.contents[2], crate::chunk::NO_CONTENTS);
    }

    #[test]
    fn what_is_wrong_in_a_later_block_is_seen() {
        let sizes = [BLOCK, BLOCK, 3];
        let (gene_hashes, cell_hashes) = (hashes(GENES), hashes(sizes.len()));
        let spec = spec(&gene_hashes);
        let wrong = |gene: Option<i32>, value: Option<f32>| {
            let mut chunk = chunk(0, &sizes);
            let (TypedVec::Int32(genes), TypedVec::Float32(values)) =
                (&mut chunk.indices, &mut chunk.data)
            else {
                unreachable!("made so")
            };
            let last = genes.len() - 1;
            genes[last] = gene.unwrap_or(genes[last]);
            values[last] = value.unwrap_or(values[last]);
            expand(&chunk, &cell_hashes, &spec).is_none()
        };
        assert!(!wrong(None, None) && !wrong(Some(GENES as i32 - 1), Some(65535.0)));
        assert!(wrong(Some(GENES as i32), None), "no such gene");
        assert!(wrong(Some(-1), None), "no such gene");
        assert!(wrong(Some(1), None), "a gene twice");
        assert!(wrong(Some(0), None), "out of order");
        for value in [0.0, -0.0, 0.5, 65536.0, -1.0, f32::NAN] {
            assert!(wrong(None, Some(value)), "{value}");
        }
    }
}
