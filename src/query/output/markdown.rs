//! A table in Markdown.

use std::io::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::RowWriter;
use crate::query::QueryError;

pub(super) struct Markdown {
    header: Option<String>,
}

impl Markdown {
    pub fn new(schema: &SchemaRef) -> Self {
        let mut header = String::from("|");
        let mut line = String::from("|");
        for field in schema.fields() {
            header += &format!(" {} |", escaped(field.name()));
            line += if field.data_type().is_numeric() {
                " ---: |"
            } else {
                " --- |"
            };
        }
        Markdown {
            header: Some(format!("{header}\n{line}\n")),
        }
    }

    fn begin(&mut self, out: &mut dyn Write) -> Result<(), QueryError> {
        if let Some(header) = self.header.take() {
            out.write_all(header.as_bytes())?;
        }
        Ok(())
    }
}

impl RowWriter for Markdown {
    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Write) -> Result<bool, QueryError> {
        self.begin(out)?;
        let failed = |error: arrow::error::ArrowError| QueryError::Failed(error.to_string());
        let options = FormatOptions::default();
        let columns = rows.columns().iter();
        let columns = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        for row in 0..rows.num_rows() {
            let mut line = String::from("|");
            for (format, column) in columns.iter().zip(rows.columns()) {
                let value = if column.is_null(row) {
                    String::new()
                } else {
                    format.value(row).try_to_string().map_err(failed)?
                };
                line += &format!(" {} |", escaped(&value));
            }
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(true)
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<Option<String>, QueryError> {
        self.begin(out)?;
        Ok(None)
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace(['\n', '\r'], " ")
}
