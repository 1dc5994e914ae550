//! Determines at which row of a table each row of a matrix begins.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, UInt32Type};

use super::table::{OpenTable, finish, next};
use crate::remedy::Remedy;
use crate::source::SourceError;

/// Number of rows whose first table rows are requested at a time, if they must be read.
const READ: u64 = 1 << 12;
/// Same, if they are in memory.
const HELD: u64 = 1 << 15;

/// First table rows of the rows of a table's matrices.
pub(super) struct Starts {
    /// The table of entries.
    pub table: Arc<OpenTable>,
    /// Name of the column with the rows of the matrix.
    pub column: &'static str,
    /// Number of rows of the matrix.
    pub rows: u64,
    /// The cells table, if its column `cell_start_index` can be trusted.
    pub recorded: Option<Arc<OpenTable>>,
    /// Number of bytes that may be kept in memory.
    pub memory: u64,
    /// Result of reading all rows of the table, once done.
    pub counted: Mutex<Option<StoredOrder>>,
}

/// Order of a table's rows.
#[derive(Clone)]
pub(super) enum StoredOrder {
    /// The rows are sorted by row of the matrix.
    InOrder(Arc<Counted>),
    /// The rows are not sorted.
    InAnother,
}

/// Result of reading all rows of the table.
pub(super) struct Counted {
    /// Number of rows of the matrix between two offsets.
    every: u64,
    offsets: Vec<u64>,
}

impl Starts {
    /// Number of rows to request at a time.
    pub fn step(&self) -> u64 {
        match self.recorded {
            Some(_) => READ,
            None => HELD,
        }
    }

    /// Number of bytes kept in memory.
    pub fn held_bytes(&self) -> u64 {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        match &*counted {
            Some(StoredOrder::InOrder(counted)) => counted.offsets.len() as u64 * 8,
            _ => 0,
        }
    }

    /// Returns, for each row and for the end of the last one, the number of table rows before it;
    /// `None` if the table is not sorted.
    pub fn of(&self, rows: Range<u64>) -> Result<Option<Vec<u64>>, SourceError> {
        if let Some(cells) = &self.recorded {
            return self.recorded(cells, rows).map(Some);
        }
        match self.counted()? {
            StoredOrder::InOrder(counted) => counted.of(self, rows).map(Some),
            StoredOrder::InAnother => Ok(None),
        }
    }

    /// Whether the table is sorted by row of the matrix.
    pub fn are_in_order(&self) -> Result<bool, SourceError> {
        Ok(self.recorded.is_some() || matches!(self.counted()?, StoredOrder::InOrder(_)))
    }

    fn recorded(&self, cells: &Arc<OpenTable>, rows: Range<u64>) -> Result<Vec<u64>, SourceError> {
        let until = rows.end.saturating_add(1).min(self.rows);
        let read = rows.start.min(until)..until;
        let column = "cell_start_index".to_string();
        let batch = cells.read(&[column], read)?;
        let place = || cells.place();
        let starts = cast(batch.column(0), &DataType::Int64)
            .map_err(|error| place().damaged(error.to_string()))?;
        let starts = starts.as_primitive::<Int64Type>();
        let mut offsets = Vec::with_capacity(starts.len() + 1);
        for start in starts {
            let start = start.and_then(|start| u64::try_from(start).ok());
            offsets.push(start.unwrap_or(u64::MAX));
        }
        if rows.end == self.rows {
            offsets.push(self.table.rows);
        }
        let ascend =
            offsets.is_sorted() && offsets.last().is_none_or(|&last| last <= self.table.rows);
        let begins = rows.start > 0 || offsets.first().is_none_or(|&first| first == 0);
        if ascend && begins {
            Ok(offsets)
        } else {
            Err(place().damaged(format!(
                "its column cell_start_index is not what the rows of the expression table are; {}",
                Remedy::Verify
            )))
        }
    }

    fn counted(&self) -> Result<StoredOrder, SourceError> {
        let mut held = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counted) = &*held {
            return Ok(counted.clone());
        }
        let counted = self.count()?;
        *held = Some(counted.clone());
        Ok(counted)
    }

    /// Reads the matrix row of every row of the table.
    fn count(&self) -> Result<StoredOrder, SourceError> {
        // Limit the memory used, however many rows there are.
        let most = (self.memory / 64).max(8);
        let every = (self.rows + 1).div_ceil(most).max(1);
        let mut counted = Counted {
            every,
            offsets: Vec::new(),
        };
        let rows = self.rows;
        let table = self.table.clone();
        let column = self.column;
        finish(&self.table.path, async move {
            let mut walk = Walk::new(0, table.place());
            let mut reader = table.reader(&[column], 0..table.rows).await?;
            while let Some(batch) = next(&mut reader).await? {
                let in_order = walk.over(batch.column(0), rows, &mut |row, before| {
                    if row % counted.every == 0 {
                        counted.offsets.push(before);
                    }
                })?;
                if !in_order {
                    return Ok(StoredOrder::InAnother);
                }
            }
            walk.until(rows + 1, &mut |row, before| {
                if row % counted.every == 0 || row == rows {
                    counted.offsets.push(before);
                }
            });
            Ok(StoredOrder::InOrder(Arc::new(counted)))
        })
    }
}

impl Counted {
    fn of(&self, starts: &Starts, rows: Range<u64>) -> Result<Vec<u64>, SourceError> {
        let place = |row: u64| usize::try_from(row / self.every).unwrap_or(usize::MAX);
        if self.every == 1 {
            let range = place(rows.start)..=place(rows.end);
            let found = self.offsets.get(range);
            return found.map(<[u64]>::to_vec).ok_or_else(|| {
                starts
                    .table
                    .place()
                    .damaged(format!("it has no rows {}–{}", rows.start, rows.end))
            });
        }
        // Start from the last known offset.
        let first = rows.start / self.every * self.every;
        let from = self.offsets[place(first).min(self.offsets.len() - 1)];
        let until = match rows.end.div_ceil(self.every) {
            after if after * self.every >= starts.rows => starts.table.rows,
            after => self.offsets[usize::try_from(after).unwrap_or(usize::MAX)],
        };
        let table = starts.table.clone();
        let (column, all) = (starts.column, starts.rows);
        finish(&starts.table.path, async move {
            let mut offsets = Vec::new();
            let mut walk = Walk::new(first, table.place());
            walk.before = from;
            let mut add = |row: u64, before: u64| {
                if row >= rows.start && row <= rows.end {
                    offsets.push(before);
                }
            };
            let mut reader = table.reader(&[column], from..until).await?;
            while let Some(batch) = next(&mut reader).await? {
                walk.over(batch.column(0), all, &mut add)?;
            }
            walk.until(rows.end + 1, &mut add);
            Ok(offsets)
        })
    }
}

/// Iterates over the rows of a table and reports where each row of the matrix begins.
struct Walk {
    /// Next row of the matrix to report.
    next: u64,
    before: u64,
    place: crate::source::ErrorContext,
}

impl Walk {
    fn new(next: u64, place: crate::source::ErrorContext) -> Self {
        Walk {
            next,
            before: 0,
            place,
        }
    }

    fn until(&mut self, end: u64, tell: &mut dyn FnMut(u64, u64)) {
        while self.next < end {
            tell(self.next, self.before);
            self.next += 1;
        }
    }

    /// Returns whether the table rows are sorted.
    fn over(
        &mut self,
        column: &ArrayRef,
        rows: u64,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Result<bool, SourceError> {
        let ids = identifiers(column).ok_or_else(|| self.place.damaged(NEGATIVE))?;
        for run in ids
            .as_primitive::<UInt32Type>()
            .values()
            .chunk_by(|a, b| a == b)
        {
            let row = u64::from(run[0]);
            if row >= rows {
                let what = format!("a row names number {row}, and there are {rows}");
                return Err(self.place.damaged(what));
            }
            if row + 1 < self.next {
                return Ok(false);
            }
            self.until(row + 1, tell);
            self.before += run.len() as u64;
        }
        Ok(true)
    }
}

/// Message for an invalid identifier.
pub(super) const NEGATIVE: &str = "an identifier is negative, too large or missing";

/// Converts a column of identifiers; `None` if any is invalid.
pub(super) fn identifiers(column: &ArrayRef) -> Option<ArrayRef> {
    let ids = cast(column, &DataType::UInt32).ok()?;
    (ids.null_count() == 0).then_some(ids)
}
