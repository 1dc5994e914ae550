//! Parquet.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use super::RowWriter;
use super::pending::Pending;
use crate::query::QueryError;

/// Rows of a row group, which is held in memory, and its bytes.
const GROUP_ROWS: usize = 1 << 18;
const GROUP_BYTES: usize = 24 << 20;

pub(super) struct ParquetFile {
    pending: Pending,
    writer: ArrowWriter<Pending>,
}

fn failed(error: ParquetError) -> QueryError {
    QueryError::Output {
        format: "parquet",
        problem: error.to_string(),
    }
}

impl ParquetFile {
    pub fn new(schema: &SchemaRef) -> Result<Self, QueryError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by(concat!("slaf ", env!("CARGO_PKG_VERSION")).into())
            .build();
        let pending = Pending::default();
        let writer = ArrowWriter::try_new(pending.clone(), schema.clone(), Some(properties));
        Ok(ParquetFile {
            writer: writer.map_err(failed)?,
            pending,
        })
    }
}

impl RowWriter for ParquetFile {
    fn rows(&mut self, rows: &RecordBatch, out: &mut dyn Write) -> Result<bool, QueryError> {
        self.writer.write(rows).map_err(failed)?;
        if self.writer.memory_size() > GROUP_BYTES {
            self.writer.flush().map_err(failed)?;
        }
        self.pending.pass_on(out)?;
        Ok(true)
    }

    fn end(&mut self, out: &mut dyn Write) -> Result<Option<String>, QueryError> {
        self.writer.finish().map_err(failed)?;
        self.pending.pass_on(out)?;
        Ok(None)
    }
}
