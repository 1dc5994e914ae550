//! Writes rows of the cells and genes tables.

use arrow::array::RecordBatch;
use lance_table::format::Fragment;

use super::IngestError;
use super::tables::TargetTable;
use crate::chunk::Digest;
use crate::plan::JobId;
use crate::table::{FragmentWriter, TableError, row_digest};

/// Writes one fragment, or none if there are no rows, and computes the digest of the rows.
pub(super) struct FrameWriter<'a> {
    table: &'a TargetTable,
    job: &'a JobId,
    open: Option<FragmentWriter>,
    digest: Digest,
}

/// Rows that are written but not committed.
pub(super) struct Written {
    /// The fragment, if there are rows.
    pub fragment: Option<Fragment>,
    /// Digest of the rows.
    pub digest: Digest,
}

impl Written {
    /// How many they are.
    pub fn rows(&self) -> u64 {
        let rows = self.fragment.as_ref();
        rows.and_then(|fragment| fragment.physical_rows)
            .unwrap_or(0) as u64
    }
}

impl<'a> FrameWriter<'a> {
    /// Creates a writer. No file is created before the first rows are written.
    pub fn new(table: &'a TargetTable, job: &'a JobId) -> Self {
        FrameWriter {
            table,
            job,
            open: None,
            digest: Digest::default(),
        }
    }

    /// Appends rows.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<(), IngestError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let path = self.table.folder.path();
        let digest = row_digest(batch).map_err(|source| TableError::Arrow {
            path: path.to_path_buf(),
            source,
        })?;
        self.digest.add(digest);
        let writer = match &mut self.open {
            Some(writer) => writer,
            closed => {
                let TargetTable { folder, layout, .. } = self.table;
                closed.insert(FragmentWriter::create(folder, self.job, layout).await?)
            }
        };
        Ok(writer.write(batch).await?)
    }

    /// Finishes the file, which is then durable.
    pub async fn finish(self) -> Result<Written, IngestError> {
        Ok(Written {
            fragment: match self.open {
                Some(writer) => Some(writer.finish().await?),
                None => None,
            },
            digest: self.digest,
        })
    }
}
