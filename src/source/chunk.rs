//! Chunks of rows, as readers return them.

use std::ops::Range;

use sprs::CsMat;

use super::{SourceError, TypedVec};

/// Upper limits for the size of a chunk. A chunk always has at least one row, however many entries
/// that row has.
#[derive(Debug, Clone, Copy)]
pub struct ChunkBudget {
    /// Bytes of a chunk, both as read and as later expanded into table columns.
    pub bytes: u64,
    /// Maximum number of rows in a chunk.
    pub cells: u64,
}

/// Bytes per entry while a matrix is expanded into the columns of a table.
pub(crate) const EXPANDED_BYTES: u64 = 16;

/// The entries of a range of rows in CSR form, in the types of the input. They are not sorted, not
/// checked against the number of columns, and may contain explicit zeros and duplicates.
#[derive(Debug, Clone, PartialEq)]
pub struct CsrChunk {
    /// The rows, by their position in the input.
    pub rows: Range<u64>,
    /// `rows.len() + 1` offsets into `indices` and `data`, starting at 0 and never decreasing.
    pub indptr: Vec<usize>,
    /// Column of each entry (the gene's position in the input, for X and layers).
    pub indices: TypedVec,
    /// Value of each entry.
    pub data: TypedVec,
    /// Number of entries of the input within these rows that were skipped because their row or
    /// column is not in obs or var.
    pub strays: u64,
}

impl CsrChunk {
    /// Returns the chunk as a CSR matrix of cells × `genes`, sorted by gene.
    ///
    /// Returns `None` if a `CsMat<f64>` cannot represent the chunk: an index is out of bounds, an
    /// entry is duplicated, or a value is not exactly representable as `f64`.
    ///
    /// ```
    /// use slaf::source::{CsrChunk, TypedVec};
    ///
    /// let chunk = CsrChunk {
    ///     rows: 10..12,
    ///     indptr: vec![0, 2, 3],
    ///     indices: TypedVec::Int32(vec![4, 1, 0]),
    ///     data: TypedVec::UInt16(vec![7, 8, 9]),
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

/// A chunk whose extent is known but which has not been read yet.
#[must_use = "nothing is read before `read`"]
pub struct PendingChunk<'a> {
    /// The rows, by their position in the input.
    pub rows: Range<u64>,
    /// Number of stored entries: exact for sparse input, an upper bound for dense input.
    pub entries: u64,
    read: ReadChunk<'a>,
}

impl<'a> PendingChunk<'a> {
    /// Creates a chunk that `read` will read.
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

    /// Reads and decompresses the chunk on the current thread.
    ///
    /// # Errors
    /// If the input is damaged or cannot be read, or with [`SourceError::OrderLost`] if its entries
    /// are not sorted as assumed.
    pub fn read(self) -> Result<CsrChunk, SourceError> {
        (self.read)()
    }
}

/// Chunks that cover a range of rows in order and without gaps.
pub type Chunks<'a> = Box<dyn Iterator<Item = Result<PendingChunk<'a>, SourceError>> + Send + 'a>;

/// Chunks of rows that have no entries.
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
                        indices: TypedVec::UInt32(Vec::new()),
                        data: TypedVec::Float32(Vec::new()),
                        strays: 0,
                    })
                }))
            }),
    )
}
