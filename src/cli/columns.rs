//! `slaf columns`

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};

use super::arguments::ColumnsArguments;
use super::output_form::OutputForm;
use super::signals::{Interrupted, end_when_asked};
use crate::error::Error;
use crate::ingest::IngestError;
use crate::query::{ColumnSummary, column_summaries};
use crate::table::runtime;

/// Prints a line for each column of cells and genes.
pub(super) fn run(arguments: &ColumnsArguments) -> Result<(), Error> {
    let form = OutputForm::of(arguments.to, None, false)?;
    end_when_asked(Interrupted::Nothing);
    let runtime = runtime(1).map_err(|source| IngestError::Threads { source })?;
    let summaries = runtime.block_on(column_summaries(&arguments.dataset))?;
    let rows = rows(&summaries)?;
    form.write(&rows.schema(), std::iter::once(Ok(rows)), None)
}

fn rows(summaries: &[ColumnSummary]) -> Result<RecordBatch, Error> {
    let texts = |text: &dyn Fn(&ColumnSummary) -> Option<String>| -> ArrayRef {
        Arc::new(summaries.iter().map(text).collect::<StringArray>())
    };
    let numbers = |number: &dyn Fn(&ColumnSummary) -> Option<u64>| -> ArrayRef {
        Arc::new(summaries.iter().map(number).collect::<UInt64Array>())
    };
    let frequent = |summary: &ColumnSummary| {
        let values = summary.most_frequent.iter();
        let values = values.map(|(value, count)| format!("{value} ({count})"));
        let values = values.collect::<Vec<_>>().join(", ");
        Some(values).filter(|values| !values.is_empty())
    };
    let rows = RecordBatch::try_from_iter([
        ("table", texts(&|summary| Some(summary.table.to_string()))),
        ("column", texts(&|summary| Some(summary.column.clone()))),
        ("type", texts(&|summary| Some(summary.data_type.clone()))),
        ("missing", numbers(&|summary| Some(summary.missing))),
        ("distinct", numbers(&|summary| summary.distinct)),
        ("min", texts(&|summary| summary.min.clone())),
        ("max", texts(&|summary| summary.max.clone())),
        ("most_frequent", texts(&frequent)),
    ]);
    rows.map_err(|error| crate::query::QueryError::Failed(error.to_string()).into())
}
