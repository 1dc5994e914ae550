//! JSON: one array, or an object a line. What is missing is null; so are numbers that JSON does not
//! have.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::json::writer::{JsonFormat, LineDelimited, WriterBuilder};

use super::RowWriter;
use crate::query::QueryError;

pub(super) struct Json {
    array: bool,
    begun: bool,
}

impl Json {
    pub fn array() -> Self {
        Json {
            array: true,
            begun: false,
        }
    }

    pub fn lines() -> Self {
        Json {
            array: false,
            begun: false,
        }
    }
}

fn objects<F: JsonFormat>(rows: &RecordBatch) -> Result<Vec<u8>, QueryError> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, F>(Vec::new());
    let written = writer.write(rows).and_then(|()| writer.finish());
    written.map_err(|error| QueryError::Output {
        format: "json",
        problem: error.to_string(),
    })?;
    Ok(writer.into_inner())
}

impl RowWriter for Json {
    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Write) -> Result<bool, QueryError> {
        if rows.num_rows() == 0 {
            return Ok(true);
        }
        let lines = objects::<LineDelimited>(rows)?;
        if !self.array {
            out.write_all(&lines)?;
            return Ok(true);
        }
        for line in lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            out.write_all(if self.begun { b",\n" } else { b"[\n" })?;
            out.write_all(line)?;
            self.begun = true;
        }
        Ok(true)
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<Option<String>, QueryError> {
        match (self.array, self.begun) {
            (true, true) => out.write_all(b"\n]\n")?,
            (true, false) => out.write_all(b"[]\n")?,
            (false, _) => {}
        }
        Ok(None)
    }
}
