//! Writes one data file of a table, which is complete before any version of the table refers to it.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use lance_file::versions::{create_writer, data_file_columns};
use lance_file::writer::{FileWriter, FileWriterOptions};
use lance_io::object_store::ObjectStore;
use lance_table::format::{DataFile, Fragment};
use uuid::Uuid;

use super::data_file::name_with_hash;
use super::hashing::{HashingWriter, WrittenHash};
use super::{Layout, TableError, TableFolder};
use crate::plan::JobId;
use crate::source::blocks::bytes_of;
use crate::store::{Named, sync_file, sync_folder};

/// Number of rows of a batch passed to Lance at once; measured to be fastest to encode.
const BATCH_ROWS: usize = 1 << 18;

/// Size in bytes of a batch passed to Lance at once. A batch is not divided before it is encoded,
/// so readers hold all of it in memory.
const BATCH_BYTES: u64 = 4 << 20;

/// Size in bytes of the buffers in which a writer collects rows before encoding them, for all
/// columns together: 8 MiB, Lance's default, per column of the expression table, and less if there
/// are many columns.
const BUFFERS: u64 = 24 << 20;

/// Likewise for tables with strings, which describe cells or genes and are small.
const TEXT_BUFFERS: u64 = 8 << 20;

/// Writes one fragment. An unfinished file is removed, unless the process is killed.
pub struct FragmentWriter {
    writer: FileWriter,
    layout: Layout,
    folder: PathBuf,
    name: String,
    hash: WrittenHash,
    rows: u64,
}

impl FragmentWriter {
    /// Creates a data file of `table`, named after the job.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub async fn create(
        table: &TableFolder,
        job: &JobId,
        layout: &Layout,
    ) -> Result<Self, TableError> {
        let path = table.path();
        let lance = |e: lance::Error| TableError::lance("write", path, e);
        let buffers = if Layout::has_texts(layout.arrow()) {
            TEXT_BUFFERS
        } else {
            BUFFERS
        };
        let (store, base): (Arc<ObjectStore>, _) =
            ObjectStore::from_uri(&table.uri()?).await.map_err(lance)?;
        let name = format!("{}-{}.lance", job.short(), Uuid::new_v4().simple());
        let output = store
            .create(&base.join("data").join(name.as_str()))
            .await
            .map_err(lance)?;
        let options = FileWriterOptions {
            data_cache_bytes: Some(buffers),
            ..FileWriterOptions::default()
        };
        let (output, hash) = HashingWriter::over(output);
        let output = Box::new(output);
        let writer = create_writer(layout.files(), output, layout.lance().clone(), options);
        let writer = writer.map_err(lance)?;
        Ok(FragmentWriter {
            writer,
            layout: layout.clone(),
            folder: path.join("data"),
            name,
            hash,
            rows: 0,
        })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// If the rows cannot be encoded or written.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        let each = bytes_of(batch.columns()).div_ceil(batch.num_rows().max(1) as u64);
        let fitting = usize::try_from(BATCH_BYTES / each.max(1)).unwrap_or(BATCH_ROWS);
        let most = fitting.clamp(1, BATCH_ROWS);
        let mut start = 0;
        while start < batch.num_rows() {
            let length = most.min(batch.num_rows() - start);
            self.writer
                .write_batch(&batch.slice(start, length))
                .await
                .map_err(|e| TableError::lance("write", &self.folder, e))?;
            start += length;
        }
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Number of rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Finishes the file, names it after its hash and makes it durable. The fragment gets its
    /// number when it is committed.
    ///
    /// # Errors
    /// If the file cannot be written completely, renamed or synced.
    pub async fn finish(mut self) -> Result<Fragment, TableError> {
        let lance = |e| TableError::lance("write", &self.folder, e);
        let summary = self.writer.finish().await.map_err(lance)?;
        crate::failpoint::reach("data-file-written");
        // Lance does not sync local files.
        sync_file(&self.folder.join(&self.name))?;
        let name = name_with_hash(&self.name, self.hash.digest());
        std::fs::rename(self.folder.join(&self.name), self.folder.join(&name))
            .named("rename", &self.folder.join(&self.name))?;
        sync_folder(&self.folder)?;
        crate::failpoint::reach("data-file-synced");
        let (fields, columns) = data_file_columns(self.layout.files(), self.layout.lance());
        let mut fragment = Fragment::new(0);
        fragment.files.push(DataFile::new(
            name,
            fields,
            columns,
            self.layout.files(),
            std::num::NonZero::new(summary.size_bytes),
            None,
        ));
        fragment.physical_rows = Some(usize::try_from(summary.num_rows).unwrap_or(usize::MAX));
        Ok(fragment)
    }
}
