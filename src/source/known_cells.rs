//! Cells of an input that are left out, because their counts are there already.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Note;

/// Cells that are left out, because another input, or the dataset that is appended to, has cells with
/// their counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownCells {
    /// Their positions among the cells that are chosen otherwise.
    pub cells: Positions,
    /// Where they are known from.
    pub of: Vec<KnownFrom>,
}

/// A source of cells that have the counts of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownFrom {
    /// What the source is called in the dataset.
    pub source_file: String,
    /// Cells that are left out because of it.
    pub cells: u64,
    /// One of them, and the one whose counts it has.
    pub example: [String; 2],
}

impl KnownCells {
    /// What is said of them.
    pub(super) fn notes(&self) -> impl Iterator<Item = Note> {
        self.of.iter().map(|from| {
            let [own, other] = &from.example;
            let (cells, have) = match from.cells {
                1 => ("1 cell".to_string(), "has"),
                cells => (format!("{cells} cells"), "have"),
            };
            let file = &from.source_file;
            let why = format!(
                "{cells} that {have} the counts of cells of {file}, such as {own:?} those of {other:?} (--duplicate-counts drop)"
            );
            Note::new("obs", why)
        })
    }
}

/// Positions in ascending order, each once. As text, `3,7-9` are four of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Positions(Vec<Range<u32>>);

impl Positions {
    /// Adds a position that is after all others.
    pub fn push(&mut self, position: u32) {
        match self.0.last_mut() {
            Some(last) if last.end == position => last.end += 1,
            last => {
                debug_assert!(last.is_none_or(|last| last.end < position), "in order");
                self.0.push(position..position + 1);
            }
        }
    }

    /// The position after the last one.
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| u64::from(last.end))
    }

    /// All positions before `end` that are not among these.
    pub fn others(&self, end: u32) -> impl Iterator<Item = u32> {
        let starts = self.0.iter().map(|range| range.end);
        let ends = self.0.iter().map(|range| range.start);
        let gaps = std::iter::once(0).chain(starts).zip(ends.chain([end]));
        gaps.flat_map(|(start, end)| start..end)
    }
}

impl From<Positions> for String {
    fn from(positions: Positions) -> String {
        let ranges = positions.0.iter().map(|range| match range.len() {
            1 => range.start.to_string(),
            _ => format!("{}-{}", range.start, range.end - 1),
        });
        ranges.collect::<Vec<_>>().join(",")
    }
}

impl TryFrom<String> for Positions {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |part: &str| format!("{part:?} is no position after the ones before it");
        let mut positions = Positions::default();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) else {
                return Err(wrong(part));
            };
            let end = last.checked_add(1).ok_or_else(|| wrong(part))?;
            let after = positions.0.last().is_none_or(|before| before.end < first);
            if last < first || !after {
                return Err(wrong(part));
            }
            positions.0.push(first..end);
        }
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions(all: &[u32]) -> Positions {
        let mut positions = Positions::default();
        all.iter().for_each(|&position| positions.push(position));
        positions
    }

    #[test]
    fn positions_are_texts_and_come_back() {
        for (all, text) in [
            (&[][..], ""),
            (&[0], "0"),
            (&[3, 7, 8, 9], "3,7-9"),
            (&[0, 1, 4], "0-1,4"),
        ] {
            assert_eq!(String::from(positions(all)), text);
            assert_eq!(Positions::try_from(text.to_string()), Ok(positions(all)));
        }
        for wrong in ["a", "3,3", "4,2", "5-4", "1,2", "-1", "4294967295", "1,,3"] {
            let read = Positions::try_from(wrong.to_string());
            assert!(read.is_err(), "{wrong}: {read:?}");
        }
    }

    #[test]
    fn what_is_not_among_them_is_left() {
        let others = |all: &[u32], end| positions(all).others(end).collect::<Vec<_>>();
        assert_eq!(others(&[], 3), [0, 1, 2]);
        assert_eq!(others(&[0, 2, 3], 6), [1, 4, 5]);
        assert_eq!(others(&[0, 1], 2), [0; 0]);
        assert_eq!(positions(&[2, 3]).end(), 4);
    }
}
