//! Sinks that collect entries as the rows of a chunk, or as coordinates in any order.

use std::ops::Range;

use super::entries::Sink;
use crate::source::Reindex;

/// Collects entries that are sorted by cell into CSR form.
pub(super) struct Rows<'a, V> {
    start: u64,
    end: u64,
    /// The cell of the last entry.
    cell: u64,
    kept: &'a Reindex,
    /// Offsets of the rows, as in [`crate::source::CsrChunk`].
    pub indptr: Vec<usize>,
    /// Gene of each entry.
    pub genes: Vec<u32>,
    /// Value of each entry.
    pub values: Vec<V>,
}

impl<'a, V> Rows<'a, V> {
    /// Creates a collector for these cells and about `entries` entries.
    pub fn new(cells: Range<u64>, entries: usize, kept: &'a Reindex) -> Self {
        let mut indptr = Vec::with_capacity((cells.end - cells.start) as usize + 1);
        indptr.push(0);
        Rows {
            start: cells.start,
            end: cells.end,
            cell: cells.start,
            kept,
            indptr,
            genes: Vec::with_capacity(entries),
            values: Vec::with_capacity(entries),
        }
    }

    /// Completes `indptr` once all entries have been added.
    pub fn finish(&mut self) {
        self.indptr
            .resize((self.end - self.start) as usize + 1, self.genes.len());
    }
}

impl<V> Sink<V> for Rows<'_, V> {
    #[inline(always)]
    fn add(&mut self, cell: u64, feature: u32, value: V) -> bool {
        if cell != self.cell {
            if cell < self.cell || cell >= self.end {
                return false;
            }
            self.cell = cell;
            self.indptr
                .resize((cell - self.start) as usize + 1, self.genes.len());
        }
        if let Some(gene) = self.kept.get(feature) {
            self.genes.push(gene);
            self.values.push(value);
        }
        true
    }
}

/// What the mirror image of an entry off the diagonal looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counterpart {
    None,
    Same,
    Negative,
}

/// Negation, if the value has an opposite.
pub(super) trait Negate: Sized {
    fn opposite(&self) -> Option<Self>;
}

impl Negate for i64 {
    fn opposite(&self) -> Option<Self> {
        self.checked_neg()
    }
}

impl Negate for f64 {
    fn opposite(&self) -> Option<Self> {
        Some(-self)
    }
}

impl Negate for u8 {
    fn opposite(&self) -> Option<Self> {
        None
    }
}

/// Collects entries in any order, as coordinates.
pub(super) struct Coordinates<'a, V> {
    kept: &'a Reindex,
    counterpart: Counterpart,
    /// Cell of each entry.
    pub cells: Vec<u32>,
    /// Gene of each entry.
    pub genes: Vec<u32>,
    /// Value of each entry.
    pub values: Vec<V>,
}

impl<'a, V> Coordinates<'a, V> {
    /// Creates a collector for about `entries` entries.
    pub fn new(entries: usize, kept: &'a Reindex, counterpart: Counterpart) -> Self {
        Coordinates {
            kept,
            counterpart,
            cells: Vec::with_capacity(entries),
            genes: Vec::with_capacity(entries),
            values: Vec::with_capacity(entries),
        }
    }

    fn push(&mut self, cell: u32, feature: u32, value: V) {
        if let Some(gene) = self.kept.get(feature) {
            self.cells.push(cell);
            self.genes.push(gene);
            self.values.push(value);
        }
    }
}

impl<V: Negate + Copy> Sink<V> for Coordinates<'_, V> {
    #[inline(always)]
    fn add(&mut self, cell: u64, feature: u32, value: V) -> bool {
        // The reader has checked that cell positions fit in 32 bits, too.
        let position = cell as u32;
        self.push(position, feature, value);
        if self.counterpart != Counterpart::None && position != feature {
            let other = match self.counterpart {
                Counterpart::Negative => value.opposite(),
                _ => Some(value),
            };
            match other {
                Some(other) => self.push(feature, position, other),
                None => return false,
            }
        }
        true
    }
}
