//! Some cells and genes of an input.

mod condition;
mod kept;

use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
};
use arrow::compute::{concat, concat_batches, take, take_record_batch};
use arrow::error::ArrowError;

use super::super::error::Place;
use crate::source::blocks::RowBlocks;
use crate::source::{
    Axis, CellSource, ChunkBudget, Chunks, CsrChunk, Description, Layout, MatrixName, Note,
    Numbers, OpenOptions, PendingChunk, RepeatedName, SampledRows, SourceError, Uns,
};
use kept::Kept;

/// Values are sampled at so many places, from so many cells each.
const PLACES: u64 = 32;
const CELLS: u64 = 64;
const SAMPLE: ChunkBudget = ChunkBudget {
    bytes: 1 << 18,
    cells: CELLS,
};

/// An input of which some cells and genes are kept.
pub(in crate::source) struct Subset {
    source: Box<dyn CellSource>,
    description: Description,
    cells: Kept,
    genes: Kept,
    /// For each cell and gene of the input its place among the kept ones; `None` for all of them.
    places: [Option<Arc<Vec<Option<u32>>>>; 2],
}

impl Subset {
    /// What the options keep of an input.
    ///
    /// # Errors
    /// Where a condition cannot be understood, or none of the chosen genes is there.
    pub fn over(source: Box<dyn CellSource>, options: &OpenOptions) -> Result<Self, SourceError> {
        let mut description = source.description().clone();
        let (all_cells, all_genes) = (description.n_obs, description.n_vars);
        let mut cells = match &options.cells_where {
            Some(sql) => Kept::These(condition::satisfying(&*source, sql)?),
            None => Kept::First(all_cells),
        };
        if let Some(limit) = options.limit {
            match &mut cells {
                Kept::First(count) => *count = (*count).min(limit),
                Kept::These(rows) => rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX)),
            }
        }
        let genes = match &options.genes {
            Some(names) => chosen(&*source, names, &mut description)?,
            None => Kept::First(all_genes),
        };
        description.n_obs = cells.len();
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
        let main = std::iter::once(&mut description.x);
        let pairs = description.obsp.iter_mut().chain(&mut description.varp);
        for matrix in main.chain(&mut description.layers).chain(pairs) {
            if matrix.layout != Layout::Absent {
                matrix.entries = None;
            }
        }
        Ok(Subset {
            places: [cells.places(all_cells), genes.places(all_genes)]
                .map(|places| places.map(Arc::new)),
            source,
            description,
            cells,
            genes,
        })
    }

    fn kept(&self, axis: Axis) -> &Kept {
        match axis {
            Axis::Cells => &self.cells,
            Axis::Genes => &self.genes,
        }
    }

    fn places(&self, axis: Axis) -> Option<&Arc<Vec<Option<u32>>>> {
        match axis {
            Axis::Cells => self.places[0].as_ref(),
            Axis::Genes => self.places[1].as_ref(),
        }
    }

    /// Where not all rows are read, an entry that is out of order would be missed: it may come where
    /// none that is kept is.
    fn check_part(&self, matrix: &MatrixName) -> Result<(), SourceError> {
        match self.places(axes(matrix)[0]) {
            Some(_) => self.source.check_order(matrix),
            None => Ok(()),
        }
    }

    fn damaged(&self, object: &str, error: impl ToString) -> SourceError {
        Place::new(&self.description.path, object).damaged(error.to_string())
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

/// The genes of an input that are among these.
fn chosen(
    source: &dyn CellSource,
    names: &[String],
    description: &mut Description,
) -> Result<Kept, SourceError> {
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
                // Genes are counted to fit 32 bits before anything is written.
                rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
        }
    }
    let mut missing = names.iter().filter(|name| !found.contains(*name));
    if found.is_empty() {
        let example = missing.next().map_or("", String::as_str);
        let what = format!(
            "--genes: none of the {} genes, such as {example}",
            names.len()
        );
        let help = "genes are chosen by their names in the dataset; see slaf info";
        return Err(Place::new(&description.path, "var").unsupported(what, help));
    }
    if let Some(example) = missing.next() {
        let count = 1 + missing.count();
        let warning = format!("--genes: {count} of the genes are not in it, such as {example}");
        description.warnings.push(warning);
    }
    Ok(Kept::These(rows))
}

/// What the rows and the columns of a matrix are.
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
        if let Some(places) = self.places(Axis::Genes) {
            repeated.retain_mut(|repeated| {
                let place = usize::try_from(repeated.gene).ok();
                let place = place.and_then(|gene| *places.get(gene)?);
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

    fn embedding(&self, axis: Axis, name: &str, rows: Range<u64>) -> Result<Numbers, SourceError> {
        let mut all: Option<Numbers> = None;
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

    fn uns(&self) -> Result<Uns, SourceError> {
        self.source.uns()
    }

    fn prepare(
        &self,
        matrix: &MatrixName,
        report: &(dyn Fn(u64) + Sync),
    ) -> Result<(), SourceError> {
        self.check_part(matrix)?;
        self.source.prepare(matrix, report)
    }

    fn check_order(&self, matrix: &MatrixName) -> Result<(), SourceError> {
        self.source.check_order(matrix)
    }

    fn assume_unsorted(&self) {
        self.source.assume_unsorted();
    }

    fn held_bytes(&self) -> u64 {
        self.source.held_bytes()
    }

    fn offsets(
        &self,
        matrix: &MatrixName,
        rows: Range<u64>,
    ) -> Result<Option<Vec<u64>>, SourceError> {
        let [axis, columns] = axes(matrix);
        if self.places(columns).is_some() {
            return Ok(None);
        }
        let mut offsets = vec![0];
        let mut before = 0u64;
        for stretch in self.kept(axis).stretches(rows) {
            let Some(inner) = self.source.offsets(matrix, stretch.rows)? else {
                return Ok(None);
            };
            for row in stretch.kept.into_iter().map(|row| row as usize) {
                before = before.saturating_add(inner[row + 1].saturating_sub(inner[row]));
                offsets.push(before);
            }
        }
        Ok(Some(offsets))
    }

    fn entries_at_most(&self, matrix: &MatrixName) -> Option<u64> {
        let [rows, columns] = axes(matrix);
        let of = self.source.description();
        let pairs = of.obsp.iter().chain(&of.varp);
        let mut all = std::iter::once(&of.x).chain(&of.layers).chain(pairs);
        let known = all.find(|known| known.name == *matrix)?.entries;
        let entries = known.or_else(|| self.source.entries_at_most(matrix))?;
        // What is to be expected of these rows and columns, were all alike, and a little more.
        let share = |axis: Axis| {
            let all = match axis {
                Axis::Cells => of.n_obs,
                Axis::Genes => of.n_vars,
            };
            self.kept(axis).len() as f64 / all.max(1) as f64
        };
        Some((entries as f64 * share(rows) * share(columns) * 1.125) as u64)
    }

    fn sample(
        &self,
        matrix: &MatrixName,
        visit: &mut dyn FnMut(&Numbers),
    ) -> Result<(), SourceError> {
        let of = &self.description;
        let pairs = of.obsp.iter().chain(&of.varp);
        let mut all = std::iter::once(&of.x).chain(&of.layers).chain(pairs);
        let layout = all.find(|known| known.name == *matrix).map(|m| m.layout);
        // Others would have to be transposed for it, or be read from their beginning.
        if layout != Some(Layout::Csr) {
            return self.source.sample(matrix, visit);
        }
        let rows = self.kept(axes(matrix)[0]).len();
        let step = (rows / PLACES).max(CELLS);
        for start in (0..rows).step_by(step as usize) {
            let here = start..(start + CELLS).min(rows);
            if let Some(chunk) = self.chunks(matrix, here, SAMPLE)?.next() {
                visit(&chunk?.read()?.data);
            }
        }
        Ok(())
    }

    fn sample_rows(
        &self,
        matrix: &MatrixName,
        visit: &mut dyn FnMut(SampledRows<'_>),
    ) -> Result<(), SourceError> {
        // With all of their genes, rows tell more.
        self.source.sample_rows(matrix, visit)
    }

    fn chunks(
        &self,
        matrix: &MatrixName,
        rows: Range<u64>,
        budget: ChunkBudget,
    ) -> Result<Chunks<'_>, SourceError> {
        let [axis, columns] = axes(matrix);
        if rows.is_empty() {
            return Ok(Box::new(std::iter::empty()));
        }
        let kept = self.kept(axis);
        let all = kept.at(rows.start)..kept.at(rows.end - 1) + 1;
        self.check_part(matrix)?;
        let chunks = self.source.chunks(matrix, all, budget)?;
        let object = format!("{matrix:?}");
        Ok(Box::new(chunks.filter_map(move |chunk| {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => return Some(Err(error)),
            };
            let positions = kept.before(chunk.rows.start)..kept.before(chunk.rows.end);
            if positions.is_empty() {
                return None;
            }
            let places = self.places(columns).cloned();
            let object = object.clone();
            let (range, entries) = (positions.clone(), chunk.entries);
            Some(Ok(PendingChunk::new(positions, entries, move || {
                let chunk = chunk.read()?;
                let selected = selected(&chunk, kept, range, places.as_deref().map(Vec::as_slice));
                selected.map_err(|problem| self.damaged(&object, problem))
            })))
        })))
    }
}

/// Of a chunk of the input, the rows that are kept, with the columns that are.
fn selected(
    chunk: &CsrChunk,
    kept: &Kept,
    positions: Range<u64>,
    places: Option<&[Option<u32>]>,
) -> Result<CsrChunk, String> {
    let mut indptr = vec![0];
    let mut entries: Vec<usize> = Vec::new();
    let mut columns: Vec<u32> = Vec::new();
    let genes = match places {
        None => None,
        Some(_) => {
            let genes = chunk.indices.to_i64();
            Some(genes.map_err(|at| format!("the column of entry {at} is no number of a column"))?)
        }
    };
    for position in positions.clone() {
        let row = (kept.at(position) - chunk.rows.start) as usize;
        let range = chunk.indptr[row]..chunk.indptr[row + 1];
        match (&genes, places) {
            (Some(genes), Some(places)) => {
                for entry in range {
                    let gene = genes[entry];
                    let place = usize::try_from(gene).ok().and_then(|gene| places.get(gene));
                    let place = place.ok_or_else(|| {
                        format!("an entry names the column {gene} of {}", places.len())
                    })?;
                    if let Some(place) = place {
                        entries.push(entry);
                        columns.push(*place);
                    }
                }
            }
            _ => entries.extend(range),
        }
        indptr.push(entries.len());
    }
    Ok(CsrChunk {
        rows: positions,
        indptr,
        indices: match places {
            None => chunk.indices.picked(&entries),
            Some(_) => Numbers::UInt32(columns),
        },
        data: chunk.data.picked(&entries),
        strays: chunk.strays,
    })
}
