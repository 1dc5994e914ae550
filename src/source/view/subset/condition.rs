//! Cells that satisfy a condition on their columns, in SQL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::DFSchema;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::source::blocks::{RowBlocks, bytes_of};
use crate::source::error::Place;
use crate::source::{CellSource, SourceError};

/// The name by which a condition knows the identifiers of cells.
const CELL_ID: &str = "cell_id";

/// The rows of the cells for which the condition is true; neither false nor unknown.
pub(super) fn satisfying(source: &dyn CellSource, sql: &str) -> Result<Vec<u32>, SourceError> {
    let description = source.description();
    let place = Place::new(&description.path, "obs");
    let names = description.obs.iter().map(|column| column.name.as_str());
    let names = names.collect::<Vec<_>>().join(", ");
    let refused = |problem: String| {
        let help = format!("its columns are {CELL_ID}, {names}");
        let problem = problem.lines().next().unwrap_or_default().to_string();
        place.unsupported(format!("--where {sql:?} ({problem})"), help)
    };
    let condition = Condition::parse(&frame(source, 0..0)?, sql).map_err(refused)?;
    let mut kept = Vec::new();
    let mut blocks = RowBlocks::new(0..description.cells, description.obs.len());
    while let Some(rows) = blocks.next() {
        let batch = frame(source, rows.clone())?;
        blocks.held(bytes_of(batch.columns()));
        let holds = condition.evaluate(&batch).map_err(refused)?;
        let holds = holds.as_boolean();
        for (row, place) in rows.zip(0..holds.len()) {
            if holds.is_valid(place) && holds.value(place) {
                kept.push(u32::try_from(row).map_err(|_| refused("too many cells".into()))?);
            }
        }
    }
    Ok(kept)
}

/// The columns of cells, with their identifiers where no column has that name.
fn frame(source: &dyn CellSource, cells: std::ops::Range<u64>) -> Result<RecordBatch, SourceError> {
    let batch = source.obs(cells.clone())?;
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    if batch.column_by_name(CELL_ID).is_none() {
        fields.push(Arc::new(Field::new(CELL_ID, DataType::Utf8, true)));
        columns.push(Arc::new(source.cell_ids(cells)?));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| Place::new(&source.description().path, "obs").damaged(error.to_string()))
}

struct Condition(Arc<dyn PhysicalExpr>);

impl Condition {
    fn parse(like: &RecordBatch, sql: &str) -> Result<Self, String> {
        // Names are as the input has them: they are not made lower-case.
        let config = SessionConfig::new()
            .set_bool("datafusion.sql_parser.enable_ident_normalization", false);
        let context = SessionContext::new_with_config(config);
        let parse = || {
            let schema = DFSchema::try_from(like.schema().as_ref().clone())?;
            let expression = context.parse_sql_expr(sql, &schema)?;
            let expression = context.create_physical_expr(expression, &schema)?;
            let data_type = expression.data_type(&like.schema())?;
            Ok::<_, datafusion::error::DataFusionError>((expression, data_type))
        };
        match parse() {
            Ok((expression, DataType::Boolean)) => Ok(Condition(expression)),
            Ok((_, other)) => Err(format!("it is {other}, neither true nor false")),
            Err(error) => Err(error.strip_backtrace()),
        }
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, String> {
        let found = self.0.evaluate(batch).map_err(|error| error.to_string())?;
        let found = found.into_array(batch.num_rows());
        let found = found.map_err(|error| error.to_string())?;
        cast(&found, &DataType::Boolean).map_err(|error| error.to_string())
    }
}
