//! Arrow IPC.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::RowWriter;
use crate::query::QueryError;

/// Bytes on their way to the output.
#[derive(Clone, Default)]
struct Pending(Rc<RefCell<Vec<u8>>>);

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

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

    fn pass_on(&self, out: &mut dyn Write) -> Result<(), QueryError> {
        let mut bytes = self.pending.0.borrow_mut();
        out.write_all(&bytes)?;
        bytes.clear();
        Ok(())
    }
}

impl RowWriter for ArrowFile {
    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Write) -> Result<bool, QueryError> {
        match &mut self.form {
            Form::File(writer) => writer.write(rows).map_err(failed)?,
            Form::Stream(writer) => writer.write(rows).map_err(failed)?,
        }
        self.pass_on(out)?;
        Ok(true)
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<Option<String>, QueryError> {
        match &mut self.form {
            Form::File(writer) => writer.finish().map_err(failed)?,
            Form::Stream(writer) => writer.finish().map_err(failed)?,
        }
        self.pass_on(out)?;
        Ok(None)
    }
}
