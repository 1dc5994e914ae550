//! An in-memory input, for matrices that need no file.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::StringArray;
use slaf::source::{
    CellSource, ChunkBudget, Chunks, CsrChunk, Description, Format, Layout, Matrix,
    MatrixDescription, MatrixName, Numbers, PendingChunk, SourceError,
};

/// A CSR matrix with the cells c0, c1, … and the genes g0, g1, … without columns.
#[derive(Clone)]
pub struct MemorySource {
    description: Description,
    indptr: Vec<usize>,
    genes: Vec<i32>,
    values: Numbers,
    /// Number of values in a sample.
    sampled: usize,
    _file: Arc<tempfile::NamedTempFile>,
}

impl MemorySource {
    pub fn new(genes: u64, rows: &[Vec<i32>], values: Numbers, sampled: usize) -> Self {
        let mut indptr = vec![0];
        for row in rows {
            indptr.push(indptr[indptr.len() - 1] + row.len());
        }
        assert_eq!(indptr[rows.len()], values.len());
        let file = tempfile::NamedTempFile::new().unwrap();
        MemorySource {
            description: Description::new(
                file.path(),
                Format::named("memory"),
                [rows.len() as u64, genes],
                MatrixDescription {
                    name: MatrixName::X,
                    object: "X".into(),
                    layout: Layout::Csr,
                    number_type: values.number_type(),
                    entries: Some(values.len() as u64),
                },
            ),
            indptr,
            genes: rows.concat(),
            values,
            sampled,
            _file: Arc::new(file),
        }
    }
}

/// Returns a slice of a column of numbers.
pub fn slice(numbers: &Numbers, range: Range<usize>) -> Numbers {
    macro_rules! slice {
        ($($variant:ident),*) => {
            match numbers {
                $(Numbers::$variant(v) => Numbers::$variant(v[range].to_vec()),)*
            }
        };
    }
    slice!(
        Bool, Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64, Float16, Float32, Float64
    )
}

fn names(prefix: &str, range: Range<u64>) -> StringArray {
    StringArray::from_iter_values(range.map(|number| format!("{prefix}{number}")))
}

impl CellSource for MemorySource {
    fn description(&self) -> &Description {
        &self.description
    }

    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        Ok(names("c", cells))
    }

    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        Ok(names("g", genes))
    }

    fn matrix(&self, _: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        Ok(self)
    }
}

impl Matrix for MemorySource {
    fn n_rows(&self) -> u64 {
        self.description.n_obs
    }

    fn offsets(&self, cells: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        let range = cells.start as usize..=cells.end as usize;
        Ok(Some(
            self.indptr[range]
                .iter()
                .map(|&offset| offset as u64)
                .collect(),
        ))
    }

    fn sample(&self, visit: &mut dyn FnMut(&Numbers)) -> Result<(), SourceError> {
        visit(&slice(&self.values, 0..self.sampled.min(self.values.len())));
        Ok(())
    }

    fn chunks(&self, cells: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        let mut start = cells.start;
        Ok(Box::new(std::iter::from_fn(move || {
            if start >= cells.end {
                return None;
            }
            let mut end = start + 1;
            let bytes =
                |end: u64| 8 * (self.indptr[end as usize] - self.indptr[start as usize]) as u64;
            while end < cells.end && bytes(end + 1) <= budget.bytes && end - start < budget.cells {
                end += 1;
            }
            let range = start..end;
            start = end;
            let indptr = &self.indptr[range.start as usize..=range.end as usize];
            let entries = indptr[0]..indptr[indptr.len() - 1];
            let chunk = CsrChunk {
                rows: range.clone(),
                indptr: indptr.iter().map(|offset| offset - indptr[0]).collect(),
                indices: Numbers::Int32(self.genes[entries.clone()].to_vec()),
                data: slice(&self.values, entries.clone()),
                strays: 0,
            };
            Some(Ok(PendingChunk::new(
                range,
                entries.len() as u64,
                move || Ok(chunk),
            )))
        })))
    }
}
