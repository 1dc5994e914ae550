//! A toy format: a text whose first line is `toy` and the names of the genes, and which has for each
//! cell a line with its name and its counts.
//!
//! ```text
//! toy  Actb Gapdh
//! c1   3    0
//! c2   0    7
//! ```
//!
//! A format of slaf itself would be just this, in a folder of `src/source`, and a line in `FORMATS`.

use std::ops::Range;
use std::path::Path;

use arrow::array::StringArray;
use slaf::source::{
    CellSource, ChunkBudget, Chunks, CsrChunk, Description, Format, InputFormat, Layout, Matrix,
    MatrixDescription, MatrixName, OpenOptions, OptionKind, OptionScope, OptionSpec, PendingChunk,
    Probe, ProbedPath, ScalarType, SourceError, TypedVec,
};

/// The toy format.
pub struct Toy;

/// An option that only this format has. Were it one of slaf's own, `--toy-least` would be a flag,
/// `SLAF_TOY_LEAST` a variable and `toy-least` a setting.
const LEAST: OptionSpec = OptionSpec {
    name: "toy-least",
    key: "toy_least",
    kind: OptionKind::Text,
    scope: OptionScope::Settings,
    of: "toy",
    heading: "Toys",
    value_name: "COUNT",
    help: "Leave out counts that are less than this [default: 1]",
    one_input: None,
};

impl InputFormat for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn looks_like(&self) -> &'static str {
        "toy"
    }

    fn options(&self) -> &'static [&'static OptionSpec] {
        &[&LEAST]
    }

    fn probe(&self, site: &ProbedPath<'_>) -> Result<Probe, SourceError> {
        if site.is_folder() || site.is_in_archive() {
            return Ok(Probe::No);
        }
        Ok(if site.start()?.starts_with(b"toy ") {
            Probe::Yes
        } else {
            Probe::No
        })
    }

    fn open(&self, path: &Path, options: &OpenOptions) -> Result<Box<dyn CellSource>, SourceError> {
        let text = std::fs::read_to_string(path).map_err(|source| SourceError::Io {
            action: "read",
            path: path.into(),
            source,
        })?;
        let damaged = |line: usize, problem: &str| SourceError::Damaged {
            path: path.into(),
            object: format!("line {}", line + 1),
            problem: problem.into(),
        };
        let least = options.own.text(&LEAST).unwrap_or("1");
        let least: u32 = least.parse().map_err(|_| SourceError::Unsupported {
            path: path.into(),
            object: String::new(),
            what: format!("--toy-least {least}, which is no count,"),
            help: "give a whole number".into(),
        })?;
        let mut lines = text.lines().enumerate();
        let (_, first) = lines.next().ok_or_else(|| damaged(0, "it is missing"))?;
        let genes: Vec<&str> = first.split_whitespace().skip(1).collect();
        let mut source = ToySource {
            description: Description::new(
                path,
                Format::named(self.name()),
                [0, genes.len() as u64],
                MatrixDescription {
                    name: MatrixName::X,
                    object: "counts".into(),
                    layout: Layout::Csr,
                    number_type: ScalarType::UInt32,
                    entries: None,
                },
            ),
            cells: Vec::new(),
            genes: genes.into_iter().map(String::from).collect(),
            indptr: vec![0],
            indices: Vec::new(),
            counts: Vec::new(),
        };
        for (number, line) in lines {
            let mut words = line.split_whitespace();
            let cell = words
                .next()
                .ok_or_else(|| damaged(number, "it has no name"))?;
            source.cells.push(cell.to_string());
            let counts: Result<Vec<u32>, _> = words.map(str::parse).collect();
            let counts = counts.map_err(|_| damaged(number, "what is no count stands in it"))?;
            if counts.len() != source.genes.len() {
                return Err(damaged(number, "it has not one count for each gene"));
            }
            for (gene, count) in (0u32..).zip(counts) {
                if count >= least.max(1) {
                    source.indices.push(gene);
                    source.counts.push(count);
                }
            }
            source.indptr.push(source.counts.len());
        }
        source.description.n_obs = source.cells.len() as u64;
        source.description.x.entries = Some(source.counts.len() as u64);
        Ok(Box::new(source))
    }
}

/// A toy, which is small enough to be held in memory; a format for real data reads chunks when it is
/// asked for them.
struct ToySource {
    description: Description,
    cells: Vec<String>,
    genes: Vec<String>,
    indptr: Vec<usize>,
    indices: Vec<u32>,
    counts: Vec<u32>,
}

fn names(all: &[String], range: Range<u64>) -> StringArray {
    StringArray::from_iter_values(&all[range.start as usize..range.end as usize])
}

impl CellSource for ToySource {
    fn description(&self) -> &Description {
        &self.description
    }

    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        Ok(names(&self.cells, cells))
    }

    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        Ok(names(&self.genes, genes))
    }

    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        match name {
            MatrixName::X => Ok(self),
            other => Err(SourceError::not_described(&self.description.path, other)),
        }
    }
}

impl Matrix for ToySource {
    fn n_rows(&self) -> u64 {
        self.cells.len() as u64
    }

    fn offsets(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        let offsets = &self.indptr[rows.start as usize..=rows.end as usize];
        Ok(Some(offsets.iter().map(|&offset| offset as u64).collect()))
    }

    fn sample(&self, visit: &mut dyn FnMut(&TypedVec)) -> Result<(), SourceError> {
        visit(&TypedVec::UInt32(self.counts.clone()));
        Ok(())
    }

    fn chunks(&self, rows: Range<u64>, budget: ChunkBudget) -> Result<Chunks<'_>, SourceError> {
        // Of each entry there are a position and a count.
        let most = (budget.bytes / 8) as usize;
        let mut next = rows.start as usize;
        Ok(Box::new(std::iter::from_fn(move || {
            let start = next;
            if start as u64 >= rows.end {
                return None;
            }
            next += 1;
            while (next as u64) < rows.end
                && ((next - start) as u64) < budget.cells
                && self.indptr[next + 1] - self.indptr[start] <= most
            {
                next += 1;
            }
            let entries = self.indptr[start]..self.indptr[next];
            let indptr = &self.indptr[start..=next];
            let cells = start as u64..next as u64;
            let count = entries.len() as u64;
            Some(Ok(PendingChunk::new(cells.clone(), count, move || {
                Ok(CsrChunk {
                    rows: cells,
                    indptr: indptr.iter().map(|end| end - entries.start).collect(),
                    indices: TypedVec::UInt32(self.indices[entries.clone()].to_vec()),
                    data: TypedVec::UInt32(self.counts[entries].to_vec()),
                    strays: 0,
                })
            })))
        })))
    }
}
