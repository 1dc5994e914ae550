//! What cells of a dataset hold, by their rows, where new ones may hold the same.

use std::ops::Range;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};

use super::known_counts::Content;
use super::{IngestError, cell_rows};
use crate::chunk::{GeneIdentity, contents_by_number};
use crate::dataset::{Dataset, DatasetError, RowOrder};
use crate::table::{RowReader, RowsAndColumns, TableError, TableName};

/// Cells this close to each other are read together, so many of them at most.
const GAP: u64 = 1 << 10;
const STRETCH: u64 = 1 << 15;

/// A cell of the dataset and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub hash: u64,
    pub by_number: u64,
    pub cell: u64,
}

/// The rows of a dataset, beside new cells.
pub(super) struct Rows<'a> {
    pub dataset: &'a Dataset,
    pub identities: &'a [GeneIdentity],
    /// In the order of their hashes.
    pub new: &'a [Content],
}

impl Rows<'_> {
    /// What these cells hold, each of which has a hash of a new one by what is kept of it; `None` where
    /// their rows are not where the table of cells says.
    pub async fn at_starts(
        &self,
        cells: &[(u64, u64)],
    ) -> Result<Option<Vec<Candidate>>, IngestError> {
        let close = |a: &(u64, u64), b: &(u64, u64)| b.0 - a.0 <= GAP;
        let mut found = Vec::new();
        for near in cells.chunk_by(close) {
            let mut rest = near;
            while let Some((first, _)) = rest.first() {
                let length = rest.partition_point(|(cell, _)| cell - first < STRETCH);
                let (here, later) = rest.split_at(length);
                rest = later;
                let Some(rows) = self.rows_of(here[0].0..here[here.len() - 1].0 + 1).await? else {
                    return Ok(None);
                };
                let before = found.len();
                let mut wanted = here.iter().peekable();
                let mut show = |cell: u64, entries: &[(u32, f64)]| {
                    if wanted.next_if(|(next, _)| *next == cell).is_some() {
                        found.push(self.candidate(cell, entries)?);
                    }
                    Ok(())
                };
                match cell_rows::some(self.dataset, rows, &mut show).await {
                    Err(IngestError::Dataset(DatasetError::CannotContinue { .. })) => {
                        return Ok(None);
                    }
                    other => other?,
                }
                let as_kept = found[before..].iter().map(|found| (found.cell, found.hash));
                if !as_kept.eq(here.iter().copied()) {
                    return Ok(None);
                }
            }
        }
        Ok(Some(found))
    }

    /// What all cells hold that hold what a new one holds, by all rows.
    pub async fn all(&self, order: RowOrder) -> Result<Vec<Candidate>, IngestError> {
        let mut found = Vec::new();
        let mut show = |cell: u64, entries: &[(u32, f64)]| {
            let hash = cell_rows::contents(self.dataset, entries, self.identities)?;
            let of_new = self.new.binary_search_by_key(&hash, |content| content.hash);
            if of_new.is_ok() {
                found.push(self.candidate(cell, entries)?);
            }
            Ok(())
        };
        cell_rows::all(self.dataset, order, &mut show).await?;
        Ok(found)
    }

    fn candidate(&self, cell: u64, entries: &[(u32, f64)]) -> Result<Candidate, IngestError> {
        Ok(Candidate {
            hash: cell_rows::contents(self.dataset, entries, self.identities)?,
            by_number: contents_by_number(entries.iter().copied()),
            cell,
        })
    }

    /// Where the rows of these cells are, as the table of cells says.
    async fn rows_of(&self, cells: Range<u64>) -> Result<Option<Range<u64>>, IngestError> {
        let table = self.dataset.table(TableName::Cells).await?;
        let path = self.dataset.path().join(TableName::Cells.folder());
        const START: &str = "cell_start_index";
        if table.schema().field(START).is_none() {
            return Ok(None);
        }
        let mut ends = [0; 2];
        for (end, cell) in ends.iter_mut().zip([cells.start, cells.end]) {
            if cell == self.dataset.config().array_shape[0] {
                *end = self.dataset.config().metadata.expression_count;
                continue;
            }
            let wanted = RowsAndColumns {
                columns: Some(&[START]),
                rows: Some(cell..cell + 1),
            };
            let batch = RowReader::of(&table, &path, wanted).await?.next().await?;
            let Some(batch) = batch.filter(|batch| batch.num_rows() == 1) else {
                return Ok(None);
            };
            let start = cast(batch.column(0), &DataType::Int64);
            let start = start.map_err(|source| TableError::Arrow {
                path: path.clone(),
                source,
            })?;
            let start = start.as_primitive::<Int64Type>();
            match u64::try_from(start.value(0)) {
                Ok(start) if batch.column(0).null_count() == 0 => *end = start,
                _ => return Ok(None),
            }
        }
        Ok((ends[0] < ends[1]).then_some(ends[0]..ends[1]))
    }
}
