//! A sample of cells of a matrix, with all or some of their values.

use crate::source::{SampledRows, TypedVec};

/// Maximum number of values that are kept.
const MOST_VALUES: usize = 1 << 18;

/// Approximate number of cells to keep values of if entries arrive one by one.
const CELLS: u64 = 256;

/// A sample of the values of a matrix, grouped by cell, without zeros.
#[derive(Debug, Default)]
pub(crate) struct RowSample {
    ends: Vec<usize>,
    values: Vec<f64>,
    /// Gene of each value; empty if unknown.
    genes: Vec<u32>,
    /// Values that arrived one by one, with their cells.
    entries: Vec<(u64, f64)>,
    /// Number of values that arrived one by one, kept or not.
    seen: u64,
    /// Whether all values of each cell are present.
    pub whole: bool,
    /// Whether all cells of the matrix are present.
    pub complete: bool,
}

/// How much of a matrix the entries cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    All,
    Piece,
}

impl RowSample {
    /// Whether the sample needs no more values.
    pub fn is_full(&self) -> bool {
        self.values.len() >= MOST_VALUES
    }

    /// Adds what a source returned for a matrix of `of` rows and, if known, `entries` entries.
    pub fn add(&mut self, shown: SampledRows<'_>, of: u64, entries: Option<u64>) {
        match shown {
            SampledRows::Rows(chunk) => {
                let Ok(genes) = chunk.indices.to_i64() else {
                    return;
                };
                let values = as_floats(&chunk.data);
                for row in chunk.indptr.windows(2) {
                    if self.is_full() {
                        return;
                    }
                    for at in row[0]..row[1] {
                        if values[at] != 0.0 {
                            self.values.push(values[at]);
                            self.genes
                                .push(u32::try_from(genes[at]).unwrap_or(u32::MAX));
                        }
                    }
                    self.ends.push(self.values.len());
                }
            }
            SampledRows::Entries { rows, values } => {
                let Ok(rows) = rows.to_i64() else { return };
                let values = as_floats(values);
                self.seen += values.len() as u64;
                let part = if entries == Some(values.len() as u64) {
                    Part::All
                } else {
                    Part::Piece
                };
                let rows = rows.into_iter().map(|row| row as u64);
                self.add_entries(rows.zip(values).collect(), of, part);
            }
        }
    }

    fn add_entries(&mut self, entries: Vec<(u64, f64)>, of: u64, part: Part) {
        let sorted = entries.windows(2).all(|pair| pair[0].0 <= pair[1].0);
        let runs: Vec<&[(u64, f64)]> = entries.chunk_by(|a, b| a.0 == b.0).collect();
        if sorted && part == Part::Piece && runs.len() >= 3 && entries.len() >= 2 * runs.len() {
            // The run of each cell is complete, except for the first and the last.
            for run in &runs[1..runs.len() - 1] {
                if self.is_full() {
                    return;
                }
                let values = run.iter().map(|(_, value)| *value);
                self.values.extend(values.filter(|value| *value != 0.0));
                self.ends.push(self.values.len());
            }
            return;
        }
        let every = of.div_ceil(CELLS).max(1);
        let room = MOST_VALUES.saturating_sub(self.entries.len());
        let chosen = entries.into_iter().filter(|(row, _)| row % every == 0);
        self.entries.extend(chosen.take(room));
    }

    /// Completes the sample of a matrix with this many entries.
    pub fn finished(mut self, entries: Option<u64>) -> Self {
        if self.entries.is_empty() {
            self.whole = true;
            return self;
        }
        if !self.ends.is_empty() {
            // Complete cells are more informative than parts of others.
            self.entries.clear();
            self.genes.clear();
            self.whole = true;
            return self;
        }
        let mut kept = std::mem::take(&mut self.entries);
        self.whole = entries == Some(self.seen) && kept.len() < MOST_VALUES;
        kept.sort_by_key(|(row, _)| *row);
        for run in kept.chunk_by(|a, b| a.0 == b.0) {
            let values = run.iter().map(|(_, value)| *value);
            self.values.extend(values.filter(|value| *value != 0.0));
            self.ends.push(self.values.len());
        }
        self
    }

    /// Values of each cell.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, &end)| &self.values[start..end])
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// All values.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Gene of each value, if known.
    pub fn genes(&self) -> Option<&[u32]> {
        (self.genes.len() == self.values.len()).then_some(&self.genes)
    }
}

/// Converts numbers to `f64`, rounding to nearest if necessary.
fn as_floats(numbers: &TypedVec) -> Vec<f64> {
    match numbers {
        TypedVec::Int64(values) => values.iter().map(|&value| value as f64).collect(),
        TypedVec::UInt64(values) => values.iter().map(|&value| value as f64).collect(),
        // All other types convert exactly.
        other => other.to_f64().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_become_rows() {
        let (rows, values) = (
            TypedVec::Int32(vec![1, 0, 1, 0, 2]),
            TypedVec::Float32(vec![1.0, 2.0, 3.0, 0.0, 5.0]),
        );
        let mut sample = RowSample::default();
        let (rows, values) = (&rows, &values);
        sample.add(SampledRows::Entries { rows, values }, 3, Some(5));
        let sample = sample.finished(Some(5));
        assert!(sample.whole);
        let found: Vec<Vec<f64>> = sample.rows().map(<[f64]>::to_vec).collect();
        assert_eq!(found, [vec![2.0], vec![1.0, 3.0], vec![5.0]]);
    }

    #[test]
    fn entries_by_cell_are_whole_cells_but_for_the_ends() {
        let rows = TypedVec::UInt32(vec![4, 4, 5, 5, 5, 6, 6]);
        let values = TypedVec::Float64(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        let mut sample = RowSample::default();
        let (rows, values) = (&rows, &values);
        sample.add(SampledRows::Entries { rows, values }, 9, None);
        let sample = sample.finished(None);
        assert!(sample.whole);
        assert_eq!(sample.rows().collect::<Vec<_>>(), [&[3.0, 4.0, 5.0][..]]);
    }
}
