//! Writing rows that describe cells or genes.

use arrow::array::RecordBatch;
use lance_table::format::Fragment;

use super::IngestError;
use super::tables::TargetTable;
use crate::chunk::Digest;
use crate::dataset::CellHashes;
use crate::plan::JobId;
use crate::table::{FragmentWriter, TableError, row_digest};

/// Writes one fragment, or none where there are no rows, and digests what it writes.
pub(super) struct FrameWriter<'a> {
    table: &'a TargetTable,
    job: &'a JobId,
    open: Option<FragmentWriter>,
    digest: Digest,
}

/// Rows that are written but not committed.
pub(super) struct Written {
    pub fragment: Option<Fragment>,
    pub digest: Digest,
    /// The hashes of the cells among them.
    pub hashes: Option<CellHashes>,
}

impl<'a> FrameWriter<'a> {
    /// A writer that has written nothing, and no file, yet.
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

    /// Ends the file, which is durable then.
    pub async fn finish(self) -> Result<Written, IngestError> {
        Ok(Written {
            fragment: match self.open {
                Some(writer) => Some(writer.finish().await?),
                None => None,
            },
            digest: self.digest,
            hashes: None,
        })
    }
}
