//! The answer to a query, row by row.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::SendableRecordBatchStream;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::error::QueryError;
use super::near;
use super::place::Place;
use super::report::Report;

/// Rows of an answer, which are read as they are taken.
pub struct Answer {
    stream: SendableRecordBatchStream,
    report: Report,
    warnings: Vec<String>,
}

impl Answer {
    pub(super) fn new(
        stream: SendableRecordBatchStream,
        report: Report,
        warnings: Vec<String>,
    ) -> Self {
        Answer {
            stream,
            report,
            warnings,
        }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// What is read, complete once all rows were taken.
    pub fn report(&self) -> Report {
        self.report.clone()
    }

    /// What is to be known about the tables of the query.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The rows.
    pub fn into_stream(self) -> BoxStream<'static, Result<RecordBatch, QueryError>> {
        self.stream.map_err(QueryError::running).boxed()
    }
}

/// What is wrong with a query.
pub(super) fn wrong_query(sql: &str, error: &DataFusionError) -> QueryError {
    let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
    let place = span.and_then(Place::of_span);
    if let DataFusionError::SchemaError(schema, _) = error.find_root() {
        match schema.as_ref() {
            SchemaError::FieldNotFound {
                field,
                valid_fields,
            } => {
                let mut known: Vec<&str> =
                    valid_fields.iter().map(|column| column.name()).collect();
                known.sort_unstable();
                known.dedup();
                let hint = near::hint(field.name(), known.iter().copied());
                return QueryError::Sql {
                    problem: format!("there is no column {}; {hint}", field.name()),
                    place: place.or_else(|| Place::of_word(sql, field.name())),
                    shown: None,
                };
            }
            SchemaError::AmbiguousReference { field } => {
                return QueryError::Sql {
                    problem: format!(
                        "several tables have a column {0}; say which, as in c.{0}",
                        field.name()
                    ),
                    place: place.or_else(|| Place::of_word(sql, field.name())),
                    shown: None,
                };
            }
            SchemaError::DuplicateQualifiedField { .. }
            | SchemaError::DuplicateUnqualifiedField { .. } => {}
        }
    }
    let text = error.strip_backtrace();
    let text = [
        "Error during planning: ",
        "This feature is not implemented: ",
        "Schema error: ",
    ]
    .into_iter()
    .fold(text, |text, start| {
        text.strip_prefix(start).map_or(text.clone(), String::from)
    });
    let word = text.split('\'').nth(1).map(str::to_string);
    QueryError::Sql {
        problem: text.split_whitespace().collect::<Vec<_>>().join(" "),
        place: place.or_else(|| Place::of_word(sql, &word.filter(|word| !word.is_empty())?)),
        shown: None,
    }
}
