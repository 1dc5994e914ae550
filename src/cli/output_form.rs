//! How rows are written: the form that is asked for, or that suits where they go.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::arguments::ToArgument;
use super::terminal;
use crate::error::Error;
use crate::query::{OutputFormat, QueryError, Sink, TableLimits, write};

/// Rows that are shown on a terminal, unless a limit is given.
const SHOWN: usize = 40;

/// A form, and where it goes.
pub(super) struct OutputForm {
    pub format: OutputFormat,
    pub sink: Sink,
}

impl OutputForm {
    /// The form that was asked for, or that suits the file or standard output.
    pub fn of(
        to: Option<ToArgument>,
        output: Option<PathBuf>,
        overwrite: bool,
    ) -> Result<Self, Error> {
        let format = format(to, output.as_deref())?;
        let sink = match (output, overwrite) {
            (None, _) => Sink::Standard,
            (Some(path), false) if path.exists() => {
                return Err(QueryError::Exists { path }.into());
            }
            (Some(path), false) => Sink::NewFile(path),
            (Some(path), true) => Sink::File(path),
        };
        Ok(OutputForm { format, sink })
    }

    /// Writes rows. Without a limit, a table on a terminal has only so many as one can look at.
    pub fn write(
        &self,
        schema: &SchemaRef,
        rows: impl Iterator<Item = Result<RecordBatch, QueryError>>,
        limit: Option<usize>,
    ) -> Result<(), Error> {
        let limits = TableLimits {
            rows: limit.is_none().then_some(SHOWN),
            width: terminal::width().unwrap_or(usize::MAX),
        };
        let written = write(schema, rows, self.format, limits, &self.sink)?;
        if let Some(cut) = written.cut {
            tracing::warn!("{cut}");
        }
        Ok(())
    }
}

fn format(to: Option<ToArgument>, output: Option<&Path>) -> Result<OutputFormat, Error> {
    let is_terminal = std::io::stdout().is_terminal();
    match (to, output) {
        (Some(to), _) => {
            let format = to.format();
            if format.is_binary() && output.is_none() && is_terminal {
                return Err(Error::Usage(
                    "this form is not for a terminal; name a file with -o, or use a pipe".into(),
                ));
            }
            Ok(format)
        }
        (None, Some(path)) => OutputFormat::of_name(path).ok_or_else(|| {
            Error::Usage(format!(
                "{}: its ending says no form; name one with --to tsv, csv, json, jsonl, parquet, arrow or md",
                path.display()
            ))
        }),
        (None, None) if is_terminal => Ok(OutputFormat::Table),
        (None, None) => Ok(OutputFormat::Tsv),
    }
}
