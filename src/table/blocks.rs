//! Divides the rows of a fragment into blocks that fit into memory.
//!
//! Lance reads ahead within a scan by its own measure, so each scan is limited to the rows that may
//! be in memory at once.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arrow::datatypes::{DataType, Schema};
use lance::Dataset;
use lance_table::format::{DataFile, Fragment};

use super::data_file::{self, Page, Pages};
use super::{Layout, TableError};

/// Ratio of the memory that Lance allocates for strings to their bytes in the file.
const ROOM: u64 = 8;

/// Estimated memory per row of a fragment: a fixed part, plus strings in proportion to the size of
/// the page they are in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    fixed: u64,
    /// Bytes per row of strings from this row on.
    steps: Vec<(u64, f64)>,
}

impl Weights {
    /// Computes the weights for some columns of a fragment. Checks its files.
    pub fn of(
        table: &Dataset,
        path: &Path,
        fragment: &Fragment,
        columns: &Schema,
    ) -> Result<Self, TableError> {
        let fixed = columns
            .fields()
            .iter()
            .map(|field| width(field.data_type()));
        let mut weights = Weights {
            fixed: fixed.sum::<u64>().max(1),
            steps: Vec::new(),
        };
        let texts = columns
            .fields()
            .iter()
            .filter(|field| is_text(field.data_type()));
        let texts: Vec<i32> = texts
            .filter_map(|field| table.schema().field(field.name()))
            .map(|field| field.id)
            .collect();
        let mut changes = Vec::new();
        for file in &fragment.files {
            let pages = checked(path, file)?;
            for (field, column) in file.fields.iter().zip(file.column_indices.iter()) {
                if let Ok(column) = usize::try_from(*column)
                    && texts.contains(field)
                    && let Some(pages) = pages.get(column)
                {
                    changes.extend(pages.iter().flat_map(of_page));
                }
            }
            // Pages are not known for version 1 of the file format.
            if pages.is_empty() && !texts.is_empty() {
                let rows = fragment.physical_rows.unwrap_or(0) as u64;
                let bytes = file.file_size_bytes.get().map_or(0, u64::from);
                changes.extend(of_page(&Page {
                    rows: 0..rows,
                    bytes,
                }));
            }
        }
        weights.steps = steps(changes);
        Ok(weights)
    }

    /// Returns the end (exclusive) of the rows from `first` on that fit into `bytes`: at least one
    /// row, and none beyond `end`.
    pub fn end(&self, first: u64, end: u64, bytes: u64) -> u64 {
        let (mut row, mut left) = (first, bytes as f64);
        let mut place = self.steps.partition_point(|(start, _)| *start <= first);
        while row < end {
            let texts = place
                .checked_sub(1)
                .map_or(0.0, |before| self.steps[before].1);
            let until = self
                .steps
                .get(place)
                .map_or(end, |(start, _)| end.min(*start));
            let each = self.fixed as f64 + texts;
            let fitting = (left / each) as u64;
            if fitting < until - row {
                row += fitting;
                break;
            }
            left -= each * (until - row) as f64;
            (row, place) = (until, place + 1);
        }
        row.max(first + 1).min(end)
    }

    /// Estimated number of bytes of these rows.
    pub fn bytes(&self, rows: &Range<u64>) -> u64 {
        let mut bytes = 0.0;
        let mut row = rows.start;
        let mut place = self.steps.partition_point(|(start, _)| *start <= row);
        while row < rows.end {
            let texts = place
                .checked_sub(1)
                .map_or(0.0, |before| self.steps[before].1);
            let next = self.steps.get(place).map_or(rows.end, |(start, _)| *start);
            let until = next.min(rows.end);
            bytes += (self.fixed as f64 + texts) * (until - row) as f64;
            (row, place) = (until, place + 1);
        }
        bytes as u64
    }
}

/// Returns the changes of the bytes per row at the start and the end of a page.
fn of_page(page: &Page) -> [(u64, f64); 2] {
    let rows = (page.rows.end - page.rows.start).max(1);
    let each = page.bytes.saturating_mul(ROOM) as f64 / rows as f64;
    [(page.rows.start, each), (page.rows.end, -each)]
}

fn steps(mut changes: Vec<(u64, f64)>) -> Vec<(u64, f64)> {
    changes.sort_by_key(|(row, _)| *row);
    let mut steps: Vec<(u64, f64)> = Vec::new();
    let mut now = 0.0;
    for (row, change) in changes {
        now += change;
        match steps.last_mut() {
            Some((last, bytes)) if *last == row => *bytes = now,
            _ => steps.push((row, now)),
        }
    }
    // Rounding errors can make sums negative.
    for (_, bytes) in &mut steps {
        *bytes = bytes.max(0.0);
    }
    steps
}

fn is_text(data_type: &DataType) -> bool {
    !matches!(data_type, DataType::FixedSizeList(..))
        && data_type.primitive_width().is_none()
        && *data_type != DataType::Boolean
}

/// Number of bytes of a value in memory, not counting the bytes of strings.
fn width(data_type: &DataType) -> u64 {
    match data_type {
        DataType::FixedSizeList(item, count) => {
            width(item.data_type()).saturating_mul(u64::try_from(*count).unwrap_or(1))
        }
        other => other.primitive_width().map_or(16, |width| width as u64),
    }
}

/// Whether a table has strings, whose size does not follow from the type.
pub(super) fn has_texts(columns: &Schema) -> bool {
    Layout::has_texts(columns)
        || columns
            .fields()
            .iter()
            .any(|field| is_text(field.data_type()))
}

/// Size and modification time of a file when it was checked.
type Seen = (u64, SystemTime);

/// Files checked by this process, with their pages.
static CHECKED: Mutex<Option<HashMap<PathBuf, (Seen, Arc<Pages>)>>> = Mutex::new(None);

/// Maximum number of files remembered.
const REMEMBERED: usize = 4096;

/// Returns the pages of a file, and checks the file unless it was checked before and is unchanged.
pub(super) fn checked(table: &Path, file: &DataFile) -> Result<Arc<Pages>, TableError> {
    // The file is in another location, which only Lance can resolve.
    if file.base_id.is_some() {
        return Ok(Arc::default());
    }
    let path = table.join("data").join(&file.path);
    let metadata = std::fs::metadata(&path).ok();
    let now = metadata.and_then(|file| Some((file.len(), file.modified().ok()?)));
    let same_size = |seen: &Seen| {
        let expected = file.file_size_bytes.get().map(u64::from);
        expected.is_none_or(|expected| expected == seen.0)
    };
    let lock = || CHECKED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(now) = &now
        && let Some((seen, pages)) = lock().get_or_insert_default().get(&path)
        && seen == now
        && same_size(seen)
    {
        return Ok(pages.clone());
    }
    let pages = Arc::new(data_file::check(table, file)?);
    if let Some(now) = now {
        let mut all = lock();
        let all = all.get_or_insert_default();
        if all.len() >= REMEMBERED {
            all.clear();
        }
        all.insert(path, (now, pages.clone()));
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(pages: &[(Range<u64>, u64)]) -> Weights {
        let pages = pages.iter().map(|(rows, bytes)| Page {
            rows: rows.clone(),
            bytes: *bytes,
        });
        Weights {
            fixed: 8,
            steps: steps(pages.flat_map(|page| of_page(&page)).collect()),
        }
    }

    #[test]
    fn blocks_are_cut_by_bytes() {
        let plain = weights(&[]);
        assert_eq!(plain.end(0, 1000, 80), 10);
        assert_eq!(plain.end(5, 8, 80), 8);
        assert_eq!(plain.end(5, 1000, 0), 6, "one row at least");
        assert_eq!(plain.bytes(&(3..13)), 80);
    }

    #[test]
    fn long_texts_are_few() {
        // Short strings, one byte each in the file, then long ones.
        let skewed = weights(&[(0..100, 100), (100..110, 10_000), (0..110, 110)]);
        assert_eq!(skewed.end(0, 110, 24 * 50), 50);
        let each = 8 + 8 * (1000 + 1);
        assert_eq!(skewed.end(100, 110, 3 * each), 103);
        assert_eq!(skewed.end(98, 110, 2 * 24 + each + 1), 101);
        assert_eq!(skewed.bytes(&(98..101)), 2 * 24 + each);
        let mut row = 0;
        while row < 110 {
            let end = skewed.end(row, 110, 20_000);
            assert!(end > row && (end == row + 1 || skewed.bytes(&(row..end)) <= 20_000));
            row = end;
        }
    }
}
