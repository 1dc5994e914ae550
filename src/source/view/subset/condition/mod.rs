//! Selects cells with a condition on their columns, in SQL.

mod expression;
mod growth;
mod missing;
mod names;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use crate::remedy::Setting;
use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::error::ErrorContext;
use crate::source::{CellSource, SourceError};
use expression::Condition;

/// Name of the cell identifiers in a condition.
const CELL_ID: &str = "cell_id";

/// Size in bytes of the stack for parsing and evaluating a condition. Only the part in use takes
/// memory. The parser, the planner and the evaluation recurse into the expression, whose depth is
/// bounded by the length of the text.
const STACK: usize = 256 << 20;

/// Number of characters of a condition quoted in messages.
const QUOTED: usize = 300;

/// Returns the rows of the cells for which the condition is true, as opposed to false or unknown.
/// NaN is a missing value, as in pandas and R: whatever depends on it is unknown.
pub(super) fn satisfying(source: &dyn CellSource, sql: &str) -> Result<Vec<u32>, SourceError> {
    let description = source.description();
    let place = ErrorContext::new(&description.path, "obs");
    let names = description.obs.iter().map(|column| column.name.as_str());
    let names = names.collect::<Vec<_>>().join(", ");
    let refused = |problem: String| {
        let help = format!("its columns are {CELL_ID}, {names}");
        let problem = beginning(problem.lines().next().unwrap_or_default());
        place.refuses(Setting::of("where", beginning(sql)), problem, help)
    };
    let find = || find(source, sql, &refused);
    let found = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("slaf-where".into());
        let thread = thread.stack_size(STACK).spawn_scoped(scope, find);
        thread.map(std::thread::ScopedJoinHandle::join)
    });
    match found {
        Ok(Ok(found)) => found,
        Ok(Err(_)) => Err(refused(
            "it could not be evaluated; write it in a simpler way".into(),
        )),
        Err(error) => Err(place.io("start a thread for", error)),
    }
}

/// Returns the beginning of a text, for messages.
fn beginning(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_string(),
    }
}

fn find(
    source: &dyn CellSource,
    sql: &str,
    refused: &(dyn Fn(String) -> SourceError + Sync),
) -> Result<Vec<u32>, SourceError> {
    let description = source.description();
    let condition = Condition::parse(&frame(source, 0..0)?, sql).map_err(refused)?;
    let mut kept = Vec::new();
    let mut blocks = RowBlocks::new(0..description.n_obs, description.obs.len());
    while let Some((rows, batch)) = blocks.read(|rows| frame(source, rows))? {
        let bytes = bytes_of(batch.columns());
        blocks.held(bytes);
        let step = condition.rows_at_once(batch.num_rows(), bytes);
        for start in (0..batch.num_rows()).step_by(step) {
            let slice = batch.slice(start, step.min(batch.num_rows() - start));
            let holds = condition.evaluate(&slice).map_err(refused)?;
            let holds = holds.as_boolean();
            let first = rows.start + start as u64;
            for (row, place) in (first..).zip(0..holds.len()) {
                if holds.is_valid(place) && holds.value(place) {
                    kept.push(u32::try_from(row).map_err(|_| refused("too many cells".into()))?);
                }
            }
        }
    }
    Ok(kept)
}

/// Returns the obs columns, plus the identifiers if no column has their name; NaN becomes null.
fn frame(source: &dyn CellSource, cells: Range<u64>) -> Result<RecordBatch, SourceError> {
    let damaged = |error: arrow::error::ArrowError| {
        ErrorContext::new(&source.description().path, "obs").damaged(error.to_string())
    };
    let batch = source.obs(cells.clone())?;
    let mut fields: Vec<Arc<Field>> = Vec::with_capacity(batch.num_columns() + 1);
    let mut columns = Vec::with_capacity(batch.num_columns() + 1);
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        fields.push(Arc::new(field.as_ref().clone().with_nullable(true)));
        columns.push(missing::without_nan(column).map_err(damaged)?);
    }
    if batch.column_by_name(CELL_ID).is_none() {
        fields.push(Arc::new(Field::new(CELL_ID, DataType::Utf8, true)));
        columns.push(Arc::new(source.obs_names(cells)?));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(damaged)
}
