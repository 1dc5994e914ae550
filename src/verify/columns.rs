//! Compares the obs and var columns.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::not_distinct;
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::against::Comparison;
use super::{Problem, Problems, VerifyError};
use crate::dataset::ColumnNote;
use crate::plan::PlannedEmbedding;
use crate::source::{Axis, CellSource, Column, Embedding, MatrixDescription, Part};
use crate::survey::FloatType;
use crate::table::{RowReader, TableError, TableName, embedding_column, plain_text};

/// Names of columns in the input and in the dataset.
type Written = Vec<(String, String)>;

/// A table that is compared with the frame of an input.
pub(super) struct Compared {
    /// The table.
    pub table: TableName,
    /// Name of its identifier column.
    pub id: &'static str,
    /// Columns to compare.
    pub columns: Written,
    /// Embeddings to compare.
    pub embeddings: Vec<PlannedEmbedding>,
    /// Row of the table that is the input's first.
    pub first: u64,
    /// Number of rows.
    pub rows: u64,
    /// Whether rows are cells or genes.
    pub axis: Axis,
    /// Whether the dataset has other inputs as well.
    pub several: bool,
}

fn renamed<'a>(part: Part, name: &'a str, notes: &'a [ColumnNote]) -> &'a str {
    let mut notes = notes.iter();
    let note = notes.find(|note| note.part == part && note.column == name);
    note.map_or(name, |note| &note.written_as)
}

/// Returns the names of obs or var columns in the input and in the dataset.
pub(super) fn written(part: Part, columns: &[Column], notes: &[ColumnNote]) -> Written {
    let columns = columns.iter();
    columns
        .map(|column| {
            let written_as = renamed(part, &column.name, notes);
            (column.name.clone(), written_as.to_string())
        })
        .collect()
}

/// Returns the embeddings as they should have been written, with the widest type.
pub(super) fn written_embeddings(
    part: Part,
    embeddings: &[Embedding],
    notes: &[ColumnNote],
) -> Vec<PlannedEmbedding> {
    let embeddings = embeddings.iter();
    embeddings
        .map(|embedding| PlannedEmbedding {
            name: embedding.name.clone(),
            written_as: renamed(part, &embedding.name, notes).to_string(),
            width: embedding.width,
            float_type: FloatType::Float64,
            columns: None,
        })
        .collect()
}

/// Returns the column that contains a layer or a pairwise matrix.
pub(super) fn written_name(
    part: Part,
    matrix: &MatrixDescription,
    with: &Comparison<'_>,
) -> String {
    renamed(part, matrix.name.key(), &with.dataset.config().column_notes).to_string()
}

impl Compared {
    /// Compares all rows and reports differences.
    pub fn check(
        &self,
        source: &dyn CellSource,
        with: &Comparison<'_>,
        problems: &mut Problems,
    ) -> Result<(), VerifyError> {
        let Some(table) = with.tables.get(&self.table) else {
            return Ok(());
        };
        let path = with.dataset.path().join(self.table.folder());
        let arrow = |source: ArrowError| TableError::Arrow {
            path: path.clone(),
            source,
        };
        let range = self.first..self.first + self.rows;
        let mut reader = with
            .runtime
            .block_on(RowReader::over(table, &path, Some(range)))?;
        let mut row = 0;
        while let Some(found) = with.runtime.block_on(reader.next())? {
            let rows = row..row + found.num_rows() as u64;
            row = rows.end;
            let (ids, frame) = match self.axis {
                Axis::Cells => (source.obs_names(rows.clone())?, source.obs(rows.clone())?),
                Axis::Genes => (source.var_names(rows.clone())?, source.var(rows.clone())?),
            };
            let names: ArrayRef = std::sync::Arc::new(ids);
            self.column(self.id, &names, &names, &found, problems)
                .map_err(arrow)?;
            for (column, (_, written_as)) in frame.columns().iter().zip(&self.columns) {
                // Inner joins leave columns out.
                if self.several && found.column_by_name(written_as).is_none() {
                    continue;
                }
                let expected = plain_text(column).map_err(arrow)?;
                self.column(written_as, &names, &expected, &found, problems)
                    .map_err(arrow)?;
            }
            for planned in &self.embeddings {
                let numbers = source.embedding(self.axis, &planned.name, rows.clone())?;
                let expected =
                    embedding_column(&numbers, found.num_rows(), planned).map_err(arrow)?;
                self.column(&planned.written_as, &names, &expected, &found, problems)
                    .map_err(arrow)?;
            }
        }
        problems.expect(self.table.key(), "rows of the input", self.rows, row);
        Ok(())
    }

    fn column(
        &self,
        name: &str,
        names: &ArrayRef,
        expected: &ArrayRef,
        found: &RecordBatch,
        problems: &mut Problems,
    ) -> Result<(), ArrowError> {
        let place = format!("{}, {name}", self.table.key());
        let Some(found) = found.column_by_name(name) else {
            problems.add(Problem::new(place, "the column is missing"));
            return Ok(());
        };
        // Lists are compared component by component.
        let (expected, found, each) = match (expected.data_type(), found.data_type()) {
            (DataType::FixedSizeList(_, a), DataType::FixedSizeList(_, b)) if a == b => {
                let flat = |lists: &ArrayRef| numbers_of_lists(lists);
                (
                    flat(expected)?,
                    flat(found)?,
                    usize::try_from(*a).unwrap_or(1),
                )
            }
            (a, b) if a == b => (expected.clone(), found.clone(), 1),
            // The common type of several inputs is lossless.
            (_, b) if self.several => (cast(expected, b)?, found.clone(), 1),
            (a, b) => {
                problems.add(Problem::new(place, "its type").differing(a, b));
                return Ok(());
            }
        };
        let same = not_distinct(&expected, &found)?;
        if same.true_count() == same.len() {
            return Ok(());
        }
        let options = FormatOptions::default().with_null("missing");
        let texts =
            [&expected, &found].map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let [expected, found] = texts;
        let (expected, found) = (expected?, found?);
        let names = names.as_string::<i32>();
        for place_of in (0..same.len()).filter(|&row| !same.value(row)) {
            problems.note_at(&place, "another value", |problem| {
                let name = names.value(place_of / each);
                let problem = problem.differing(expected.value(place_of), found.value(place_of));
                match self.axis {
                    Axis::Cells => problem.at_cell(name),
                    Axis::Genes => problem.at_gene(name),
                }
            });
        }
        Ok(())
    }
}

/// The numbers of lists, one after another; those of a list that is missing are NaN, as inputs give
/// them.
fn numbers_of_lists(lists: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let lists = lists.as_fixed_size_list();
    let numbers = cast(lists.values(), &DataType::Float64)?;
    if lists.null_count() == 0 {
        return Ok(numbers);
    }
    let width = usize::try_from(lists.value_length()).unwrap_or(1).max(1);
    let numbers = numbers.as_primitive::<Float64Type>();
    let numbers = (0..numbers.len()).map(|place| {
        if lists.is_valid(place / width) {
            numbers.is_valid(place).then(|| numbers.value(place))
        } else {
            Some(f64::NAN)
        }
    });
    Ok(std::sync::Arc::new(numbers.collect::<Float64Array>()))
}
