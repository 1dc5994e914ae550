//! Compares a dataset with the inputs it was made from.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, Float64Array, UInt32Array};
use arrow::datatypes::{Float64Type, UInt32Type};
use tokio::runtime::Handle;

use super::columns::{self, Compared};
use super::cursor::RowCursor;
use super::entries::Rows;
use super::files::Tables;
use super::frames::Frames;
use super::genes;
use super::{Problem, Problems, VerifyError};
use crate::chunk::{CooBatch, CooSpec, IdHash};
use crate::dataset::{Dataset, SourceNote, UNS, matrix_key};
use crate::parallel::OrderedWork;
use crate::plan::{IdType, ShardTable};
use crate::progress::{Event, Progress};
use crate::source::{
    Axis, CellSource, ChunkBudget, MatrixDescription, Part, PendingChunk, Reindex,
};
use crate::survey::ValueType;
use crate::table::{RowReader, RowsAndColumns, TableName};

/// Largest and smallest size in bytes of a chunk that is compared, and bytes of memory used per byte
/// of a chunk: as read, as columns, and what the allocator retains.
const LARGEST_CHUNK: u64 = 2 << 20;
const SMALLEST_CHUNK: u64 = 64 << 10;
const COPIES: u64 = 4;

/// An input of a dataset, opened as it was when it was converted.
pub(super) struct Against<'a> {
    /// The opened input.
    pub source: &'a dyn CellSource,
    /// Position among the dataset's sources.
    pub number: usize,
    /// Number of threads that read it.
    pub threads: usize,
    /// Number of bytes that its chunks may occupy in memory, over all threads.
    pub memory: u64,
}

/// What all comparisons share.
pub(super) struct Comparison<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Its tables.
    pub tables: &'a Tables,
    /// Its cells and genes.
    pub frames: &'a Frames,
    /// Row ranges of the tables of non-zeros.
    pub rows: &'a BTreeMap<TableName, Rows>,
    /// Listener for progress events.
    pub progress: &'a dyn Progress,
    /// Runtime for reading tables.
    pub runtime: &'a Handle,
}

impl Against<'_> {
    /// Compares everything that was converted from the input.
    pub(super) fn check(
        &self,
        with: &Comparison<'_>,
        problems: &mut Problems,
    ) -> Result<(), VerifyError> {
        let description = self.source.description();
        let note = &with.dataset.config().sources[self.number];
        let place = description.path.display().to_string();
        let before = problems.count;
        problems.expect(&place, "cells", note.cells, description.n_obs);
        let several = with.dataset.config().sources.len() > 1;
        if !several {
            let genes = with.frames.genes.len() as u64;
            problems.expect(&place, "genes", genes, description.n_vars);
        }
        if problems.count > before {
            return Ok(());
        }
        self.frame(with, note, Axis::Cells, problems)?;
        let genes = if several {
            genes::joined(with, self.source, note, problems)?
        } else {
            // Names are compared together with everything else in var.
            Some(Reindex::Identity)
        };
        let Some(genes) = genes else { return Ok(()) };
        if !several || (self.number == 0 && genes == Reindex::Identity) {
            self.frame(with, note, Axis::Genes, problems)?;
        }
        self.uns(with, problems)?;
        let main = std::slice::from_ref(&description.x);
        for (table, matrices) in [
            (ShardTable::Expression, main),
            (ShardTable::Layers, &description.layers),
            (ShardTable::Obsp, &description.obsp),
            (ShardTable::Varp, &description.varp),
        ] {
            // Matrices left out by the joins cannot be compared.
            let left_out = |matrix: &&MatrixDescription| {
                let key = matrix_key(&matrix.name);
                note.left_out.iter().any(|note| note.object == key)
            };
            for matrix in matrices.iter().filter(|matrix| !left_out(matrix)) {
                self.matrix(with, note, &genes, table, matrix, problems)?;
            }
        }
        Ok(())
    }

    /// Compares the columns of cells or genes, their names and their embeddings.
    fn frame(
        &self,
        with: &Comparison<'_>,
        note: &SourceNote,
        axis: Axis,
        problems: &mut Problems,
    ) -> Result<(), VerifyError> {
        let description = self.source.description();
        let notes = &with.dataset.config().column_notes;
        let several = with.dataset.config().sources.len() > 1;
        let compared = match axis {
            Axis::Cells => Compared {
                table: TableName::Cells,
                id: "cell_id",
                columns: columns::written(Part::Obs, &description.obs, notes),
                embeddings: columns::written_embeddings(Part::Obsm, &description.obsm, notes),
                first: note.first_cell,
                rows: description.n_obs,
                axis,
                several,
            },
            Axis::Genes => Compared {
                table: TableName::Genes,
                id: "gene_id",
                columns: columns::written(Part::Var, &description.var, notes),
                embeddings: columns::written_embeddings(Part::Varm, &description.varm, notes),
                first: 0,
                rows: description.n_vars,
                axis,
                several,
            },
        };
        compared.check(self.source, with, problems)
    }

    /// Compares `uns`, if it is stored for this input.
    fn uns(&self, with: &Comparison<'_>, problems: &mut Problems) -> Result<(), VerifyError> {
        if !self.source.description().uns {
            return Ok(());
        }
        let expected = serde_json::Value::Object(self.source.uns()?.values);
        let found = std::fs::read(with.dataset.path().join(UNS)).ok();
        let found: Option<serde_json::Value> =
            found.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let sources = &with.dataset.config().sources;
        // It is not stored for inputs that were appended, and unknown for those of another program.
        let job = &sources[self.number].job;
        if job.is_none() || *job != sources[0].job {
            return Ok(());
        }
        let found = match sources.iter().filter(|source| source.job == *job).count() {
            1 => found,
            // With several inputs it is stored under their names, unless it is empty.
            _ if expected.as_object().is_some_and(serde_json::Map::is_empty) => return Ok(()),
            _ => found.and_then(|all| all.get(&sources[self.number].source_file).cloned()),
        };
        if found != Some(expected) {
            problems.add(Problem::new(UNS, "it is not what the input holds"));
        }
        Ok(())
    }

    /// Compares one matrix, value by value.
    fn matrix(
        &self,
        with: &Comparison<'_>,
        note: &SourceNote,
        genes: &Reindex,
        table: ShardTable,
        matrix: &MatrixDescription,
        problems: &mut Problems,
    ) -> Result<(), VerifyError> {
        let description = self.source.description();
        let name = TableName::from(table);
        let (rows, columns, first) = match table {
            ShardTable::Varp => (description.n_vars, description.n_vars, 0),
            ShardTable::Obsp => (description.n_obs, description.n_obs, note.first_cell),
            _ => (description.n_obs, description.n_vars, note.first_cell),
        };
        let column = match table {
            ShardTable::Expression => "value".to_string(),
            ShardTable::Layers => columns::written_name(Part::Layers, matrix, with),
            ShardTable::Obsp => columns::written_name(Part::Obsp, matrix, with),
            ShardTable::Varp => columns::written_name(Part::Varp, matrix, with),
        };
        let Some(open) = with.tables.get(&name) else {
            problems.add(Problem::new(name.key(), "the table is missing"));
            return Ok(());
        };
        let path = with.dataset.path().join(name.folder());
        let own = match (table, with.rows.get(&name)) {
            (_, None) => return Ok(()),
            (ShardTable::Varp, Some(all)) => 0..all.count,
            (_, Some(all)) => all.of_source(self.number),
        };
        let Some(mut cursor) = RowCursor::open(with.runtime, open, &path, &column, own)? else {
            problems.add(Problem::new(
                name.key(),
                format!("the column {column} is missing"),
            ));
            return Ok(());
        };
        let shifted = Reindex::Shifted {
            // Cells are counted by 32 bits.
            by: u32::try_from(first).unwrap_or(u32::MAX),
            columns,
        };
        let map = match table {
            ShardTable::Obsp if first > 0 => &shifted,
            ShardTable::Expression | ShardTable::Layers => genes,
            _ => &Reindex::Identity,
        };
        let dataset_genes = match table {
            ShardTable::Obsp => with.frames.cells.len() as u64,
            _ => with.frames.genes.len() as u64,
        };
        let spec = CooSpec {
            path: description.path.clone(),
            matrix: matrix.object.clone(),
            first_cell: first,
            genes: columns,
            columns: map,
            dataset_genes,
            cell_type: IdType::UInt32,
            gene_type: IdType::UInt32,
            value_type: ValueType::Float64,
            // The digests refer to what was written, not to this.
            gene_hashes: (&[][..]).into(),
            identities: None,
        };
        let stored = self.source.matrix(&matrix.name)?;
        stored.check_order()?;
        stored.prepare(&|_| ())?;
        let share = self.memory / (COPIES * (self.threads as u64 + 1));
        let budget = ChunkBudget {
            bytes: share.clamp(SMALLEST_CHUNK, LARGEST_CHUNK),
            cells: u64::MAX,
        };
        let chunks = stored.chunks(0..rows, budget)?;
        let chunks = chunks.map(|chunk| chunk.map_err(VerifyError::from));
        let read = |chunk: PendingChunk<'_>| {
            let chunk = chunk.read()?;
            let hashes = vec![IdHash::of(""); chunk.indptr.len() - 1];
            let batch = CooBatch::new(&chunk, &hashes, &spec)?;
            Ok((chunk.rows.end, batch))
        };
        let of = Matrices {
            place: format!("{}, {column}", name.key()),
            table,
            source: self.source,
            first,
            with,
        };
        // One more than threads: the one that is being compared.
        let work = OrderedWork::new("slaf-verify", self.threads).window(self.threads + 1);
        work.run(chunks, read, |(end, expected): (u64, CooBatch)| {
            of.compare(&expected, &mut cursor, first + end, problems)?;
            let entries = expected.rows() as u64;
            with.progress.report(Event::Verified { entries });
            Ok(())
        })
    }
}

/// Non-zeros of a table in a range of rows of the matrix.
pub(super) struct Found {
    /// Row of each entry.
    pub rows: Vec<u32>,
    /// Column of each entry.
    pub columns: Vec<u32>,
    /// Value of each entry.
    pub values: Vec<f64>,
}

/// The matrix being compared, for messages.
struct Matrices<'a> {
    place: String,
    table: ShardTable,
    source: &'a dyn CellSource,
    first: u64,
    with: &'a Comparison<'a>,
}

impl Matrices<'_> {
    /// Compares a chunk with the table's rows before `end`, block by block.
    fn compare(
        &self,
        expected: &CooBatch,
        cursor: &mut RowCursor<'_>,
        end: u64,
        problems: &mut Problems,
    ) -> Result<(), VerifyError> {
        let rows = expected.cell_ids.as_primitive::<UInt32Type>().values();
        let columns = expected.gene_ids.as_primitive::<UInt32Type>().values();
        let values = expected.values.as_primitive::<Float64Type>().values();
        let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
        let (missing, extra) = ("a missing value", "a value that the input lacks");
        let mut e = 0;
        // Merge both sorted lists.
        while let Some(found) = cursor.before(end)? {
            for f in 0..found.rows.len() {
                let right = (found.rows[f], found.columns[f]);
                while e < rows.len() && (rows[e], columns[e]) < right {
                    self.note((rows[e], columns[e]), missing, [values[e], 0.0], problems)?;
                    e += 1;
                }
                if e == rows.len() || (rows[e], columns[e]) > right {
                    self.note(right, extra, [0.0, found.values[f]], problems)?;
                    continue;
                }
                if !same(values[e], found.values[f]) {
                    let pair = [values[e], found.values[f]];
                    self.note(right, "another value", pair, problems)?;
                }
                e += 1;
            }
        }
        while e < rows.len() {
            self.note((rows[e], columns[e]), missing, [values[e], 0.0], problems)?;
            e += 1;
        }
        Ok(())
    }

    fn note(
        &self,
        at: (u32, u32),
        what: &str,
        [expected, found]: [f64; 2],
        problems: &mut Problems,
    ) -> Result<(), VerifyError> {
        problems.note(&self.place, what, |problem| {
            let problem = problem.differing(expected, found);
            Ok(match self.table {
                ShardTable::Expression | ShardTable::Layers => {
                    problem.at_cell(self.cell(at.0)?).at_gene(self.gene(at.1)?)
                }
                ShardTable::Obsp => {
                    problem.at_cell(format!("{} and {}", self.cell(at.0)?, self.cell(at.1)?))
                }
                ShardTable::Varp => {
                    problem.at_gene(format!("{} and {}", self.gene(at.0)?, self.gene(at.1)?))
                }
            })
        })
    }

    /// Returns the name of a cell in the input.
    fn cell(&self, id: u32) -> Result<String, VerifyError> {
        let row = u64::from(id).checked_sub(self.first);
        match row.filter(|&row| row < self.source.description().n_obs) {
            Some(row) => Ok(self.source.obs_names(row..row + 1)?.value(0).to_string()),
            None => Ok(id.to_string()),
        }
    }

    /// Returns the name of a gene in the dataset.
    fn gene(&self, id: u32) -> Result<String, VerifyError> {
        let Some(table) = self.with.tables.get(&TableName::Genes) else {
            return Ok(id.to_string());
        };
        let path = self.with.dataset.path().join(TableName::Genes.folder());
        let wanted = RowsAndColumns {
            columns: Some(&["gene_id"]),
            rows: Some(u64::from(id)..u64::from(id) + 1),
        };
        let runtime = self.with.runtime;
        let mut rows = runtime.block_on(RowReader::of(table, &path, wanted))?;
        let batch = runtime.block_on(rows.next())?;
        let names = batch
            .as_ref()
            .and_then(|b| b.column(0).as_string_opt::<i32>());
        let name = names.filter(|names| names.len() == 1 && names.is_valid(0));
        Ok(name.map_or_else(|| id.to_string(), |names| names.value(0).to_string()))
    }
}

/// Returns the rows of a table whose value in one column is not zero.
pub(super) fn nonzero(rows: &UInt32Array, columns: &UInt32Array, values: &Float64Array) -> Found {
    let kept = (0..values.len()).filter(|&row| values.value(row) != 0.0);
    let kept: Vec<usize> = kept.collect();
    Found {
        rows: kept.iter().map(|&row| rows.value(row)).collect(),
        columns: kept.iter().map(|&row| columns.value(row)).collect(),
        values: kept.iter().map(|&row| values.value(row)).collect(),
    }
}
