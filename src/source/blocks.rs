//! Splits the rows of a data frame into blocks small enough to hold in memory.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

use super::SourceError;

/// Maximum number of rows in a block, and of values.
const ROWS: u64 = 1 << 15;
const VALUES: u64 = 1 << 21;

/// Rows of the first block, when nothing is known about row sizes yet, and the lower limit that the
/// number of values can push a block down to.
const FIRST: u64 = 1 << 10;
const FEWEST: u64 = 64;

/// Target size of a block in bytes, estimated from earlier blocks.
const BYTES: u64 = 4 << 20;

/// Consecutive ranges that cover the rows. The headers do not give the length of text values, so
/// the first block is small and each following one is sized by the bytes of the block before it, as
/// reported through [`RowBlocks::held`], but grows at most twofold.
pub(crate) struct RowBlocks {
    rows: Range<u64>,
    /// Rows of the last block.
    last: u64,
    step: u64,
    most: u64,
}

impl RowBlocks {
    /// Splits `rows`, each of which has `values` values.
    pub fn new(rows: Range<u64>, values: usize) -> Self {
        let most = (VALUES / (values as u64).saturating_add(1)).clamp(FEWEST, ROWS);
        RowBlocks {
            rows,
            last: 0,
            step: most.min(FIRST),
            most,
        }
    }

    /// Limits blocks to `rows` rows, for callers that keep earlier blocks next to the one being
    /// read.
    pub fn at_most(self, rows: u64) -> Self {
        RowBlocks {
            step: self.step.min(rows),
            most: self.most.min(rows),
            ..self
        }
    }

    /// Returns the rows of the next block.
    pub fn next(&mut self) -> Option<Range<u64>> {
        let start = self.rows.start;
        let end = start.saturating_add(self.step).min(self.rows.end);
        if start >= end {
            return None;
        }
        self.rows.start = end;
        self.last = end - start;
        Some(start..end)
    }

    /// Returns the next block and what `read` returns for it. Retries with fewer rows if `read`
    /// reports that this many need too much memory.
    pub fn read<T, E>(
        &mut self,
        mut read: impl FnMut(Range<u64>) -> Result<T, E>,
    ) -> Result<Option<(Range<u64>, T)>, E>
    where
        E: TooLong,
    {
        while let Some(rows) = self.next() {
            match read(rows.clone()) {
                Err(error) if error.is_too_long() && self.shorten() => {}
                result => return result.map(|block| Some((rows, block))),
            }
        }
        Ok(None)
    }

    /// Takes back the last block so that its rows come again in smaller blocks. Returns `false` if
    /// it was a single row, which cannot be split.
    fn shorten(&mut self) -> bool {
        if self.last <= 1 {
            return false;
        }
        self.rows.start -= self.last;
        self.step = self.last / 2;
        true
    }

    /// Reports how many bytes the last block took.
    pub fn held(&mut self, bytes: u64) {
        let fitting = match bytes.div_ceil(self.last.max(1)) {
            0 => self.most,
            each => BYTES / each,
        };
        self.step = fitting.min(self.last.saturating_mul(2)).clamp(1, self.most);
    }
}

/// An error that can mean that the block had too many rows.
pub(crate) trait TooLong {
    /// Whether it does, so that retrying with fewer rows may succeed.
    fn is_too_long(&self) -> bool;
}

impl TooLong for SourceError {
    fn is_too_long(&self) -> bool {
        matches!(self, SourceError::TooLarge { .. })
    }
}

/// Size in bytes of the rows of columns. Categories are shared by all rows and not counted.
pub(crate) fn bytes_of<'a>(columns: impl IntoIterator<Item = &'a ArrayRef>) -> u64 {
    let bytes = |column: &ArrayRef| match column.data_type() {
        DataType::Dictionary(_, _) => {
            let keys = column.as_any_dictionary().keys().to_data();
            keys.get_slice_memory_size()
        }
        _ => column.to_data().get_slice_memory_size(),
    };
    // Types whose size cannot be computed are not text, so they do not matter here.
    let all = columns.into_iter().map(|column| bytes(column).unwrap_or(0));
    all.fold(0, |sum, bytes| sum.saturating_add(bytes as u64))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{DictionaryArray, Int64Array, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    /// Returns all blocks of rows when row `i` takes `bytes(i)`.
    fn cut(rows: Range<u64>, values: usize, bytes: impl Fn(u64) -> u64) -> Vec<Range<u64>> {
        let mut blocks = RowBlocks::new(rows, values);
        let mut all = Vec::new();
        while let Some(block) = blocks.next() {
            blocks.held(block.clone().map(&bytes).sum());
            all.push(block);
        }
        all
    }

    #[test]
    fn blocks_cover_all_rows_once() {
        for (rows, values) in [(0..0, 0), (5..200_000, 3), (0..1000, 100_000), (7..8, 1)] {
            for each in [0, 1, 100, 10 << 20] {
                let covered: Vec<u64> = cut(rows.clone(), values, |_| each)
                    .into_iter()
                    .flatten()
                    .collect();
                assert_eq!(covered, rows.clone().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn long_texts_make_small_blocks() {
        let sizes = |bytes: &dyn Fn(u64) -> u64| -> Vec<u64> {
            let blocks = cut(0..400_000, 2, bytes);
            let size = |rows: &Range<u64>| rows.clone().map(bytes).sum();
            blocks.iter().map(size).collect()
        };
        // After the first 1,024 rows it is known that a row takes 2 KB.
        assert!(sizes(&|_| 2000).iter().all(|&bytes| bytes <= BYTES));
        let short = cut(0..400_000, 2, |_| 20);
        assert_eq!(short.iter().map(|r| r.end - r.start).max(), Some(ROWS));
        assert!(short.len() < 20, "{}", short.len());
        // Rows that become long after many short ones: the block where they begin only shows the
        // mean of both, the next one their actual length.
        let sizes = sizes(&|row| if row < 100_000 { 20 } else { 2000 });
        let large = sizes.iter().filter(|&&bytes| bytes > BYTES);
        assert!(large.clone().count() <= 2);
        assert!(large.max() <= Some(&(ROWS * 2000)));
    }

    #[test]
    fn blocks_that_are_refused_come_again_in_pieces() {
        let refused =
            || crate::source::error::ErrorContext::new("x".as_ref(), "obs").too_large("", 0, 0);
        let mut blocks = RowBlocks::new(0..5000, 1);
        let mut covered = Vec::new();
        // From row 1000 on, at most three rows can be read at once.
        let read = |rows: Range<u64>| {
            if rows.end > 1000 && rows.end - rows.start > 3 {
                Err(refused())
            } else {
                Ok(())
            }
        };
        while let Some((rows, ())) = blocks.read(read).unwrap() {
            blocks.held(0);
            covered.extend(rows);
        }
        assert_eq!(covered, (0..5000).collect::<Vec<_>>());
        let mut blocks = RowBlocks::new(0..5, 1);
        assert!(blocks.read(|_| Err::<(), _>(refused())).is_err());
    }

    #[test]
    fn wide_rows_make_small_blocks() {
        let blocks = cut(0..1000, 1 << 20, |_| 8 << 20);
        assert_eq!(blocks[0], 0..FEWEST);
        assert!(blocks[1..].iter().all(|rows| rows.end - rows.start == 1));
    }

    #[test]
    fn categories_do_not_count() {
        let long = "x".repeat(1 << 20);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![long.as_str(); 3]));
        assert!(bytes_of([&texts.slice(1, 1)]) < (1 << 20) + 100);
        let dictionary: DictionaryArray<Int32Type> = vec![long.as_str(); 100].into_iter().collect();
        let numbers = Int64Array::from(vec![1; 100]);
        let columns: [ArrayRef; 2] = [Arc::new(dictionary), Arc::new(numbers)];
        assert_eq!(bytes_of(&columns), 1200);
    }
}
