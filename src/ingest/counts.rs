//! The number of rows of each cell of a shard, in a small Arrow file beside the shard's record.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;

use super::IngestError;
use crate::store::{Named, sync_file, sync_folder};

/// Writes the counts of the cells of a shard as they come.
pub(super) struct CountsWriter {
    path: PathBuf,
    schema: Arc<Schema>,
    writer: FileWriter<File>,
}

impl CountsWriter {
    /// Begins the file `path`, replacing what an interrupted run left there.
    pub fn create(path: PathBuf) -> Result<Self, IngestError> {
        let schema = Arc::new(Schema::new(vec![Field::new(
            "rows",
            DataType::UInt32,
            false,
        )]));
        let file = File::create(&path).named("write", &path)?;
        let writer = FileWriter::try_new(file, &schema).map_err(|e| damaged(&path, e))?;
        Ok(CountsWriter {
            path,
            schema,
            writer,
        })
    }

    pub fn write(&mut self, counts: &[u32]) -> Result<(), IngestError> {
        let column = Arc::new(UInt32Array::from(counts.to_vec()));
        let written = RecordBatch::try_new(self.schema.clone(), vec![column])
            .and_then(|batch| self.writer.write(&batch));
        written.map_err(|e| io_or_damaged(&self.path, e))
    }

    /// Ends the file and makes it durable.
    pub fn finish(mut self) -> Result<(), IngestError> {
        self.writer
            .finish()
            .map_err(|e| io_or_damaged(&self.path, e))?;
        sync_file(&self.path)?;
        if let Some(folder) = self.path.parent() {
            sync_folder(folder)?;
        }
        Ok(())
    }
}

fn io_or_damaged(path: &Path, error: arrow::error::ArrowError) -> IngestError {
    match error {
        arrow::error::ArrowError::IoError(_, source) => {
            crate::store::StoreError::from_io("write", path, source).into()
        }
        other => damaged(path, other),
    }
}

fn damaged(path: &Path, error: impl ToString) -> IngestError {
    IngestError::Counts {
        path: path.to_path_buf(),
        why: error.to_string(),
    }
}

/// Reads counts back in pieces of any length.
pub(super) struct CountsReader {
    path: PathBuf,
    reader: FileReader<BufReader<File>>,
    batch: UInt32Array,
    used: usize,
}

impl CountsReader {
    pub fn open(path: PathBuf) -> Result<Self, IngestError> {
        let file = File::open(&path).named("read", &path)?;
        let reader = FileReader::try_new_buffered(file, None).map_err(|e| damaged(&path, e))?;
        let batch = UInt32Array::from(Vec::<u32>::new());
        Ok(CountsReader {
            path,
            reader,
            batch,
            used: 0,
        })
    }

    /// The counts of the next `cells` cells.
    pub fn next(&mut self, cells: u64) -> Result<Vec<u32>, IngestError> {
        let mut counts = Vec::new();
        while (counts.len() as u64) < cells {
            if self.used == self.batch.len() {
                let batch = self
                    .reader
                    .next()
                    .ok_or_else(|| damaged(&self.path, "cells are missing"))?;
                let batch = batch.map_err(|e| damaged(&self.path, e))?;
                let column = batch.column(0).as_any().downcast_ref::<UInt32Array>();
                self.batch = column
                    .ok_or_else(|| damaged(&self.path, "a column has another type"))?
                    .clone();
                self.used = 0;
                continue;
            }
            let wanted = usize::try_from(cells).unwrap_or(usize::MAX) - counts.len();
            let taken = wanted.min(self.batch.len() - self.used);
            counts.extend_from_slice(&self.batch.values()[self.used..self.used + taken]);
            self.used += taken;
        }
        Ok(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_come_back_in_other_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.arrow");
        let mut writer = CountsWriter::create(path.clone()).unwrap();
        writer.write(&[1, 2, 3]).unwrap();
        writer.write(&[]).unwrap();
        writer.write(&[4, 5]).unwrap();
        writer.finish().unwrap();
        let mut reader = CountsReader::open(path).unwrap();
        assert_eq!(reader.next(2).unwrap(), [1, 2]);
        assert_eq!(reader.next(3).unwrap(), [3, 4, 5]);
        assert!(reader.next(0).unwrap().is_empty());
        assert!(reader.next(1).is_err());
    }
}
