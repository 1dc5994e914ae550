//! Reads the identifiers of cells from their table.

use std::path::{Path, PathBuf};

use arrow::array::StringArray;

use super::DatasetError;
use super::base::texts;
use crate::table::RowReader;

/// Identifiers, block by block, in the order of the cells.
pub(crate) struct CellIds {
    path: PathBuf,
    rows: RowReader,
}

impl CellIds {
    /// Reads from a version of the table.
    pub async fn of(table: &lance::Dataset, path: &Path) -> Result<Self, DatasetError> {
        Ok(CellIds {
            path: path.to_path_buf(),
            rows: RowReader::of_columns(table, path, &["cell_id"]).await?,
        })
    }

    /// Reads from rows whose first column contains the identifiers.
    pub fn of_rows(rows: RowReader, path: &Path) -> Self {
        CellIds {
            path: path.to_path_buf(),
            rows,
        }
    }

    /// Returns the next identifiers; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<StringArray>, DatasetError> {
        let batch = self.rows.next().await?;
        batch.map(|batch| texts(&self.path, &batch)).transpose()
    }
}
