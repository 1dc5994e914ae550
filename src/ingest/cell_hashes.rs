//! Identifier hashes of the cells that a job adds.

use std::path::Path;

use arrow::array::Array;

use super::IngestError;
use super::commit::Commit;
use super::output_dir::OutputDir;
use super::tables::TargetTable;
use crate::dataset::{CellHashWriter, CellHashes, CellIds, RowOrder};
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
    pub(super) async fn hash_writer(&self) -> Result<CellHashWriter, IngestError> {
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
            add_ids(&table, &path, 0, &mut writer).await?;
        }
        Ok(writer)
    }

    /// Writes the job's file from the cells table, which an earlier run of the job has committed.
    pub(super) async fn hashes_of(
        &self,
        table: &TargetTable,
        version: u64,
    ) -> Result<CellHashes, IngestError> {
        let mut writer = CellHashWriter::create(self.target.folder(), &self.checkpoint.job)?;
        let path = table.folder.path();
        let known = self.hashes_before().iter().map(|hashes| hashes.cells).sum();
        add_ids(&table.folder.at(version).await?, path, known, &mut writer).await?;
        Ok(writer.finish()?)
    }
}

/// Adds the cells of a table from row `first` on.
async fn add_ids(
    table: &lance::Dataset,
    path: &Path,
    first: u64,
    writer: &mut CellHashWriter,
) -> Result<(), IngestError> {
    let mut all = CellIds::of(table, path).await?;
    let mut row = 0;
    while let Some(ids) = all.next().await? {
        let known = usize::try_from(first.saturating_sub(row)).unwrap_or(usize::MAX);
        let known = known.min(ids.len());
        row += ids.len() as u64;
        writer.add(&ids.slice(known, ids.len() - known))?;
    }
    Ok(())
}
