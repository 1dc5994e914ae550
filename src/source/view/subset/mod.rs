//! A subset of the cells and genes of an input.

mod condition;
mod kept;
mod matrix;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, concat_batches, take, take_record_batch};
use arrow::error::ArrowError;

use super::super::error::ErrorContext;
use crate::remedy::Setting;
use crate::source::blocks::RowBlocks;
use crate::source::{
    Axis, CellSource, Description, Layout, Matrix, MatrixName, Note, OpenOptions, RepeatedName,
    SourceError, TypedVec, Uns,
};
use kept::{KeptAxis, KeptRows};
use matrix::SubsetMatrix;

/// An input of which some cells and genes are kept.
pub(in crate::source) struct Subset {
    source: Arc<dyn CellSource>,
    description: Description,
    cells: Arc<KeptRows>,
    genes: Arc<KeptRows>,
    matrices: BTreeMap<MatrixName, SubsetMatrix>,
}

impl Subset {
    /// Applies the options for subsets to an input.
    ///
    /// # Errors
    /// If a condition is invalid, or none of the chosen genes exists.
    pub fn over(source: Box<dyn CellSource>, options: &OpenOptions) -> Result<Self, SourceError> {
        let mut description = source.description().clone();
        let (all_cells, all_genes) = (description.n_obs, description.n_vars);
        let mut cells = match &options.cells_where {
            Some(sql) => KeptAxis::These(condition::satisfying(&*source, sql)?),
            None => KeptAxis::First(all_cells),
        };
        if let Some(limit) = options.limit {
            match &mut cells {
                KeptAxis::First(count) => *count = (*count).min(limit),
                KeptAxis::These(rows) => {
                    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                }
            }
        }
        let genes = match &options.genes {
            Some(names) => chosen(&*source, names, &mut description)?,
            None => KeptAxis::First(all_genes),
        };
        description.n_vars = genes.len();
        if cells.len() < all_cells {
            let how = format!(
                "{} of {all_cells} cells, as --where and --limit ask",
                cells.len()
            );
            description.converted.push(Note::new("obs", how));
        }
        if genes.len() < all_genes {
            let how = format!("{} of {all_genes} genes, as --genes asks", genes.len());
            description.converted.push(Note::new("var", how));
        }
        if let Some(known) = &options.known_cells {
            let without = cells.without(&known.cells);
            cells = without.ok_or_else(|| {
                let what = "a list of cells that are left out, of which it has not so many";
                ErrorContext::new(&description.path, "obs").damaged(what)
            })?;
            description.left_out.extend(known.notes());
        }
        description.n_obs = cells.len();
        let main = std::iter::once(&mut description.x);
        let pairs = description.obsp.iter_mut().chain(&mut description.varp);
        for matrix in main.chain(&mut description.layers).chain(pairs) {
            if matrix.layout != Layout::Absent {
                matrix.entries = None;
            }
        }
        let source: Arc<dyn CellSource> = source.into();
        let cells = Arc::new(KeptRows::new(cells, all_cells));
        let genes = Arc::new(KeptRows::new(genes, all_genes));
        let matrices = source.description().matrices().map(|of| {
            let [rows, columns] = axes(&of.name).map(|axis| match axis {
                Axis::Cells => cells.clone(),
                Axis::Genes => genes.clone(),
            });
            let matrix = SubsetMatrix::new(source.clone(), of, rows, columns);
            (of.name.clone(), matrix)
        });
        Ok(Subset {
            matrices: matrices.collect(),
            source,
            description,
            cells,
            genes,
        })
    }

    fn kept(&self, axis: Axis) -> &KeptAxis {
        match axis {
            Axis::Cells => &self.cells.kept,
            Axis::Genes => &self.genes.kept,
        }
    }

    fn damaged(&self, object: &str, error: impl ToString) -> SourceError {
        ErrorContext::new(&self.description.path, object).damaged(error.to_string())
    }

    fn ids(
        &self,
        axis: Axis,
        positions: Range<u64>,
        read: impl Fn(Range<u64>) -> Result<StringArray, SourceError>,
    ) -> Result<StringArray, SourceError> {
        let mut parts: Vec<ArrayRef> = Vec::new();
        for stretch in self.kept(axis).stretches(positions) {
            let ids = read(stretch.rows)?;
            let kept = take(&ids, &UInt32Array::from(stretch.kept), None);
            parts.push(kept.map_err(|error| self.damaged("", error))?);
        }
        if parts.is_empty() {
            return Ok(StringArray::from(Vec::<&str>::new()));
        }
        let parts: Vec<&dyn Array> = parts.iter().map(|part| &**part).collect();
        let all = concat(&parts).map_err(|error| self.damaged("", error))?;
        Ok(all.as_string::<i32>().clone())
    }

    fn frame(
        &self,
        axis: Axis,
        positions: Range<u64>,
        read: impl Fn(Range<u64>) -> Result<RecordBatch, SourceError>,
    ) -> Result<RecordBatch, SourceError> {
        let like = read(0..0)?;
        if like.num_columns() == 0 {
            let rows = usize::try_from(positions.end - positions.start).unwrap_or(usize::MAX);
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let empty = RecordBatch::try_new_with_options(like.schema(), Vec::new(), &options);
            return empty.map_err(|error| self.damaged("", error));
        }
        let mut parts = Vec::new();
        for stretch in self.kept(axis).stretches(positions) {
            let rows = UInt32Array::from(stretch.kept);
            let kept = |batch: &RecordBatch| -> Result<RecordBatch, ArrowError> {
                take_record_batch(batch, &rows)
            };
            let part = kept(&read(stretch.rows)?);
            parts.push(part.map_err(|error| self.damaged("", error))?);
        }
        if parts.is_empty() {
            return Ok(like);
        }
        concat_batches(&parts[0].schema(), &parts).map_err(|error| self.damaged("", error))
    }
}

/// Returns the genes of an input that are among `names`.
fn chosen(
    source: &dyn CellSource,
    names: &[String],
    description: &mut Description,
) -> Result<KeptAxis, SourceError> {
    let wanted: HashSet<&str> = names.iter().map(String::as_str).collect();
    let mut found: HashSet<String> = HashSet::new();
    let mut rows = Vec::new();
    let mut blocks = RowBlocks::new(0..description.n_vars, 1);
    while let Some((block, ids)) = blocks.read(|rows| source.var_names(rows))? {
        blocks.held(ids.values().len() as u64);
        for (row, id) in block.zip(ids.iter()) {
            let id = id.unwrap_or_default();
            if wanted.contains(id) {
                found.insert(id.to_string());
                // The number of genes is checked to fit in 32 bits before anything is written.
                rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
        }
    }
    let mut missing = names.iter().filter(|name| !found.contains(*name));
    if found.is_empty() {
        let example = missing.next().map_or("", String::as_str);
        let problem = format!(
            "the input has none of the {} genes, such as {example}",
            names.len()
        );
        let place = ErrorContext::new(&description.path, "var");
        let help = "choose genes by their names in the dataset";
        return Err(place.refuses(Setting::any("genes"), problem, help));
    }
    if let Some(example) = missing.next() {
        let count = 1 + missing.count();
        let option = Setting::any("genes");
        let warning = format!("{option}: {count} of the genes are not in it, such as {example}");
        description.warnings.push(warning);
    }
    Ok(KeptAxis::These(rows))
}

/// Returns what the rows and the columns of a matrix are.
fn axes(matrix: &MatrixName) -> [Axis; 2] {
    match matrix {
        MatrixName::X | MatrixName::Layer(_) => [Axis::Cells, Axis::Genes],
        MatrixName::Obsp(_) => [Axis::Cells, Axis::Cells],
        MatrixName::Varp(_) => [Axis::Genes, Axis::Genes],
    }
}

impl CellSource for Subset {
    fn description(&self) -> &Description {
        &self.description
    }

    fn files(&self) -> Vec<PathBuf> {
        self.source.files()
    }

    fn obs_names(&self, cells: Range<u64>) -> Result<StringArray, SourceError> {
        self.ids(Axis::Cells, cells, |rows| self.source.obs_names(rows))
    }

    fn var_names(&self, genes: Range<u64>) -> Result<StringArray, SourceError> {
        self.ids(Axis::Genes, genes, |rows| self.source.var_names(rows))
    }

    fn repeated_names(&self) -> Result<Vec<RepeatedName>, SourceError> {
        let mut repeated = self.source.repeated_names()?;
        if !self.genes.is_all() {
            let genes = self.genes.reindex();
            repeated.retain_mut(|repeated| {
                let place = u32::try_from(repeated.gene).ok();
                let place = place.and_then(|gene| genes.get(gene));
                repeated.gene = u64::from(place.unwrap_or(u32::MAX));
                place.is_some()
            });
        }
        Ok(repeated)
    }

    fn obs(&self, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.frame(Axis::Cells, cells, |rows| self.source.obs(rows))
    }

    fn var(&self, genes: Range<u64>) -> Result<RecordBatch, SourceError> {
        self.frame(Axis::Genes, genes, |rows| self.source.var(rows))
    }

    fn embedding(&self, axis: Axis, name: &str, rows: Range<u64>) -> Result<TypedVec, SourceError> {
        let mut all: Option<TypedVec> = None;
        for stretch in self.kept(axis).stretches(rows) {
            let length = (stretch.rows.end - stretch.rows.start) as usize;
            let numbers = self.source.embedding(axis, name, stretch.rows)?;
            let width = numbers.len() / length.max(1);
            let kept = stretch.kept.iter().map(|&row| row as usize);
            let positions: Vec<usize> = kept
                .flat_map(|row| row * width..(row + 1) * width)
                .collect();
            let picked = numbers.picked(&positions);
            match &mut all {
                Some(all) => all.append(picked),
                None => all = Some(picked),
            }
        }
        match all {
            Some(all) => Ok(all),
            None => self.source.embedding(axis, name, 0..0),
        }
    }

    fn embedding_nulls(
        &self,
        axis: Axis,
        name: &str,
        rows: Range<u64>,
    ) -> Result<Option<NullBuffer>, SourceError> {
        let mut there: Vec<bool> = Vec::new();
        let mut some = false;
        for stretch in self.kept(axis).stretches(rows) {
            let nulls = self.source.embedding_nulls(axis, name, stretch.rows)?;
            some |= nulls.is_some();
            let valid = |row: u32| nulls.as_ref().is_none_or(|n| n.is_valid(row as usize));
            there.extend(stretch.kept.iter().map(|&row| valid(row)));
        }
        Ok(some.then(|| NullBuffer::from(there)))
    }

    fn uns(&self) -> Result<Uns, SourceError> {
        self.source.uns()
    }

    fn matrix(&self, name: &MatrixName) -> Result<&dyn Matrix, SourceError> {
        match self.matrices.get(name) {
            Some(matrix) => Ok(matrix),
            None => Err(ErrorContext::whole(&self.description.path).not_described(name)),
        }
    }

    fn assume_unsorted(&self) {
        self.source.assume_unsorted();
    }

    fn held_bytes(&self) -> u64 {
        self.source.held_bytes()
    }
}
