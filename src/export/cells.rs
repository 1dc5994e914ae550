//! Some cells of a source: a range of them, or those of a group.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, concat_batches, take, take_record_batch};

use crate::source::{
    Axis, CellSource, ChunkBudget, Chunks, CsrChunk, Description, ErrorContext, Layout, Matrix,
    MatrixName, PendingChunk, SourceError, TypedVec, Uns,
};

/// Chosen cells at most this far apart are read together.
const GAP: u64 = 64;
/// Cells that are read together at most.
const TOGETHER: u64 = 1 << 14;

/// Cells of a source, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chosen {
    Range(Range<u64>),
    These(Vec<u32>),
}

/// Rows that are read together, of which the first chosen one is at `first` among all chosen ones.
struct Run {
    rows: Range<u64>,
    first: u64,
    /// The chosen ones, relative to the first row; `None` if all are.
    chosen: Option<Vec<u32>>,
}

impl Run {
    fn len(&self) -> u64 {
        match &self.chosen {
            None => self.rows.end - self.rows.start,
            Some(chosen) => chosen.len() as u64,
        }
    }
}

impl Chosen {
    pub fn len(&self) -> u64 {
        match self {
            Chosen::Range(range) => range.end - range.start,
            Chosen::These(rows) => rows.len() as u64,
        }
    }

    /// Some of the chosen ones, by their position among them.
    pub fn part(&self, positions: Range<u64>) -> Chosen {
        match self {
            Chosen::Range(range) => {
                Chosen::Range(range.start + positions.start..range.start + positions.end)
            }
            Chosen::These(rows) => {
                let range = positions.start as usize..positions.end as usize;
                Chosen::These(rows[range].to_vec())
            }
        }
    }

    /// The position of a row among the chosen ones.
    fn position(&self, row: u64) -> Option<u32> {
        match self {
            Chosen::Range(range) => {
                let position = range.contains(&row).then(|| row - range.start)?;
                u32::try_from(position).ok()
            }
            Chosen::These(rows) => {
                let row = u32::try_from(row).ok()?;
                rows.binary_search(&row).ok()?.try_into().ok()
            }
        }
    }

    fn runs(&self, positions: Range<u64>) -> Vec<Run> {
        if positions.is_empty() {
            return Vec::new();
        }
        let rows = match self.part(positions.clone()) {
            Chosen::Range(rows) => {
                return vec![Run {
                    rows,
                    first: positions.start,
                    chosen: None,
                }];
            }
            Chosen::These(rows) => rows,
        };
        let mut runs: Vec<Run> = Vec::new();
        for (position, row) in (positions.start..).zip(rows.into_iter().map(u64::from)) {
            match runs.last_mut() {
                Some(Run {
                    rows,
                    chosen: Some(chosen),
                    ..
                }) if row - rows.end < GAP && row - rows.start < TOGETHER => {
                    chosen.push((row - rows.start) as u32);
                    rows.end = row + 1;
                }
                _ => runs.push(Run {
                    rows: row..row + 1,
                    first: position,
                    chosen: Some(vec![0]),
                }),
            }
        }
        runs
    }
}

/// A source of which some cells are there.
pub(super) struct SomeCells {
    source: Arc<dyn CellSource>,
    chosen: Arc<Chosen>,
    description: Description,
    matrices: Vec<(MatrixName, SomeRows)>,
}

impl SomeCells {
    pub fn of(source: Arc<dyn CellSource>, chosen: Chosen) -> Self {
        let mut description = source.description().clone();
        description.n_obs = chosen.len();
        let chosen = Arc::new(chosen);
        let matrices = description.matrices().map(|matrix| {
            let name = matrix.name.clone();
            let rows = SomeRows {
                source: source.clone(),
                chosen: chosen.clone(),
                name: name.clone(),
            };
            (name, rows)
        });
        let matrices = matrices.collect();
        let main = std::iter::once(&mut description.x);
        let others = description.layers.iter_mut().chain(&mut description.obsp);
        for matrix in main.chain(others) {
            if matrix.layout != Layout::Absent {
                matrix.entries = None;
            }
        }
        SomeCells {
            source,
            chosen,
            description,
            matrices,
        }
    }

    fn damaged(&self, error: impl ToString) -> SourceError {
        ErrorContext::new(&self.description.path, "obs").damaged(error.to_string())
    }
}

impl CellSource for SomeCells {
    fn description(&self) -> &Description {
        &self.description
    }

    fn files(&self) -> Vec<PathBuf> {
        self.source.files()
    }

    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        let mut parts: Vec<ArrayRef> = Vec::new();
        for run in self.chosen.runs(cells) {
            let names = self.source.obs_names(run.rows)?;
            parts.push(match run.chosen {
                None => Arc::new(names),
                Some(chosen) => take(&names, &UInt32Array::from(chosen), None)
                    .map_err(|error| self.damaged(error))?,
            });
        }
        if parts.is_empty() {
            return Ok(StringArray::from(Vec::<&str>::new()));
        }
        let parts: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
        let all = concat(&parts).map_err(|error| self.damaged(error))?;
        Ok(all.as_string::<i32>().clone())
    }

    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        self.source.var_names(genes)
    }

    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        let length = (cells.end - cells.start) as usize;
        if self.description.obs.is_empty() {
            let schema = self.source.obs(0..0)?.schema();
            let options = RecordBatchOptions::new().with_row_count(Some(length));
            return RecordBatch::try_new_with_options(schema, Vec::new(), &options)
                .map_err(|error| self.damaged(error));
        }
        let mut parts = Vec::new();
        for run in self.chosen.runs(cells) {
            let rows = self.source.obs(run.rows)?;
            parts.push(match run.chosen {
                None => rows,
                Some(chosen) => take_record_batch(&rows, &UInt32Array::from(chosen))
                    .map_err(|error| self.damaged(error))?,
            });
        }
        match &parts[..] {
            [] => self.source.obs(0..0),
            [only] => Ok(only.clone()),
            [first, ..] => {
                concat_batches(&first.schema(), &parts).map_err(|error| self.damaged(error))
            }
        }
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.source.var(genes)
    }

    fn embedding(&self, axis: Axis, name: &str, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        if axis == Axis::Genes {
            return self.source.embedding(axis, name, rows);
        }
        let mut all = self.source.embedding(axis, name, 0..0)?;
        for run in self.chosen.runs(rows) {
            let length = (run.rows.end - run.rows.start) as usize;
            let numbers = self.source.embedding(axis, name, run.rows)?;
            let width = numbers.len() / length.max(1);
            all.append(match run.chosen {
                None => numbers,
                Some(chosen) => {
                    let rows = chosen.iter().map(|&row| row as usize);
                    let positions = rows.flat_map(|row| row * width..(row + 1) * width);
                    numbers.picked(&positions.collect::<Vec<_>>())
                }
            });
        }
        Ok(all)
    }

    fn embedding_nulls(
        &self,
        axis: Axis,
        name: &str,
        rows: Range<u64>,
    ) -> Result<Option<NullBuffer>, SourceError> {
        // The numbers of those that have none are NaN, which is what files have.
        match axis {
            Axis::Genes => self.source.embedding_nulls(axis, name, rows),
            Axis::Cells => Ok(None),
        }
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        self.source.uns()
    }

    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        let mut matrices = self.matrices.iter();
        match matrices.find(|(known, _)| known == name) {
            Some((MatrixName::Varp(_), _)) => self.source.matrix(name),
            Some((_, matrix)) => Ok(matrix),
            None => Err(SourceError::not_described(&self.description.path, name)),
        }
    }
}

/// Rows of a matrix of cells × genes, or rows and columns of one of cells × cells.
struct SomeRows {
    source: Arc<dyn CellSource>,
    chosen: Arc<Chosen>,
    name: MatrixName,
}

impl SomeRows {
    fn inner(&self) -> Result<&dyn Matrix, SourceError> {
        self.source.matrix(&self.name)
    }
}

impl Matrix for SomeRows {
    fn n_rows(&self) -> u64 {
        self.chosen.len()
    }

    fn prepare(&self, report: &(dyn Fn(u64) + Sync)) -> Result<(), SourceError> {
        self.inner()?.prepare(report)
    }

    fn check_order(&self) -> Result<(), SourceError> {
        self.inner()?.check_order()
    }

    fn offsets(&self, _: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        Ok(None)
    }

    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        self.inner()?.sample(visit)
    }

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        let inner = self.inner()?;
        let mut runs = self.chosen.runs(rows).into_iter();
        let mut now: Option<(Run, Chunks<'_>)> = None;
        Ok(Box::new(std::iter::from_fn(move || {
            loop {
                if let Some((run, chunks)) = &mut now {
                    match chunks.next() {
                        Some(Ok(chunk)) => match self.cut(run, chunk) {
                            Some(chunk) => return Some(Ok(chunk)),
                            None => continue,
                        },
                        Some(Err(error)) => return Some(Err(error)),
                        None => now = None,
                    }
                }
                let run = runs.next()?;
                match inner.chunks(run.rows.clone(), budget) {
                    Ok(chunks) => now = Some((run, chunks)),
                    Err(error) => return Some(Err(error)),
                }
            }
        })))
    }
}

impl SomeRows {
    /// The chosen rows of a chunk; `None` if there are none.
    fn cut<'a>(&'a self, run: &Run, chunk: PendingChunk<'a>) -> Option<PendingChunk<'a>> {
        let entries = chunk.entries;
        let relative = chunk.rows.start - run.rows.start..chunk.rows.end - run.rows.start;
        let (before, rows): (u64, Vec<usize>) = match &run.chosen {
            None => {
                let count = relative.end - relative.start;
                (relative.start, (0..count as usize).collect())
            }
            Some(chosen) => {
                let place = |row: u64| chosen.partition_point(|&kept| u64::from(kept) < row);
                let (from, until) = (place(relative.start), place(relative.end));
                let rows = chosen[from..until].iter();
                let rows = rows.map(|&row| (u64::from(row) - relative.start) as usize);
                (from as u64, rows.collect())
            }
        };
        debug_assert!(before <= run.len());
        let first = run.first + before;
        let positions = first..first + rows.len() as u64;
        if positions.is_empty() {
            return None;
        }
        Some(PendingChunk::new(positions.clone(), entries, move || {
            self.selected(&chunk.read()?, &rows, positions)
        }))
    }

    fn selected(
        &self,
        chunk: &CsrChunk,
        rows: &[usize],
        positions: Range<u64>,
    ) -> Result<CsrChunk, SourceError> {
        let of_cells = matches!(self.name, MatrixName::Obsp(_));
        let columns = if !of_cells {
            None
        } else {
            Some(chunk.indices.to_i64().map_err(|_| {
                let path = &self.source.description().path;
                ErrorContext::new(path, self.name.to_string()).damaged("an index is too large")
            })?)
        };
        let mut indptr = vec![0];
        let mut entries: Vec<usize> = Vec::new();
        let mut moved: Vec<u32> = Vec::new();
        for &row in rows {
            let range = chunk.indptr[row]..chunk.indptr[row + 1];
            match &columns {
                None => entries.extend(range),
                Some(columns) => {
                    for entry in range {
                        let column = u64::try_from(columns[entry]).ok();
                        if let Some(place) = column.and_then(|c| self.chosen.position(c)) {
                            entries.push(entry);
                            moved.push(place);
                        }
                    }
                }
            }
            indptr.push(entries.len());
        }
        Ok(CsrChunk {
            rows: positions,
            indptr,
            indices: match columns {
                None => chunk.indices.picked(&entries),
                Some(_) => TypedVec::UInt32(moved),
            },
            data: chunk.data.picked(&entries),
            strays: chunk.strays,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_lie_together_are_read_together() {
        let these = Chosen::These(vec![3, 5, 60, 5_000, 5_001]);
        let runs = these.runs(0..5);
        let shown: Vec<_> = runs
            .iter()
            .map(|run| (run.rows.clone(), run.first, run.len()))
            .collect();
        assert_eq!(shown, [(3..61, 0, 3), (5_000..5_002, 3, 2)]);
        assert_eq!(these.position(60), Some(2));
        assert_eq!(these.position(61), None);
        let range = Chosen::Range(10..20);
        assert_eq!((range.position(12), range.position(20)), (Some(2), None));
        assert_eq!(range.part(2..4), Chosen::Range(12..14));
        assert!(these.runs(2..2).is_empty());
    }
}
