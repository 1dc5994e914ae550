//! Reading all rows of a dataset that another program wrote, because its config does not say what
//! an append must know: how many rows each cell has, what the values add up to, and whose they are.

use std::path::PathBuf;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, UInt32Type};
use serde::{Deserialize, Serialize};

use super::base::texts;
use super::{Dataset, DatasetError};
use crate::chunk::{Digest, IdHash, ValueStats};
use crate::table::{RowReader, TableError, TableName};

/// What was found by reading the whole expression table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Census {
    pub stats: ValueStats,
    /// Ranges of cells, in order: all cells that no source of the config has.
    pub ranges: Vec<CensusRange>,
    /// Cells whose `cell_start_index` is missing or wrong.
    pub wrong_starts: u64,
    /// Whether the table of cells has the column `source_file`.
    pub names_sources: bool,
}

/// Cells that came from one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CensusRange {
    /// What it is called in the column `source_file`.
    pub name: String,
    pub first_cell: u64,
    pub cells: u64,
    pub rows: u64,
    pub digest: Digest,
}

/// What cells are said to come from that nothing else tells of; the reference's word.
pub const UNNAMED: &str = "original_data";

impl Census {
    /// Reads a dataset whole, in bounded memory beside 16 bytes a cell.
    ///
    /// # Errors
    /// [`DatasetError::CannotContinue`] where rows are not in the order of cells, or name cells
    /// or genes that are not there.
    pub async fn take(dataset: &Dataset) -> Result<Self, DatasetError> {
        let cells = CellList::read(dataset).await?;
        let genes = gene_hashes(dataset).await?;
        let path = dataset.path().join(TableName::Expression.folder());
        let table = dataset.table(TableName::Expression).await?;
        let mut count = Count {
            path: path.clone(),
            cells: &cells,
            genes: &genes,
            stats: ValueStats::default(),
            ranges: cells.ranges.clone(),
            next_cell: 0,
            last_cell: 0,
            wrong_starts: 0,
            rows: 0,
        };
        let mut rows = RowReader::over(&table, &path, None).await?;
        while let Some(batch) = rows.next().await? {
            count.add(&batch)?;
        }
        count.starts_until(cells.hashes.len());
        Ok(Census {
            stats: count.stats,
            ranges: count.ranges,
            wrong_starts: count.wrong_starts,
            names_sources: cells.names_sources,
        })
    }

    /// What a cell is said to come from.
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
struct CellList {
    hashes: Vec<IdHash>,
    /// Empty where the column is missing.
    starts: Vec<i64>,
    ranges: Vec<CensusRange>,
    names_sources: bool,
}

impl CellList {
    async fn read(dataset: &Dataset) -> Result<Self, DatasetError> {
        let path = dataset.path().join(TableName::Cells.folder());
        let table = dataset.table(TableName::Cells).await?;
        let has = |name: &str| table.schema().field(name).is_some();
        let mut columns = vec!["cell_id"];
        let optional = ["cell_start_index", "source_file"];
        columns.extend(optional.into_iter().filter(|name| has(name)));
        let mut list = CellList {
            hashes: Vec::new(),
            starts: Vec::new(),
            ranges: Vec::new(),
            names_sources: has("source_file"),
        };
        let sources = dataset.config().sources.iter();
        let told = sources.map(|s| s.first_cell + s.cells).max().unwrap_or(0);
        let mut rows = RowReader::of_columns(&table, &path, &columns).await?;
        while let Some(batch) = rows.next().await? {
            let first = list.hashes.len() as u64;
            list.hashes.extend(IdHash::of_all(&texts(&path, &batch)?));
            if let Some(starts) = batch.column_by_name("cell_start_index") {
                let starts = cast(starts, &DataType::Int64).map_err(arrow_at(&path))?;
                list.starts
                    .extend_from_slice(starts.as_primitive::<Int64Type>().values());
            }
            let names = match batch.column_by_name("source_file") {
                Some(names) => Some(cast(names, &DataType::Utf8).map_err(arrow_at(&path))?),
                None => None,
            };
            let names = names.as_ref().map(|names| names.as_string::<i32>());
            for row in 0..batch.num_rows() {
                let cell = first + row as u64;
                if cell >= told {
                    let name = names.filter(|names| names.is_valid(row));
                    list.belongs(cell, name.map_or(UNNAMED, |names| names.value(row)));
                }
            }
        }
        Ok(list)
    }

    fn belongs(&mut self, cell: u64, name: &str) {
        match self.ranges.last_mut() {
            Some(range) if range.name == name => range.cells += 1,
            _ => self.ranges.push(CensusRange {
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

/// The hashes of the identifiers of all genes, in their order.
pub(crate) async fn gene_hashes(dataset: &Dataset) -> Result<Vec<IdHash>, DatasetError> {
    let path = dataset.path().join(TableName::Genes.folder());
    let table = dataset.table(TableName::Genes).await?;
    let mut rows = RowReader::of_columns(&table, &path, &["gene_id"]).await?;
    let mut hashes = Vec::new();
    while let Some(batch) = rows.next().await? {
        hashes.extend(IdHash::of_all(&texts(&path, &batch)?));
    }
    Ok(hashes)
}

/// What is known after the rows so far.
struct Count<'a> {
    path: PathBuf,
    cells: &'a CellList,
    genes: &'a [IdHash],
    stats: ValueStats,
    ranges: Vec<CensusRange>,
    /// The next cell whose beginning is still to be checked.
    next_cell: usize,
    last_cell: u32,
    wrong_starts: u64,
    rows: u64,
}

impl Count<'_> {
    fn add(&mut self, batch: &RecordBatch) -> Result<(), DatasetError> {
        let refused = |path: &PathBuf, why: &str| DatasetError::CannotContinue {
            path: path.clone(),
            why: why.into(),
        };
        let ids = |column: &ArrayRef| {
            let ids = cast(column, &DataType::UInt32).ok();
            ids.filter(|ids| ids.null_count() == 0)
        };
        let (Some(rows), Some(columns)) = (ids(batch.column(0)), ids(batch.column(1))) else {
            return Err(refused(&self.path, "an identifier is negative or missing"));
        };
        let rows = rows.as_primitive::<UInt32Type>().values();
        let columns = columns.as_primitive::<UInt32Type>().values();
        let values = cast(batch.column(2), &DataType::Float64).map_err(arrow_at(&self.path))?;
        let values = values.as_primitive::<Float64Type>().values();
        let mut begin = 0;
        for run in rows.chunk_by(|a, b| a == b) {
            let range = begin..begin + run.len();
            begin = range.end;
            let cell = run[0];
            if cell < self.last_cell {
                let why = "its rows are not in the order of the cells";
                return Err(refused(&self.path, why));
            }
            self.last_cell = cell;
            let Some(&hash) = self.cells.hashes.get(cell as usize) else {
                return Err(refused(
                    &self.path,
                    "a row names a cell that does not exist",
                ));
            };
            self.starts_until(cell as usize + 1);
            self.stats
                .add(&ValueStats::of_values(&values[range.clone()]));
            let after = self
                .ranges
                .partition_point(|r| r.first_cell <= u64::from(cell));
            let place = after
                .checked_sub(1)
                .and_then(|place| self.ranges.get_mut(place));
            let mut digest = Digest::default();
            for (&gene, &value) in columns[range.clone()].iter().zip(&values[range.clone()]) {
                let Some(&gene) = self.genes.get(gene as usize) else {
                    return Err(refused(
                        &self.path,
                        "a row names a gene that does not exist",
                    ));
                };
                if value != 0.0 {
                    digest.add_entry(hash, gene, value);
                }
            }
            if let Some(place) = place {
                place.rows += run.len() as u64;
                place.digest.add(digest);
            }
            self.rows += run.len() as u64;
        }
        Ok(())
    }

    /// The cells before `end` that were not seen yet begin at the row that comes next.
    fn starts_until(&mut self, end: usize) {
        while self.next_cell < end {
            let start = self.cells.starts.get(self.next_cell);
            if start.and_then(|&start| u64::try_from(start).ok()) != Some(self.rows) {
                self.wrong_starts += 1;
            }
            self.next_cell += 1;
        }
    }
}

/// The row at which each cell of a dataset begins, cell after cell.
pub(crate) struct Starts {
    path: PathBuf,
    rows: RowReader,
    /// Cells of rows that were read, and how many of these rows were passed.
    batch: Option<(ArrayRef, usize)>,
    next_row: i64,
    next_cell: u32,
}

impl Starts {
    /// Begins with the first cell.
    pub async fn of(dataset: &Dataset) -> Result<Self, DatasetError> {
        let path = dataset.path().join(TableName::Expression.folder());
        let table = dataset.table(TableName::Expression).await?;
        Ok(Starts {
            rows: RowReader::of_columns(&table, &path, &["cell_integer_id"]).await?,
            path,
            batch: None,
            next_row: 0,
            next_cell: 0,
        })
    }

    /// The beginnings of the next cells.
    pub async fn next(&mut self, cells: usize) -> Result<Vec<i64>, DatasetError> {
        let mut starts = Vec::with_capacity(cells);
        while starts.len() < cells {
            starts.push(self.next_row);
            self.skip(self.next_cell).await?;
            self.next_cell += 1;
        }
        Ok(starts)
    }

    /// Passes the rows of a cell.
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
