//! Arrow IPC.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::RowWriter;
use super::pending::Pending;
use crate::query::QueryError;

enum Form {
    File(FileWriter<Pending>),
    Stream(StreamWriter<Pending>),
}

pub(super) struct ArrowFile {
    pending: Pending,
    form: Form,
}

fn failed(error: ArrowError) -> QueryError {
    QueryError::Output {
        format: "arrow",
        problem: error.to_string(),
    }
}

impl ArrowFile {
    pub fn file(schema: &SchemaRef) -> Result<Self, QueryError> {
        let pending = Pending::default();
        let form = Form::File(FileWriter::try_new(pending.clone(), schema).map_err(failed)?);
        Ok(ArrowFile { pending, form })
    }

    pub fn stream(schema: &SchemaRef) -> Result<Self, QueryError> {
        let pending = Pending::default();
        let form = Form::Stream(StreamWriter::try_new(pending.clone(), schema).map_err(failed)?);
        Ok(ArrowFile { pending, form })
    }
}

impl RowWriter for ArrowFile {
    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Write) -> Result<bool, QueryError> {
        match &mut self.form {
            Form::File(writer) => writer.write(rows).map_err(failed)?,
            Form::Stream(writer) => writer.write(rows).map_err(failed)?,
        }
        self.pending.pass_on(out)?;
        Ok(true)
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<Option<String>, QueryError> {
        match &mut self.form {
            Form::File(writer) => writer.finish().map_err(failed)?,
            Form::Stream(writer) => writer.finish().map_err(failed)?,
        }
        self.pending.pass_on(out)?;
        Ok(None)
    }
}
