//! Selects where samples are taken.

use std::ops::Range;

/// Returns `count` ranges of at most `size` rows spread evenly over `0..rows`, including the first
/// and the last row. Where possible, a range begins at a multiple of `together`, the number of rows
/// that are stored together.
pub(super) fn pieces(rows: u64, count: u64, size: u64, together: u64) -> Vec<Range<u64>> {
    let together = together.max(1);
    let size = size.max(1);
    if rows <= count.saturating_mul(size) {
        return (0..rows.div_ceil(size))
            .map(|i| i * size..(i * size + size).min(rows))
            .collect();
    }
    let mut ranges: Vec<Range<u64>> = (0..count)
        .map(|i| {
            let start = u128::from(rows - size) * u128::from(i) / u128::from((count - 1).max(1));
            let start = u64::try_from(start).unwrap_or(0);
            let aligned = start / together * together;
            // The last piece must reach the end, whatever the alignment.
            let start = if i + 1 == count || aligned + size <= start {
                start
            } else {
                aligned
            };
            start..(start + size).min(rows)
        })
        .collect();
    ranges.dedup();
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_spans_the_whole_length() {
        assert_eq!(pieces(0, 4, 10, 1), vec![]);
        assert_eq!(pieces(25, 4, 10, 1), vec![0..10, 10..20, 20..25]);
        let ranges = pieces(1_000_003, 4, 10, 7);
        assert_eq!(ranges.len(), 4);
        assert_eq!(ranges[0], 0..10);
        assert_eq!(ranges[3], 999_993..1_000_003);
        assert_eq!(ranges[1].start % 7, 0);
    }
}
