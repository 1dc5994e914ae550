//! Divides the rows of a fragment into blocks that fit into memory.
//!
//! A file does not say how long its strings are: a compressed page of ten bytes may hold megabytes.
//! Therefore only a few rows are read at first, then a page. Later strings are assumed to be as long
//! as those read before, and longer where a page has fewer rows, because writers split pages by size.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Schema};
use lance::Dataset;
use lance_table::format::{DataFile, Fragment};

use super::TableError;
use super::data_file::{self, Page, Pages};

/// Ratio of the memory that Lance allocates for strings to their bytes in the file.
const ROOM: u64 = 8;

/// Number of rows of strings that are read before anything is known about their length.
const FIRST_ROWS: u64 = 16;

/// Estimated memory per row: a fixed part, plus that of each column of strings.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    fixed: u64,
    texts: Vec<Texts>,
}

/// A column of strings.
#[derive(Debug, Clone)]
struct Texts {
    /// Name, and position among the columns that are read.
    name: String,
    column: usize,
    /// Pages of the column in the open fragment.
    pages: Vec<Page>,
    known: Option<Known>,
    /// Number of rows read so far of the current block, and of their bytes.
    read: (u64, u64),
}

/// Observations on the strings read so far.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Number of bytes per row.
    each: f64,
    /// Number of rows of the page that contained them.
    rows: u64,
    /// Whether a page has been read to its end.
    page: bool,
}

impl Weights {
    /// Creates the weights for some columns of a table. No fragment is open yet.
    pub fn of(columns: &Schema) -> Self {
        let fields = columns.fields();
        let fixed = fields.iter().map(|field| width(field.data_type()));
        let texts = fields.iter().enumerate();
        let texts = texts.filter(|(_, field)| is_text(field.data_type()));
        Weights {
            fixed: fixed.fold(0, u64::saturating_add).max(1),
            texts: texts
                .map(|(column, field)| Texts {
                    name: field.name().clone(),
                    column,
                    pages: Vec::new(),
                    known: None,
                    read: (0, 0),
                })
                .collect(),
        }
    }

    /// Opens another fragment. Checks its files.
    pub fn open(
        &mut self,
        table: &Dataset,
        path: &Path,
        fragment: &Fragment,
    ) -> Result<(), TableError> {
        let fields = table.schema().fields.iter();
        let numbers: HashMap<&str, i32> = if self.texts.is_empty() {
            HashMap::new()
        } else {
            fields.map(|field| (&field.name[..], field.id)).collect()
        };
        let mut places: HashMap<i32, usize> = HashMap::new();
        for (place, texts) in self.texts.iter_mut().enumerate() {
            texts.pages.clear();
            texts.read = (0, 0);
            if let Some(&number) = numbers.get(&texts.name[..]) {
                places.insert(number, place);
            }
        }
        for file in &fragment.files {
            let pages = checked(path, file)?;
            for (at, field) in file.fields.iter().enumerate() {
                let Some(&place) = places.get(field) else {
                    continue;
                };
                let column = file.column_indices.get(at);
                let column = column.and_then(|&column| usize::try_from(column).ok());
                let pages = column.and_then(|column| pages.get(column));
                self.texts[place].pages = match pages {
                    Some(pages) => pages.clone(),
                    // Pages are not known for version 1 of the file format.
                    None => vec![Page {
                        rows: 0..fragment.physical_rows.unwrap_or(0) as u64,
                        bytes: file.file_size_bytes.get().map_or(0, u64::from),
                    }],
                };
            }
        }
        Ok(())
    }

    /// Returns the end (exclusive) of the rows from `first` on that fit into `bytes`: at least one
    /// row, and none beyond `end`.
    pub fn end(&self, first: u64, end: u64, bytes: u64) -> u64 {
        let mut end = end;
        for texts in &self.texts {
            match texts.known {
                None => end = end.min(texts.page_end(first)).min(first + FIRST_ROWS),
                Some(known) if !known.page => end = end.min(texts.page_end(first)),
                Some(_) => (),
            }
        }
        let (mut row, mut left) = (first, bytes as f64);
        while row < end {
            let (each, until) = self.each(row, end);
            let fitting = (left / each) as u64;
            if fitting < until - row {
                row += fitting;
                break;
            }
            left -= each * (until - row) as f64;
            row = until;
        }
        row.max(first + 1).min(end)
    }

    /// Estimated number of bytes of these rows.
    pub fn bytes(&self, rows: &Range<u64>) -> u64 {
        let mut bytes = 0.0;
        let mut row = rows.start;
        while row < rows.end {
            let (each, until) = self.each(row, rows.end);
            bytes += each * (until - row) as f64;
            row = until;
        }
        bytes as u64
    }

    /// Returns the estimated number of bytes of a row, and the end of the rows that need as many.
    fn each(&self, row: u64, end: u64) -> (f64, u64) {
        let (mut each, mut until) = (self.fixed as f64, end);
        for texts in &self.texts {
            each += texts.each(row);
            until = until.min(texts.page_end(row));
        }
        (each, until)
    }

    /// Adds up the bytes of rows of the current block.
    pub fn measure(&mut self, batch: &RecordBatch) {
        for texts in &mut self.texts {
            let data = batch.column(texts.column).to_data();
            let bytes = data.get_slice_memory_size();
            let bytes = bytes.unwrap_or_else(|_| data.get_array_memory_size());
            texts.read.0 += batch.num_rows() as u64;
            texts.read.1 += bytes as u64;
        }
    }

    /// Updates the estimates at the end of a block.
    pub fn learn(&mut self, block: &Range<u64>) {
        for texts in &mut self.texts {
            let (rows, bytes) = std::mem::take(&mut texts.read);
            // Rows read in another order belong to no block.
            if rows == 0 || block.is_empty() {
                continue;
            }
            let each = bytes as f64 / rows as f64;
            let before = texts.known;
            // Of pages with fewer rows than the largest, longer strings are expected.
            let pages = texts.pages.iter();
            let pages = pages.filter(|page| page.rows.start < block.end);
            let pages = pages.filter(|page| page.rows.end > block.start);
            let rows = pages.map(|page| page.rows.end - page.rows.start).max();
            texts.known = Some(Known {
                // Long strings may recur.
                each: before.map_or(each, |before| each.max(before.each / 2.0)),
                rows: rows.unwrap_or(1),
                page: before.is_some_and(|before| before.page)
                    || texts.page_end(block.start) <= block.end,
            });
        }
    }
}

impl Texts {
    fn page(&self, row: u64) -> Option<&Page> {
        let place = self.pages.partition_point(|page| page.rows.end <= row);
        self.pages.get(place)
    }

    fn page_end(&self, row: u64) -> u64 {
        self.page(row).map_or(u64::MAX, |page| page.rows.end)
    }

    /// Estimated number of bytes of a row.
    fn each(&self, row: u64) -> f64 {
        let known = self.known.map_or(0.0, |known| known.each);
        let Some(page) = self.page(row) else {
            return known;
        };
        let rows = (page.rows.end - page.rows.start).max(1);
        let in_file = page.bytes.saturating_mul(ROOM) as f64 / rows as f64;
        // The last page is small because the rows end, not because its strings are long.
        let is_last = self.pages.last().is_some_and(|last| last.rows == page.rows);
        let fewer = match self.known {
            Some(known) if !is_last => (known.rows as f64 / rows as f64).max(1.0),
            _ => 1.0,
        };
        in_file.max(known * fewer)
    }
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

/// Whether there are columns of strings, whose size does not follow from the type.
pub(super) fn has_texts(columns: &[FieldRef]) -> bool {
    columns.iter().any(|field| is_text(field.data_type()))
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
        let name = arrow::datatypes::Field::new("text", DataType::Utf8, true);
        let mut weights = Weights::of(&Schema::new(vec![name]));
        let pages = pages.iter().map(|(rows, bytes)| Page {
            rows: rows.clone(),
            bytes: *bytes,
        });
        weights.texts[0].pages = pages.collect();
        weights
    }

    /// Reads all rows in blocks; `each` gives the number of bytes of a row.
    fn blocks(mut weights: Weights, bytes: u64, each: impl Fn(u64) -> u64) -> Vec<Range<u64>> {
        let end = weights.texts[0].pages.last().unwrap().rows.end;
        let (mut blocks, mut row) = (Vec::new(), 0);
        while row < end {
            let block = row..weights.end(row, end, bytes);
            weights.texts[0].read = (block.end - row, block.clone().map(&each).sum());
            weights.learn(&block);
            row = block.end;
            blocks.push(block);
        }
        blocks
    }

    #[test]
    fn blocks_of_numbers_are_cut_by_their_width() {
        let fields =
            ["a", "b"].map(|name| arrow::datatypes::Field::new(name, DataType::Int64, true));
        let plain = Weights::of(&Schema::new(fields.to_vec()));
        assert_eq!(plain.end(0, 1000, 160), 10);
        assert_eq!(plain.end(5, 8, 160), 8);
        assert_eq!(plain.end(5, 1000, 0), 6, "one row at least");
        assert_eq!(plain.bytes(&(3..13)), 160);
    }

    /// A megabyte of one letter needs a few bytes in the file.
    #[test]
    fn texts_that_are_short_in_the_file_may_be_long() {
        let pages: Vec<(Range<u64>, u64)> =
            (0..300).map(|page| (3 * page..3 * page + 3, 186)).collect();
        let blocks = blocks(weights(&pages), 8 << 20, |_| 1 << 20);
        assert!(
            blocks.iter().all(|block| block.end - block.start <= 8),
            "{blocks:?}"
        );
        assert!(blocks.len() < 300, "{}", blocks.len());
    }

    /// Short strings come first; the strings of pages with fewer rows are longer.
    #[test]
    fn texts_that_become_long_are_few() {
        let mut pages = vec![(0..100_000, 100_000), (100_000..200_000, 100_000)];
        pages.extend((0..200).map(|page| (200_000 + page..200_001 + page, 100)));
        let each = |row| if row < 200_000 { 30 } else { 3 << 20 };
        let blocks = blocks(weights(&pages), 8 << 20, each);
        let most = blocks
            .iter()
            .map(|block| block.clone().map(each).sum::<u64>());
        assert!(most.max() <= Some(14 << 20), "{blocks:?}");
        assert!(blocks.len() < 120, "{}", blocks.len());
    }
}
