//! The identifiers of cells, read from their table.

use std::path::{Path, PathBuf};

use arrow::array::StringArray;

use super::DatasetError;
use super::base::texts;
use crate::table::RowReader;

/// Identifiers, block by block in the order of the cells.
pub(crate) struct CellIds {
    path: PathBuf,
    rows: RowReader,
}

impl CellIds {
    /// Those of a version of the table.
    pub async fn of(table: &lance::Dataset, path: &Path) -> Result<Self, DatasetError> {
        Ok(CellIds {
            path: path.to_path_buf(),
            rows: RowReader::of_columns(table, path, &["cell_id"]).await?,
        })
    }

    /// Those of rows of which they are the first column.
    pub fn of_rows(rows: RowReader, path: &Path) -> Self {
        CellIds {
            path: path.to_path_buf(),
            rows,
        }
    }

    /// The next identifiers; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<StringArray>, DatasetError> {
        let batch = self.rows.next().await?;
        batch.map(|batch| texts(&self.path, &batch)).transpose()
    }
}
