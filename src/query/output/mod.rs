//! Answers as tables for people and for programs, written row by row.

mod arrow_file;
mod delimited;
mod json;
mod markdown;
mod parquet_file;
mod pending;
mod plain;
mod terminal;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::error::QueryError;
use crate::store::{StoreError, replace_file_with};

pub use terminal::TableLimits;

/// A form in which an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Columns side by side, for a terminal; cut where it is too small.
    Table,
    /// Values between tabs.
    Tsv,
    /// Values between commas.
    Csv,
    /// An array of objects.
    Json,
    /// An object a line.
    Jsonl,
    /// Arrow IPC: a file; on standard output, a stream.
    Arrow,
    /// Parquet.
    Parquet,
    /// A table in Markdown.
    Md,
}

impl OutputFormat {
    /// The format that the ending of a file's name means.
    pub fn of_name(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_lowercase();
        Some(match ending.as_str() {
            "tsv" | "tab" | "txt" => OutputFormat::Tsv,
            "csv" => OutputFormat::Csv,
            "json" => OutputFormat::Json,
            "jsonl" | "ndjson" => OutputFormat::Jsonl,
            "arrow" | "feather" | "ipc" => OutputFormat::Arrow,
            "parquet" | "pq" => OutputFormat::Parquet,
            "md" | "markdown" => OutputFormat::Md,
            _ => return None,
        })
    }

    /// Whether it is not for people to read.
    pub fn is_binary(self) -> bool {
        matches!(self, OutputFormat::Arrow | OutputFormat::Parquet)
    }
}

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Standard,
    /// A new file, which is there as a whole or not at all.
    NewFile(PathBuf),
    /// A file, which may exist, and then is replaced once the answer is complete.
    File(PathBuf),
}

/// What is left to say once an answer is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Number of rows.
    pub rows: u64,
    /// What was cut, for a table on a terminal.
    pub cut: Option<String>,
}

/// Writes rows in some form.
trait RowWriter {
    /// Writes rows. Returns whether more are wanted.
    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Write) -> Result<bool, QueryError>;

    /// Writes what comes after the last row. Returns what was cut.
    fn end(&mut self, out: &mut dyn Write) -> Result<Option<String>, QueryError>;
}

/// Writes an answer.
///
/// # Errors
/// The first error of the answer; [`QueryError::Exists`]; errors of writing.
pub fn write(
    schema: &SchemaRef,
    rows: impl Iterator<Item = Result<RecordBatch, QueryError>>,
    format: OutputFormat,
    limits: TableLimits,
    sink: &Sink,
) -> Result<Written, QueryError> {
    let schema = plain::schema(schema);
    let mut writer: Box<dyn RowWriter> = match format {
        OutputFormat::Table => Box::new(terminal::Table::new(&schema, limits)),
        OutputFormat::Tsv => Box::new(delimited::Delimited::new(&schema, b'\t')),
        OutputFormat::Csv => Box::new(delimited::Delimited::new(&schema, b',')),
        OutputFormat::Json => Box::new(json::Json::array()),
        OutputFormat::Jsonl => Box::new(json::Json::lines()),
        OutputFormat::Parquet => Box::new(parquet_file::ParquetFile::new(&schema)?),
        OutputFormat::Md => Box::new(markdown::Markdown::new(&schema)),
        OutputFormat::Arrow => match sink {
            Sink::Standard => Box::new(arrow_file::ArrowFile::stream(&schema)?),
            Sink::NewFile(_) | Sink::File(_) => Box::new(arrow_file::ArrowFile::file(&schema)?),
        },
    };
    match sink {
        Sink::Standard => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            let done = all(writer.as_mut(), &schema, rows, &mut out);
            match done.and_then(|written| Ok(out.flush().map(|()| written)?)) {
                // The reader has seen enough.
                Err(QueryError::Printing(error))
                    if error.kind() == std::io::ErrorKind::BrokenPipe =>
                {
                    Ok(Written::default())
                }
                other => other,
            }
        }
        Sink::NewFile(path) if path.exists() => Err(QueryError::Exists { path: path.clone() }),
        Sink::NewFile(path) | Sink::File(path) => {
            if path.is_dir() {
                let folder = std::io::Error::other("it is a folder");
                return Err(StoreError::from_io("write", path, folder).into());
            }
            let mut result = Ok(Written::default());
            let stored = replace_file_with(path, |out| {
                result = all(writer.as_mut(), &schema, rows, out);
                match &mut result {
                    Ok(_) => Ok(()),
                    Err(QueryError::Printing(error)) => {
                        Err(std::mem::replace(error, std::io::Error::other("written")))
                    }
                    Err(_) => Err(std::io::Error::other("the query failed")),
                }
            });
            match result {
                Ok(_) | Err(QueryError::Printing(_)) => {
                    stored?;
                    result
                }
                failed => failed,
            }
        }
    }
}

fn all(
    writer: &mut dyn RowWriter,
    schema: &SchemaRef,
    rows: impl Iterator<Item = Result<RecordBatch, QueryError>>,
    out: &mut dyn Write,
) -> Result<Written, QueryError> {
    let mut written = Written::default();
    for batch in rows {
        let batch = plain::rows(&batch?, schema)?;
        written.rows += batch.num_rows() as u64;
        if !writer.rows(&batch, out)? {
            break;
        }
    }
    written.cut = writer.end(out)?;
    Ok(written)
}
