//! Row ranges in which several matrices are read side by side, each with the chunks of all of them.

use std::ops::Range;

use super::chunk::no_entries;
use super::{
    CellSource, ChunkBudget, Chunks, MatrixDescription, MatrixName, PendingChunk, SourceError,
};

const EVERYTHING: ChunkBudget = ChunkBudget {
    bytes: u64::MAX,
    cells: u64::MAX,
};

/// A range of rows that are not read yet.
pub(crate) struct RowRangeChunks<'a> {
    /// The rows.
    pub rows: Range<u64>,
    /// The chunks of each matrix, which together contain all rows of the range.
    pub matrices: Vec<Vec<PendingChunk<'a>>>,
}

/// Ranges of rows, in order and without gaps.
pub(crate) type RowRanges<'a> =
    Box<dyn Iterator<Item = Result<RowRangeChunks<'a>, SourceError>> + Send + 'a>;

/// Divides the rows of matrices into ranges within the budget.
pub(crate) fn row_ranges<'a>(
    source: &'a dyn CellSource,
    matrices: &'a [MatrixDescription],
    rows: Range<u64>,
    budget: ChunkBudget,
) -> Result<RowRanges<'a>, SourceError> {
    if let [matrix] = matrices {
        let chunks = if matrix.is_readable() {
            source.matrix(&matrix.name)?.chunks(rows, budget)?
        } else {
            no_entries(rows, budget)
        };
        return Ok(Box::new(chunks.map(|chunk| {
            chunk.map(|chunk| RowRangeChunks {
                rows: chunk.rows.clone(),
                matrices: vec![vec![chunk]],
            })
        })));
    }
    let ranges = SideBySide {
        source,
        matrices,
        rows,
        // The budget of a range is divided evenly between the matrices.
        budget: ChunkBudget {
            bytes: budget.bytes / matrices.len().max(1) as u64,
            ..budget
        },
    };
    Ok(Box::new(ranges))
}

/// Splits several matrices at the same rows: where the first of them has used up its share.
struct SideBySide<'a> {
    source: &'a dyn CellSource,
    matrices: &'a [MatrixDescription],
    /// Rows that are not split yet.
    rows: Range<u64>,
    budget: ChunkBudget,
}

impl<'a> SideBySide<'a> {
    fn chunks(
        &self,
        matrix: &MatrixName,
        end: u64,
        budget: ChunkBudget,
    ) -> Result<Chunks<'a>, SourceError> {
        let matrix = self.source.matrix(matrix)?;
        matrix.chunks(self.rows.start..end, budget)
    }

    fn cut(&mut self) -> Result<RowRangeChunks<'a>, SourceError> {
        let mut first = Vec::with_capacity(self.matrices.len());
        let mut end = self.rows.end;
        for matrix in self.matrices {
            if !matrix.is_readable() {
                first.push(None);
                continue;
            }
            // A chunk that ends later than another matrix's is split again below.
            let mut chunks = self.chunks(&matrix.name, end, self.budget)?;
            let chunk = chunks.next().transpose()?;
            end = chunk.as_ref().map_or(end, |chunk| chunk.rows.end.min(end));
            first.push(chunk);
        }
        let mut matrices = Vec::with_capacity(first.len());
        for (matrix, chunk) in self.matrices.iter().zip(first) {
            matrices.push(match chunk {
                None if !matrix.is_readable() => {
                    let rows = self.rows.start..end;
                    no_entries(rows, EVERYTHING).collect::<Result<_, _>>()?
                }
                Some(chunk) if chunk.rows.end == end => vec![chunk],
                _ => self
                    .chunks(&matrix.name, end, self.budget)?
                    .collect::<Result<_, _>>()?,
            });
        }
        let rows = self.rows.start..end;
        self.rows.start = end;
        Ok(RowRangeChunks { rows, matrices })
    }
}

impl<'a> Iterator for SideBySide<'a> {
    type Item = Result<RowRangeChunks<'a>, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows.is_empty() {
            return None;
        }
        let range = self.cut();
        if range.is_err() {
            self.rows.start = self.rows.end;
        }
        Some(range)
    }
}
