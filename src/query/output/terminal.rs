//! A table on a terminal: cut where it is too small, and that is said.

use std::io::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::RowWriter;
use crate::query::QueryError;

/// Characters of a value that are shown, at most.
const WIDEST: usize = 48;

/// How much of a table is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableLimits {
    /// Rows at most; all if `None`.
    pub rows: Option<usize>,
    /// Characters of a line.
    pub width: usize,
}

pub(super) struct Table {
    limits: TableLimits,
    names: Vec<String>,
    numeric: Vec<bool>,
    rows: Vec<Vec<String>>,
    more: bool,
    shortened: bool,
}

impl Table {
    pub fn new(schema: &SchemaRef, limits: TableLimits) -> Self {
        let fields = schema.fields().iter();
        Table {
            limits,
            names: fields
                .clone()
                .map(|field| printable(field.name()))
                .collect(),
            numeric: fields.map(|field| field.data_type().is_numeric()).collect(),
            rows: Vec::new(),
            more: false,
            shortened: false,
        }
    }

    fn shortened(&mut self, text: String) -> String {
        if text.chars().count() <= WIDEST {
            return text;
        }
        self.shortened = true;
        let start: String = text.chars().take(WIDEST - 1).collect();
        start + "…"
    }
}

impl RowWriter for Table {
    fn rows(&mut self, rows: &RecordBatch, _: &mut dyn Write) -> Result<bool, QueryError> {
        let failed = |error: arrow::error::ArrowError| QueryError::Failed(error.to_string());
        let options = FormatOptions::default();
        let columns = rows.columns().iter();
        let columns = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        for row in 0..rows.num_rows() {
            if self.limits.rows.is_some_and(|most| self.rows.len() >= most) {
                self.more = true;
                return Ok(false);
            }
            let mut line = Vec::with_capacity(columns.len());
            for (format, column) in columns.iter().zip(rows.columns()) {
                let value = if column.is_null(row) {
                    String::new()
                } else {
                    printable(&format.value(row).try_to_string().map_err(failed)?)
                };
                line.push(self.shortened(value));
            }
            self.rows.push(line);
        }
        Ok(true)
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<Option<String>, QueryError> {
        let mut widths: Vec<usize> = self.names.iter().map(|name| name.chars().count()).collect();
        for row in &self.rows {
            for (width, value) in widths.iter_mut().zip(row) {
                *width = (*width).max(value.chars().count());
            }
        }
        let mut shown = 0;
        let mut taken = 0;
        for width in &widths {
            taken += width + if shown == 0 { 0 } else { 2 };
            if taken > self.limits.width && shown > 0 {
                break;
            }
            shown += 1;
        }
        let line = |values: &[String]| {
            let cells = values.iter().zip(&widths).zip(&self.numeric).take(shown);
            let cells = cells.map(|((value, width), numeric)| {
                if *numeric {
                    format!("{value:>width$}")
                } else {
                    format!("{value:<width$}")
                }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
        };
        out.write_all(line(&self.names).as_bytes())?;
        let rules: Vec<String> = widths.iter().map(|&width| "─".repeat(width)).collect();
        out.write_all(line(&rules).as_bytes())?;
        for row in &self.rows {
            out.write_all(line(row).as_bytes())?;
        }
        let mut cut = Vec::new();
        if self.more {
            cut.push(format!(
                "the first {} rows are shown; there are more",
                self.rows.len()
            ));
        }
        if shown < widths.len() {
            cut.push(format!("{} of {} columns are shown", shown, widths.len()));
        }
        if self.shortened {
            cut.push("long values are cut".into());
        }
        let all = "-o FILE, a pipe or --to have all";
        Ok((!cut.is_empty()).then(|| format!("{} ({all})", cut.join(", "))))
    }
}

/// A text without characters that a terminal would follow.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '·' } else { c })
        .collect()
}
