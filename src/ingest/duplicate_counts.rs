//! Finds cells that another input or the dataset has under other names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::IngestError;
use super::cell_origins::{CellOrigin, CellOrigins};
use crate::chunk::NO_CONTENTS;
use crate::source::Inputs;

/// Cells of an input with the same counts as cells of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DuplicateCounts {
    /// Path of the input.
    pub path: PathBuf,
    /// Position of the input.
    pub input: usize,
    /// The other input, or a source of the dataset.
    pub other: String,
    /// Number of cells of the input concerned.
    pub cells: u64,
    /// One of them, and the cell that has the same counts.
    pub example: [String; 2],
}

impl fmt::Display for DuplicateCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [own, other] = &self.example;
        let (cells, have) = match self.cells {
            1 => ("1 cell".to_string(), "has"),
            cells => (format!("{cells} cells"), "have"),
        };
        let place = &self.other;
        write!(
            f,
            "{cells} {have} the counts of cells of {place}, such as {own:?} those of {other:?}"
        )
    }
}

/// The cells of one input that are like those of another place, and the first such two.
struct Alike {
    cells: u64,
    first: [u64; 2],
}

/// The hashes of what new cells hold, each with the number that the cell has in the dataset.
pub(super) struct NewContents(pub Vec<(u64, u32)>);

impl NewContents {
    /// Reserves memory for this many cells.
    pub fn with_room(cells: u64) -> Self {
        // The number is not trusted beyond this; the vector grows as needed.
        NewContents(Vec::with_capacity(cells.min(1 << 22) as usize))
    }

    /// Adds cells from `first` on. The plan has checked that their numbers fit 32 bits.
    pub fn add(&mut self, first: u64, hashes: &mut dyn Iterator<Item = u64>) {
        let hashes = (first..)
            .zip(hashes)
            .filter(|(_, hash)| *hash != NO_CONTENTS);
        self.0
            .extend(hashes.map(|(cell, hash)| (hash, cell as u32)));
    }

    /// Begins to compare the cells, first of all with each other.
    pub fn compared(mut self, places: CellOrigins<'_>) -> Compared<'_> {
        self.0.sort_unstable();
        let mut compared = Compared {
            places,
            seen: vec![0; self.0.len().div_ceil(64)],
            filter: Filter::of(self.0.iter().map(|(hash, _)| *hash)),
            hashes: Vec::new(),
            next: 0,
            alike: BTreeMap::new(),
        };
        for run in self.0.chunk_by(|a, b| a.0 == b.0) {
            for &(_, cell) in &run[1..] {
                let own = compared.places.input_of(cell);
                // Those of one input may well be alike.
                let mut before = run.iter().map(|(_, other)| *other);
                let other = before.find(|other| compared.places.input_of(*other) != own);
                if let Some(other) = other.filter(|other| *other < cell) {
                    let place = CellOrigin::Input(compared.places.input_of(other));
                    compared.note(cell, place, u64::from(other));
                }
            }
        }
        compared.hashes = self.0;
        compared
    }
}

/// State of the comparison of cells.
pub(super) struct Compared<'a> {
    places: CellOrigins<'a>,
    /// In ascending order.
    hashes: Vec<(u64, u32)>,
    filter: Filter,
    /// One bit per hash, set if the dataset contains it.
    seen: Vec<u64>,
    /// Next cell of the dataset.
    next: u64,
    alike: BTreeMap<(usize, CellOrigin), Alike>,
}

impl Compared<'_> {
    fn note(&mut self, cell: u32, place: CellOrigin, other: u64) {
        let at = (self.places.input_of(cell), place);
        let alike = self.alike.entry(at).or_insert(Alike {
            cells: 0,
            first: [u64::from(cell), other],
        });
        alike.cells += 1;
    }

    /// Compares with the next cells of the dataset.
    pub fn add(&mut self, hashes: &mut dyn Iterator<Item = u64>) {
        for hash in hashes {
            let cell = self.next;
            self.next += 1;
            if hash == NO_CONTENTS || !self.filter.may_have(hash) {
                continue;
            }
            let at = self.hashes.partition_point(|(known, _)| *known < hash);
            let bit = 1u64 << (at % 64);
            if self.hashes.get(at).is_none_or(|(known, _)| *known != hash)
                || self.seen[at / 64] & bit != 0
            {
                continue;
            }
            self.seen[at / 64] |= bit;
            let mut place = at;
            while let Some(&(_, own)) = self.hashes.get(place).filter(|(known, _)| *known == hash) {
                self.note(own, self.places.source_of(cell), cell);
                place += 1;
            }
        }
    }

    /// Returns the matches, with the names of example cells.
    pub fn named(
        &self,
        inputs: &Inputs,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Vec<DuplicateCounts>, IngestError> {
        let name = |place, cell| self.places.cell_id(place, cell, inputs, runtime);
        let found = self.alike.iter().map(|(&(input, place), alike)| {
            let [own, other] = alike.first;
            Ok(DuplicateCounts {
                path: self.places.plan.inputs[input].path.clone(),
                input,
                other: self.places.path(place).display().to_string(),
                cells: alike.cells,
                example: [name(CellOrigin::Input(input), own)?, name(place, other)?],
            })
        });
        found.collect()
    }
}

/// A filter that rejects most hashes that are not in a set.
pub(super) struct Filter {
    bits: Vec<u64>,
    shift: u32,
}

impl Filter {
    pub fn of(hashes: impl ExactSizeIterator<Item = u64>) -> Self {
        // Eight bits a hash.
        let size = (hashes.len() * 8).next_power_of_two().max(64);
        let mut filter = Filter {
            bits: vec![0; size / 64],
            shift: 64 - size.trailing_zeros(),
        };
        for hash in hashes {
            let at = (hash >> filter.shift) as usize;
            filter.bits[at / 64] |= 1 << (at % 64);
        }
        filter
    }

    pub fn may_have(&self, hash: u64) -> bool {
        let at = (hash >> self.shift) as usize;
        self.bits[at / 64] & (1 << (at % 64)) != 0
    }
}
