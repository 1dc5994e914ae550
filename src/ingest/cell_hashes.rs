//! Identifier hashes of the cells that a job adds.

use std::path::Path;

use super::IngestError;
use super::commit::Commit;
use super::contents::JobFile;
use super::output_dir::OutputDir;
use crate::dataset::{CellHashWriter, CellHashes, CellIds, RowOrder};
use crate::plan::FrameTable;
use crate::table::{RowReader, TableName};

impl OutputDir {
    /// Returns the files that the dataset has before the job, if they contain the hashes of all its
    /// cells. Otherwise, or if one is missing, the job's file contains them.
    pub(super) fn hashes_before(&self) -> &[CellHashes] {
        let before = self.before();
        let files = before.and_then(|before| before.config().hashes_of_all_cells());
        let mut missing = files.into_iter().flatten();
        if missing.any(|hashes| !hashes.is_there(self.folder())) {
            &[]
        } else {
            files.unwrap_or_default()
        }
    }
}

impl Commit<'_> {
    fn hashes_before(&self) -> &[CellHashes] {
        self.contents.files()
    }

    /// Creates the job's file, and adds the cells that are in no other file.
    async fn hash_writer(&self) -> Result<CellHashWriter, IngestError> {
        let mut writer = CellHashWriter::create(self.target.folder(), &self.checkpoint.job)?;
        if let Some(before) = self.target.before()
            && self.hashes_before().is_empty()
        {
            let of_cells = self.tables.get(&TableName::Cells);
            if of_cells.is_some_and(|table| table.order == RowOrder::Unsorted) {
                let columns = ["cell_id", "cell_integer_id"];
                let table = before.table(TableName::Cells).await?;
                let path = before.path().join(TableName::Cells.folder());
                let by = TableName::Cells.number_columns();
                let rows = RowReader::sorted(&table, &path, Some(&columns), by).await?;
                let mut ids = CellIds::of_rows(rows, &path);
                while let Some(ids) = ids.next().await? {
                    writer.add(&ids)?;
                }
                return Ok(writer);
            }
            let table = before.table(TableName::Cells).await?;
            let path = before.path().join(TableName::Cells.folder());
            add_ids(&table, &path, &mut writer).await?;
        }
        Ok(writer)
    }

    /// Writes the job's file: of the cells that are in no other, and of those that shards have written.
    pub(super) async fn hashes(&self) -> Result<CellHashes, IngestError> {
        let mut writer = self.hash_writer().await?;
        let folder = self.target.job_folder();
        for record in self.checkpoint.frames(FrameTable::Cells) {
            for (name, xxh3) in &record.files {
                let file = JobFile {
                    path: folder.path().join(name),
                    cells: record.rows,
                    xxh3: xxh3.clone(),
                };
                let mut written = Ok(());
                file.read(&mut |hashes| {
                    if written.is_ok() {
                        written = writer.add_hashes(hashes);
                    }
                })?;
                written?;
            }
        }
        let hashes = writer.finish()?;
        crate::failpoint::reach("cell-hashes-written");
        Ok(hashes)
    }
}

/// Adds the cells of a table.
async fn add_ids(
    table: &lance::Dataset,
    path: &Path,
    writer: &mut CellHashWriter,
) -> Result<(), IngestError> {
    let mut all = CellIds::of(table, path).await?;
    while let Some(ids) = all.next().await? {
        writer.add(&ids)?;
    }
    Ok(())
}
