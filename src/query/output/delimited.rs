//! Values between commas or tabs. What is missing is empty; an empty text is `""`.

use std::fmt::Write as _;
use std::io::Write;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::RowWriter;
use crate::query::QueryError;

pub(super) struct Delimited {
    delimiter: char,
    header: Option<String>,
    line: String,
}

impl Delimited {
    pub fn new(schema: &SchemaRef, delimiter: u8) -> Self {
        let delimiter = char::from(delimiter);
        let mut header = String::new();
        for (number, field) in schema.fields().iter().enumerate() {
            if number > 0 {
                header.push(delimiter);
            }
            quote(field.name(), delimiter, &mut header);
        }
        header.push('\n');
        Delimited {
            delimiter,
            header: Some(header),
            line: String::new(),
        }
    }
}

impl RowWriter for Delimited {
    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Write) -> Result<bool, QueryError> {
        if let Some(header) = self.header.take() {
            out.write_all(header.as_bytes())?;
        }
        let failed = |error: arrow::error::ArrowError| QueryError::Failed(error.to_string());
        let options = FormatOptions::default();
        let columns = rows.columns().iter();
        let columns = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let mut text = String::new();
        for row in 0..rows.num_rows() {
            self.line.clear();
            for (number, (format, column)) in columns.iter().zip(rows.columns()).enumerate() {
                if number > 0 {
                    self.line.push(self.delimiter);
                }
                if column.is_null(row) {
                    continue;
                }
                text.clear();
                write!(text, "{}", format.value(row))
                    .map_err(|_| QueryError::Failed("a value cannot be written as text".into()))?;
                quote(&text, self.delimiter, &mut self.line);
            }
            self.line.push('\n');
            out.write_all(self.line.as_bytes())?;
        }
        Ok(true)
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<Option<String>, QueryError> {
        if let Some(header) = self.header.take() {
            out.write_all(header.as_bytes())?;
        }
        Ok(None)
    }
}

/// A value, in quotes where it would be read as something else without.
fn quote(value: &str, delimiter: char, line: &mut String) {
    let special = |c: char| c == delimiter || c == '"' || c == '\n' || c == '\r';
    if !value.is_empty() && !value.contains(special) {
        line.push_str(value);
        return;
    }
    line.push('"');
    line.push_str(&value.replace('"', "\"\""));
    line.push('"');
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};

    use super::*;

    #[test]
    fn texts_are_quoted_where_they_must_be() {
        let name: ArrayRef = Arc::new(StringArray::from(vec![
            Some("a,b"),
            None,
            Some(""),
            Some("q\""),
        ]));
        let value: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(0.1),
            None,
            Some(3.0),
            Some(1e300),
        ]));
        let rows = RecordBatch::try_from_iter([("n", name), ("v", value)]).unwrap();
        let mut out = Vec::new();
        let mut csv = Delimited::new(&rows.schema(), b',');
        csv.rows(&rows, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "n,v\n\"a,b\",0.1\n,\n\"\",3.0\n\"q\"\"\",1e300\n"
        );
    }
}
