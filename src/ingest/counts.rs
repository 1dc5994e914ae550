//! Number of rows of each cell of a shard, in a small Arrow file next to the shard's record.

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::FileReader;
use arrow::ipc::writer::FileWriter;

use super::IngestError;
use crate::dataset::CountsFile;
use crate::store::{Named, sync_file, sync_folder};

/// Writes the row counts of a shard's cells.
pub(super) struct CountsWriter {
    path: PathBuf,
    name: String,
    schema: Arc<Schema>,
    writer: FileWriter<Hashed>,
}

/// A file that records the size and hash of what is written to it.
struct Hashed {
    file: File,
    bytes: u64,
    hasher: blake3::Hasher,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl CountsWriter {
    /// Creates the file of a shard in the job's folder, replacing what an interrupted run left.
    pub fn create(folder: &Path, shard: usize) -> Result<Self, IngestError> {
        let schema = Arc::new(Schema::new(vec![Field::new(
            "rows",
            DataType::UInt32,
            false,
        )]));
        let name = format!("counts-{shard}.arrow");
        let path = folder.join(&name);
        let file = Hashed {
            file: File::create(&path).named("write", &path)?,
            bytes: 0,
            hasher: blake3::Hasher::new(),
        };
        let writer = FileWriter::try_new(file, &schema).map_err(|e| io_or_damaged(&path, e))?;
        Ok(CountsWriter {
            path,
            name,
            schema,
            writer,
        })
    }

    /// Appends the row counts of the next cells.
    pub fn write(&mut self, counts: &[u32]) -> Result<(), IngestError> {
        let column = Arc::new(UInt32Array::from(counts.to_vec()));
        let written = RecordBatch::try_new(self.schema.clone(), vec![column])
            .and_then(|batch| self.writer.write(&batch));
        written.map_err(|e| io_or_damaged(&self.path, e))
    }

    /// Finishes the file and makes it durable. Returns its description, against which it is checked
    /// when it is read.
    pub fn finish(mut self) -> Result<CountsFile, IngestError> {
        self.writer
            .finish()
            .map_err(|e| io_or_damaged(&self.path, e))?;
        sync_file(&self.path)?;
        if let Some(folder) = self.path.parent() {
            sync_folder(folder)?;
        }
        let written = self.writer.get_ref();
        Ok(CountsFile {
            file: self.name,
            bytes: written.bytes,
            digest: written.hasher.finalize().to_hex()[..32].to_string(),
        })
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

/// Opens a file of counts after checking that it matches its record; other files are never decoded.
///
/// # Errors
/// [`IngestError::Counts`] if it does not.
pub(super) fn open_sound(
    folder: &Path,
    counts: &CountsFile,
) -> Result<(PathBuf, File), IngestError> {
    let path = folder.join(&counts.file);
    let mut file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged(&path, "it is missing"));
        }
        opened => opened.named("read", &path)?,
    };
    if file.metadata().named("read", &path)?.len() != counts.bytes {
        return Err(damaged(&path, "it has another length than its record says"));
    }
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).named("read", &path)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        };
    }
    if hasher.finalize().to_hex()[..32] != *counts.digest {
        return Err(damaged(&path, "it is not what its record says"));
    }
    file.rewind().named("read", &path)?;
    Ok((path, file))
}

/// Reads the counts in any portions.
pub(super) struct CountsReader {
    path: PathBuf,
    reader: FileReader<BufReader<File>>,
    batch: UInt32Array,
    used: usize,
}

impl CountsReader {
    /// Opens the file of a record in the job's folder.
    pub fn open(folder: &Path, counts: &CountsFile) -> Result<Self, IngestError> {
        let (path, file) = open_sound(folder, counts)?;
        let reader = FileReader::try_new_buffered(file, None).map_err(|e| damaged(&path, e))?;
        let batch = UInt32Array::from(Vec::<u32>::new());
        Ok(CountsReader {
            path,
            reader,
            batch,
            used: 0,
        })
    }

    /// Returns the counts of the next `cells` cells.
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
        let mut writer = CountsWriter::create(folder.path(), 3).unwrap();
        writer.write(&[1, 2, 3]).unwrap();
        writer.write(&[]).unwrap();
        writer.write(&[4, 5]).unwrap();
        let file = writer.finish().unwrap();
        let mut reader = CountsReader::open(folder.path(), &file).unwrap();
        assert_eq!(reader.next(2).unwrap(), [1, 2]);
        assert_eq!(reader.next(3).unwrap(), [3, 4, 5]);
        assert!(reader.next(0).unwrap().is_empty());
        assert!(reader.next(1).is_err());
    }

    #[test]
    fn a_file_that_was_touched_is_not_decoded() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = CountsWriter::create(folder.path(), 0).unwrap();
        writer.write(&[1, 2, 3]).unwrap();
        let file = writer.finish().unwrap();
        let path = folder.path().join(&file.file);
        let sound = std::fs::read(&path).unwrap();
        for byte in 0..sound.len() {
            let mut touched = sound.clone();
            touched[byte] ^= 4;
            std::fs::write(&path, &touched).unwrap();
            assert!(CountsReader::open(folder.path(), &file).is_err(), "{byte}");
        }
        std::fs::write(&path, &sound[1..]).unwrap();
        assert!(CountsReader::open(folder.path(), &file).is_err());
        std::fs::remove_file(&path).unwrap();
        let missing = CountsReader::open(folder.path(), &file).err().unwrap();
        assert!(missing.to_string().contains("counts-0.arrow"), "{missing}");
    }
}
