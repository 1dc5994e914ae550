//! Checks the order, coordinates and digests of tables of non-zeros.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt32Type};

use super::frames::Frames;
use super::{Problem, Problems, VerifyError};
use crate::chunk::{Digest, IdHash, ValueStats};
use crate::dataset::{CONFIG, Dataset, SourceNote, value_columns};
use crate::plan::ShardTable;
use crate::progress::{Event, Progress};
use crate::table::{RowReader, TableName};

/// Check of one table of non-zeros.
pub(super) struct Check<'a> {
    /// The dataset.
    pub dataset: &'a Dataset,
    /// Its cells and genes.
    pub frames: &'a Frames,
    /// The table.
    pub table: ShardTable,
    /// Listener for progress events.
    pub progress: &'a dyn Progress,
}

/// State after the rows read so far.
struct State {
    rows: u64,
    last: Option<(u32, u32)>,
    /// Digest of each matrix of each source.
    digests: Vec<Vec<Digest>>,
    stats: ValueStats,
    /// Number of rows of each source, and number of non-zeros of each matrix of each source.
    rows_of: Vec<u64>,
    non_zeros: Vec<Vec<u64>>,
    /// Next cell whose start is to be checked.
    next_cell: usize,
    /// Row of the table at which each source begins.
    begins: Vec<u64>,
}

/// Row ranges of a table of non-zeros.
pub(super) struct Rows {
    /// Number of rows.
    pub count: u64,
    /// Row at which each source of the dataset begins, if the rows are sorted.
    pub begins: Vec<u64>,
}

impl Rows {
    /// Returns the rows of a source.
    pub fn of_source(&self, number: usize) -> Range<u64> {
        let begin = |number| self.begins.get(number).copied().unwrap_or(self.count);
        begin(number)..begin(number + 1).max(begin(number))
    }
}

impl State {
    fn known(mut self, sources: usize) -> Rows {
        self.begins
            .resize(sources.max(self.begins.len()), self.rows);
        Rows {
            count: self.rows,
            begins: self.begins,
        }
    }
}

impl Check<'_> {
    /// Reads the table and reports problems. Returns which rows there are.
    pub async fn run(
        &self,
        table: &lance::Dataset,
        problems: &mut Problems,
    ) -> Result<Rows, VerifyError> {
        let name = TableName::from(self.table);
        let path = self.dataset.path().join(name.folder());
        // Columns of types that no matrix has were added by others and are not checked.
        let schema = arrow::datatypes::Schema::from(table.schema());
        let columns = value_columns(name, &schema);
        let matrices = columns.len();
        let numbers = name.number_columns().iter().copied();
        let read: Vec<&str> = numbers.chain(columns.iter().map(String::as_str)).collect();
        let sources = self.dataset.config().sources.len().max(1);
        let mut state = State {
            rows: 0,
            last: None,
            digests: vec![vec![Digest::default(); matrices]; sources],
            stats: ValueStats::default(),
            rows_of: vec![0; sources],
            non_zeros: vec![vec![0; matrices]; sources],
            next_cell: 0,
            begins: Vec::new(),
        };
        let mut rows = RowReader::of_columns(table, &path, &read).await?;
        loop {
            match rows.next().await {
                Ok(Some(batch)) => {
                    self.batch(&batch, &mut state, problems);
                    let entries = batch.num_rows() as u64;
                    self.progress.report(Event::Verified { entries });
                }
                Ok(None) => break,
                Err(error) => {
                    problems.add(Problem::new(
                        name.key(),
                        crate::failure::in_one_line(&error),
                    ));
                    return Ok(state.known(sources));
                }
            }
        }
        self.finish(&columns, &mut state, problems);
        Ok(state.known(sources))
    }

    fn place(&self) -> &'static str {
        TableName::from(self.table).key()
    }

    /// Returns the identifier hashes of the rows and of the columns of the matrices.
    fn hashes(&self) -> (&[IdHash], &[IdHash]) {
        let (cells, genes) = (&self.frames.cells[..], &self.frames.genes[..]);
        match self.table {
            ShardTable::Expression | ShardTable::Layers => (cells, genes),
            ShardTable::Obsp => (cells, cells),
            ShardTable::Varp => (genes, genes),
        }
    }

    fn batch(&self, batch: &RecordBatch, state: &mut State, problems: &mut Problems) {
        let ids = |column: &ArrayRef| {
            let ids = cast(column, &DataType::UInt32).ok();
            ids.filter(|ids| ids.null_count() == column.null_count())
        };
        let (Some(rows), Some(columns)) = (ids(batch.column(0)), ids(batch.column(1))) else {
            problems.add(Problem::new(
                self.place(),
                "an identifier is negative or too large",
            ));
            return;
        };
        let rows = rows.as_primitive::<UInt32Type>().values();
        let columns = columns.as_primitive::<UInt32Type>().values();
        let values: Vec<ArrayRef> = batch.columns()[2..]
            .iter()
            .filter_map(|column| cast(column, &DataType::Float64).ok())
            .collect();
        // Missing values, left out by other programs, are zeros.
        let values: Vec<ArrayRef> = values
            .iter()
            .map(|column| match column.null_count() {
                0 => column.clone(),
                _ => {
                    let numbers = column.as_primitive::<Float64Type>().iter();
                    let numbers = numbers.map(Option::unwrap_or_default);
                    Arc::new(Float64Array::from_iter_values(numbers))
                }
            })
            .collect();
        let values: Vec<&[f64]> = values
            .iter()
            .map(|column| &column.as_primitive::<Float64Type>().values()[..])
            .collect();
        self.coordinates(rows, columns, state, problems);
        let (row_hashes, column_hashes) = self.hashes();
        let mut begin = 0;
        // One row of the matrix at a time.
        for run in rows.chunk_by(|a, b| a == b) {
            let range = begin..begin + run.len();
            begin = range.end;
            let row = run[0] as usize;
            if self.table == ShardTable::Expression {
                self.beginnings(row, state.rows + range.start as u64, state, problems);
                state
                    .stats
                    .add(&ValueStats::of_values(&values[0][range.clone()]));
            }
            let source = self.source_of(row as u64);
            while state.begins.len() <= source {
                state.begins.push(state.rows + range.start as u64);
            }
            state.rows_of[source] += run.len() as u64;
            let Some(&row_hash) = row_hashes.get(row) else {
                continue;
            };
            for (matrix, values) in values.iter().enumerate() {
                let digest = &mut state.digests[source][matrix];
                let non_zeros = values[range.clone()].iter().filter(|value| **value != 0.0);
                state.non_zeros[source][matrix] += non_zeros.count() as u64;
                for (&column, &value) in columns[range.clone()].iter().zip(&values[range.clone()]) {
                    if value != 0.0
                        && let Some(&column_hash) = column_hashes.get(column as usize)
                    {
                        digest.add_entry(row_hash, column_hash, value);
                    }
                }
            }
        }
        let ours = |row: usize| {
            let sources = &self.dataset.config().sources;
            let source = sources.get(self.source_of(u64::from(rows[row])));
            source.is_some_and(|source| source.job.is_some())
        };
        // Other programs store explicit zeros.
        let added = &self.dataset.config().added_columns;
        let rows_of_others = added.contains_key(self.place());
        let mut all = if rows_of_others {
            0..0
        } else {
            0..batch.num_rows()
        };
        let is_zero = |row: &usize| values.iter().all(|column| column[*row] == 0.0);
        let zero = all.find(|row| is_zero(row) && ours(*row));
        if let Some(row) = zero {
            let problem = Problem::new(self.place(), "a zero is stored");
            problems.add(self.at(problem, rows[row], columns[row]));
        }
        state.rows += batch.num_rows() as u64;
    }

    fn at(&self, problem: Problem, row: u32, column: u32) -> Problem {
        match self.table {
            ShardTable::Expression | ShardTable::Layers => {
                problem.at_cell(row.to_string()).at_gene(column.to_string())
            }
            ShardTable::Obsp => problem.at_cell(format!("{row} and {column}")),
            ShardTable::Varp => problem.at_gene(format!("{row} and {column}")),
        }
    }

    /// Checks that coordinates exist, ascend, and are unique.
    fn coordinates(
        &self,
        rows: &[u32],
        columns: &[u32],
        state: &mut State,
        problems: &mut Problems,
    ) {
        let (row_hashes, column_hashes) = self.hashes();
        let (most_rows, most_columns) = (row_hashes.len(), column_hashes.len());
        for (&row, &column) in rows.iter().zip(columns) {
            let here = (row, column);
            if state.last.is_some_and(|last| last >= here) {
                let what = if state.last == Some(here) {
                    "a row is doubled"
                } else {
                    "rows are not in order"
                };
                problems.note_at(self.place(), what, |problem| self.at(problem, row, column));
            }
            state.last = Some(here);
            if row as usize >= most_rows || column as usize >= most_columns {
                let what = "a row names a cell or a gene that does not exist";
                problems.note_at(self.place(), what, |problem| self.at(problem, row, column));
            }
        }
    }

    /// Checks that cells begin where the cells table says. Cells without rows begin where the next
    /// one does.
    fn beginnings(&self, cell: usize, at: u64, state: &mut State, problems: &mut Problems) {
        let starts = &self.frames.starts;
        let end = (cell + 1).min(starts.len());
        for (cell, &start) in starts.iter().enumerate().take(end).skip(state.next_cell) {
            if u64::try_from(start) != Ok(at) {
                problems.note_at("cells", "cell_start_index", |problem| {
                    problem.at_cell(cell.to_string()).differing(at, start)
                });
            }
        }
        state.next_cell = state.next_cell.max(end);
    }

    fn source_of(&self, row: u64) -> usize {
        if self.table == ShardTable::Varp {
            return 0;
        }
        let sources = &self.dataset.config().sources;
        sources
            .partition_point(|source| source.first_cell <= row)
            .saturating_sub(1)
    }

    fn finish(&self, columns: &[String], state: &mut State, problems: &mut Problems) {
        let config = self.dataset.config();
        if self.table == ShardTable::Expression {
            self.beginnings(usize::MAX - 1, state.rows, state, problems);
            problems.expect(
                CONFIG,
                "metadata.expression_count",
                state.rows,
                config.metadata.expression_count,
            );
            self.statistics(&state.stats, problems);
            if config.is_described() {
                self.sums(&state.stats, problems);
                for (source, &rows) in config.sources.iter().zip(&state.rows_of) {
                    let what = format!("rows of {}", source.source_file);
                    problems.expect(CONFIG, &what, rows, source.rows);
                }
            }
        }
        for (source, found) in config.sources.iter().zip(&state.non_zeros) {
            for (column, &found) in columns.iter().zip(found) {
                let key = self.key_of(column);
                let mut notes = source.layers.iter();
                if let Some(note) = notes.find(|note| note.object == key) {
                    let what = format!("rows of {key} of {}", source.source_file);
                    problems.expect(CONFIG, &what, found, note.rows);
                }
            }
        }
        for (source, found) in config.sources.iter().zip(&state.digests) {
            for (column, found) in columns.iter().zip(found) {
                let Some(expected) = self.written_digest(source, column) else {
                    continue;
                };
                if expected != *found {
                    let what = format!(
                        "{column} of {} is not what was written: the digest",
                        source.source_file
                    );
                    problems.add(Problem::new(self.place(), what).differing(expected, found));
                }
            }
        }
    }

    /// Returns the key of the matrix that a column contains.
    fn key_of(&self, column: &str) -> String {
        self.dataset.config().digest_key(self.table.into(), column)
    }

    /// Returns the digest that was recorded when a column was written.
    fn written_digest(&self, source: &SourceNote, column: &str) -> Option<Digest> {
        source.digests.get(&self.key_of(column)).copied()
    }

    /// Checks the sums in config.json, to which those of the next append are added.
    fn sums(&self, stats: &ValueStats, problems: &mut Problems) {
        let Some(sums) = &self.dataset.config().sums else {
            return;
        };
        problems.expect(CONFIG, "sums.rows", stats.rows, sums.rows);
        problems.expect(CONFIG, "sums.non_finite", stats.non_finite, sums.non_finite);
        for (what, expected, found) in [
            ("sums.min", stats.min, sums.min),
            ("sums.max", stats.max, sums.max),
            ("sums.sum", stats.sum, sums.sum),
            (
                "sums.sum_of_squares",
                stats.sum_of_squares,
                sums.sum_of_squares,
            ),
        ] {
            // Values of both signs can cancel almost completely.
            let scale = stats.sum_of_squares.sqrt() * (stats.rows as f64).sqrt();
            if !close(expected, found) && (expected - found).abs() > 1e-9 * scale {
                problems.add(Problem::new(CONFIG, what).differing(expected, found));
            }
        }
    }

    /// Checks the statistics in config.json, within the accuracy of adding them in another order.
    fn statistics(&self, stats: &ValueStats, problems: &mut Problems) {
        let config = &self.dataset.config().metadata.expression_stats;
        for (what, expected, found) in [
            ("min_value", stats.min, config.min_value),
            ("max_value", stats.max, config.max_value),
            ("mean_value", stats.mean(), config.mean_value),
        ] {
            if stats.rows > 0 && !close(expected, found) {
                let what = format!("metadata.expression_stats.{what}");
                problems.add(Problem::new(CONFIG, what).differing(expected, found));
            }
        }
    }
}

/// Whether two sums may be those of the same numbers, added in another order.
fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-6 * a.abs().max(b.abs()).max(1e-300)
}
