//! Reads all rows of a dataset that another program wrote, because its config lacks what an append
//! needs to know: the number of rows of each cell, the sums of the values, and the sources.

use std::path::PathBuf;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, UInt32Type};
use serde::{Deserialize, Serialize};

use super::{Dataset, DatasetError, RowOrder};
use crate::chunk::{Digest, ValueStats};
use crate::table::{RowReader, TableError, TableName};

/// Result of reading the whole expression table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Recounted {
    /// Statistics of the values.
    pub stats: ValueStats,
    /// Ranges of cells, in order: all cells that belong to no source in the config.
    pub ranges: Vec<RecountedRange>,
    /// Number of cells whose `cell_start_index` is missing or wrong.
    pub wrong_starts: u64,
    /// Whether the cells table has the column `source_file`.
    pub names_sources: bool,
}

/// Cells from one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecountedRange {
    /// Name in the column `source_file`.
    pub name: String,
    /// Number of the first cell in the dataset.
    pub first_cell: u64,
    /// Number of cells.
    pub cells: u64,
    /// Number of rows of the expression table.
    pub rows: u64,
    /// Digest of these rows.
    pub digest: Digest,
}

/// Source name for cells with no recorded source; same as in slafdb.
pub const UNNAMED: &str = "original_data";

impl Recounted {
    /// Returns the source of a cell.
    pub fn source_of(&self, cell: u64) -> &str {
        let after = self
            .ranges
            .partition_point(|range| range.first_cell <= cell);
        let range = after
            .checked_sub(1)
            .and_then(|place| self.ranges.get(place));
        range.map_or(UNNAMED, |range| &range.name)
    }
}

/// The cells of a dataset.
pub(super) struct CellList {
    /// First row of each cell; empty if the column is missing.
    pub starts: Vec<i64>,
    /// Ranges of cells that belong to no source in the config.
    pub ranges: Vec<RecountedRange>,
    /// Whether the table has the column `source_file`.
    pub names_sources: bool,
}

impl CellList {
    /// Reads the table of cells, of which the first are told of by sources.
    pub async fn read(dataset: &Dataset, told: u64, order: RowOrder) -> Result<Self, DatasetError> {
        let path = dataset.path().join(TableName::Cells.folder());
        let table = dataset.table(TableName::Cells).await?;
        let has = |name: &str| table.schema().field(name).is_some();
        let mut columns = vec!["cell_integer_id"];
        let optional = ["cell_start_index", "source_file"];
        columns.extend(optional.into_iter().filter(|name| has(name)));
        let mut list = CellList {
            starts: Vec::new(),
            ranges: Vec::new(),
            names_sources: has("source_file"),
        };
        let mut cell = 0;
        let mut rows = dataset
            .sorted_rows(TableName::Cells, &columns, order)
            .await?;
        while let Some(batch) = rows.next().await? {
            if let Some(starts) = batch.column_by_name("cell_start_index") {
                let starts = cast(starts, &DataType::Int64).map_err(arrow_at(&path))?;
                list.starts
                    .extend_from_slice(starts.as_primitive::<Int64Type>().values());
            }
            let names = match batch.column_by_name("source_file") {
                Some(names) => Some(cast(names, &DataType::Utf8).map_err(arrow_at(&path))?),
                None => None,
            };
            let names = names.as_ref().map(AsArray::as_string::<i32>);
            for row in 0..batch.num_rows() {
                if cell >= told {
                    let name = names.filter(|names| names.is_valid(row));
                    list.belongs(cell, name.map_or(UNNAMED, |names| names.value(row)));
                }
                cell += 1;
            }
        }
        Ok(list)
    }

    fn belongs(&mut self, cell: u64, name: &str) {
        match self.ranges.last_mut() {
            Some(range) if range.name == name => range.cells += 1,
            _ => self.ranges.push(RecountedRange {
                name: name.to_string(),
                first_cell: cell,
                cells: 1,
                rows: 0,
                digest: Digest::default(),
            }),
        }
    }
}

fn arrow_at(path: &std::path::Path) -> impl Fn(arrow::error::ArrowError) -> TableError + '_ {
    |source| TableError::Arrow {
        path: path.to_path_buf(),
        source,
    }
}

/// The row at which each cell of a dataset begins, cell after cell.
pub(crate) struct Starts {
    path: PathBuf,
    rows: RowReader,
    /// Cells of the current batch of rows, and the number of these rows already processed.
    batch: Option<(ArrayRef, usize)>,
    next_row: i64,
    next_cell: u32,
}

impl Starts {
    /// Begins with the first cell.
    pub async fn of(dataset: &Dataset, order: RowOrder) -> Result<Self, DatasetError> {
        let path = dataset.path().join(TableName::Expression.folder());
        let columns = ["cell_integer_id", "gene_integer_id"];
        let columns = match order {
            RowOrder::Sorted => &columns[..1],
            RowOrder::Unsorted => &columns[..],
        };
        Ok(Starts {
            rows: dataset
                .sorted_rows(TableName::Expression, columns, order)
                .await?,
            path,
            batch: None,
            next_row: 0,
            next_cell: 0,
        })
    }

    /// Returns the first rows of the next `cells` cells.
    pub async fn next(&mut self, cells: usize) -> Result<Vec<i64>, DatasetError> {
        let mut starts = Vec::with_capacity(cells);
        while starts.len() < cells {
            starts.push(self.next_row);
            self.skip(self.next_cell).await?;
            self.next_cell += 1;
        }
        Ok(starts)
    }

    /// Skips the rows of a cell.
    async fn skip(&mut self, cell: u32) -> Result<(), DatasetError> {
        loop {
            if let Some((ids, passed)) = &mut self.batch {
                let ids = ids.as_primitive::<UInt32Type>().values();
                let length = ids[*passed..].partition_point(|&id| id <= cell);
                *passed += length;
                self.next_row += length as i64;
                if *passed < ids.len() {
                    return Ok(());
                }
            }
            let Some(batch) = self.rows.next().await? else {
                self.batch = None;
                return Ok(());
            };
            let ids = cast(batch.column(0), &DataType::UInt32).map_err(arrow_at(&self.path))?;
            self.batch = Some((ids, 0));
        }
    }
}
