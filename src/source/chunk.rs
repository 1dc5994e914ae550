//! Chunks of cells, as a reader yields them.

use std::ops::Range;

use sprs::CsMat;

use super::{Numbers, SourceError};

/// How large a chunk may be. A chunk has one cell at least, however many entries that has.
#[derive(Debug, Clone, Copy)]
pub struct ChunkBudget {
    /// Bytes of a chunk, as read and as later expanded into columns.
    pub bytes: u64,
    /// Cells of a chunk at most.
    pub cells: u64,
}

/// Bytes that an entry of a matrix takes while it is expanded into columns of a table.
pub(crate) const EXPANDED_BYTES: u64 = 16;

/// The entries of a range of cells as compressed sparse rows, in the types of the input: neither
/// sorted, nor checked against the number of genes, nor free of zeros or duplicates.
#[derive(Debug, Clone, PartialEq)]
pub struct CsrChunk {
    /// The cells, by their position in the input.
    pub rows: Range<u64>,
    /// `rows.len() + 1` positions in `indices` and `data`, from 0, never decreasing.
    pub indptr: Vec<usize>,
    /// The position of each entry's gene in the input.
    pub indices: Numbers,
    /// The value of each entry.
    pub data: Numbers,
    /// Entries that the input has between these cells, and that were passed over: their cell or gene
    /// is none of its obs or var.
    pub strays: u64,
}

impl CsrChunk {
    /// The chunk as a matrix of cells × `genes` in compressed sparse rows, sorted by gene.
    ///
    /// `None` where that would not be the same matrix: an entry lies outside of it, there are two
    /// for one cell and gene, or a value is not exact in float64.
    ///
    /// ```
    /// use slaf::source::{CsrChunk, Numbers};
    ///
    /// let chunk = CsrChunk {
    ///     rows: 10..12,
    ///     indptr: vec![0, 2, 3],
    ///     indices: Numbers::Int32(vec![4, 1, 0]),
    ///     data: Numbers::UInt16(vec![7, 8, 9]),
    ///     strays: 0,
    /// };
    /// let matrix = chunk.to_csr(5).unwrap();
    /// assert_eq!(matrix.shape(), (2, 5));
    /// assert_eq!(matrix.get(0, 1), Some(&8.0));
    /// assert!(chunk.to_csr(4).is_none());
    /// ```
    pub fn to_csr(&self, genes: usize) -> Option<CsMat<f64>> {
        let positions = self.indices.to_i64().ok()?;
        let positions: Vec<usize> = positions
            .into_iter()
            .map(|gene| usize::try_from(gene).ok().filter(|&gene| gene < genes))
            .collect::<Option<_>>()?;
        let values = self.data.to_f64().ok()?;
        let shape = (self.indptr.len() - 1, genes);
        let matrix =
            CsMat::new_from_unsorted(shape, self.indptr.clone(), positions, values).ok()?;
        let twice = |row: &[usize]| row.windows(2).any(|pair| pair[0] == pair[1]);
        let rows = matrix.outer_iterator();
        let distinct = rows.into_iter().all(|row| !twice(row.indices()));
        distinct.then_some(matrix)
    }
}

type ReadChunk<'a> = Box<dyn FnOnce() -> Result<CsrChunk, SourceError> + Send + 'a>;

/// A chunk that is cut but not yet read.
pub struct PendingChunk<'a> {
    /// The cells, by their position in the input.
    pub rows: Range<u64>,
    /// Stored entries: exact for sparse input, the upper bound for dense input.
    pub entries: u64,
    read: ReadChunk<'a>,
}

impl<'a> PendingChunk<'a> {
    /// A chunk that `read` will read.
    pub fn new(
        cells: Range<u64>,
        entries: u64,
        read: impl FnOnce() -> Result<CsrChunk, SourceError> + Send + 'a,
    ) -> Self {
        PendingChunk {
            rows: cells,
            entries,
            read: Box::new(read),
        }
    }

    /// Reads and decompresses the chunk on this thread.
    pub fn read(self) -> Result<CsrChunk, SourceError> {
        (self.read)()
    }
}

/// Chunks of a range of cells, in order and without gaps.
pub type Chunks<'a> = Box<dyn Iterator<Item = Result<PendingChunk<'a>, SourceError>> + Send + 'a>;

/// Chunks of cells that have no entries.
pub(crate) fn no_entries<'a>(cells: Range<u64>, budget: ChunkBudget) -> Chunks<'a> {
    let step = budget.cells.clamp(1, 1 << 14);
    let starts = std::iter::successors(Some(cells.start), move |start| start.checked_add(step));
    Box::new(
        starts
            .take_while(move |&start| start < cells.end)
            .map(move |start| {
                let cells = start..(start + step).min(cells.end);
                let range = cells.clone();
                Ok(PendingChunk::new(cells, 0, move || {
                    Ok(CsrChunk {
                        indptr: vec![0; (range.end - range.start) as usize + 1],
                        rows: range,
                        indices: Numbers::UInt32(Vec::new()),
                        data: Numbers::Float32(Vec::new()),
                        strays: 0,
                    })
                }))
            }),
    )
}
