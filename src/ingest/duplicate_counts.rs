//! Finds cells that another input or the dataset has under other names.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde::Serialize;

use super::IngestError;
use crate::chunk::NO_CONTENTS;
use crate::dataset::{Dataset, SourceNote};
use crate::plan::Plan;
use crate::source::Inputs;
use crate::table::{RowReader, TableError, TableName};

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

/// Where a matching cell is: in an input, or in a source of the dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Source(Option<usize>),
    Input(usize),
}

/// Number of cells of one input that match cells of another place, and the first such pair.
struct Alike {
    cells: u64,
    first: [u64; 2],
}

/// Content hashes of new cells, each with the cell's number in the dataset.
pub(super) struct NewContents(Vec<(u64, u32)>);

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

    /// Starts the comparison by comparing the cells with each other.
    pub fn compared<'a>(mut self, plan: &'a Plan, sources: &'a [SourceNote]) -> Compared<'a> {
        self.0.sort_unstable();
        let mut compared = Compared {
            plan,
            sources,
            seen: vec![0; self.0.len().div_ceil(64)],
            filter: Filter::of(&self.0),
            hashes: Vec::new(),
            next: 0,
            alike: BTreeMap::new(),
        };
        for run in self.0.chunk_by(|a, b| a.0 == b.0) {
            for &(_, cell) in &run[1..] {
                let own = compared.input_of(cell);
                // Duplicates within one input are not reported.
                let mut before = run.iter().map(|(_, other)| *other);
                let other = before.find(|other| compared.input_of(*other) != own);
                if let Some(other) = other.filter(|other| *other < cell) {
                    let place = Place::Input(compared.input_of(other));
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
    plan: &'a Plan,
    sources: &'a [SourceNote],
    /// Sorted.
    hashes: Vec<(u64, u32)>,
    filter: Filter,
    /// One bit per hash, set if the dataset contains it.
    seen: Vec<u64>,
    /// Next cell of the dataset.
    next: u64,
    alike: BTreeMap<(usize, Place), Alike>,
}

impl Compared<'_> {
    fn input_of(&self, cell: u32) -> usize {
        let inputs = &self.plan.inputs;
        let after = inputs.partition_point(|input| input.cells.end <= u64::from(cell));
        after.min(inputs.len().saturating_sub(1))
    }

    fn source_of(&self, cell: u64) -> Place {
        let after = self
            .sources
            .partition_point(|source| source.first_cell <= cell);
        Place::Source(after.checked_sub(1))
    }

    fn note(&mut self, cell: u32, place: Place, other: u64) {
        let at = (self.input_of(cell), place);
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
                self.note(own, self.source_of(cell), cell);
                place += 1;
            }
        }
    }

    /// Returns the matches, with the names of example cells.
    pub fn named(
        &self,
        inputs: &Inputs,
        before: Option<&Dataset>,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Vec<DuplicateCounts>, IngestError> {
        let name = |input: usize, cell: u64| -> Result<String, IngestError> {
            let own = cell - self.plan.inputs[input].cells.start;
            let ids = inputs.get(input)?.obs_names(own..own + 1)?;
            Ok(ids.value(0).to_string())
        };
        let mut all = Vec::new();
        for (&(input, place), alike) in &self.alike {
            let [own, other] = alike.first;
            let (path, other) = match (place, before) {
                (Place::Input(number), _) => {
                    let path = self.plan.inputs[number].path.display().to_string();
                    (path, name(number, other)?)
                }
                (Place::Source(source), Some(before)) => {
                    let source = source.and_then(|source| self.sources.get(source));
                    let path = source.map_or(before.path(), |source| &source.path);
                    let id = runtime.block_on(cell_id(before, other))?;
                    (path.display().to_string(), id)
                }
                (Place::Source(_), None) => continue,
            };
            all.push(DuplicateCounts {
                path: self.plan.inputs[input].path.clone(),
                input,
                other: path,
                cells: alike.cells,
                example: [name(input, own)?, other],
            });
        }
        Ok(all)
    }
}

/// Reads the name of a cell of a dataset.
async fn cell_id(dataset: &Dataset, cell: u64) -> Result<String, IngestError> {
    let table = dataset.table(TableName::Cells).await?;
    let path = dataset.path().join(TableName::Cells.folder());
    let mut rows = RowReader::over(&table, &path, Some(cell..cell + 1)).await?;
    let batch = rows.next().await?;
    let ids = batch
        .as_ref()
        .and_then(|batch| batch.column_by_name("cell_id"));
    let Some(ids) = ids.filter(|ids| !ids.is_empty()) else {
        return Ok(format!("cell {cell}"));
    };
    let ids = cast(ids, &DataType::Utf8).map_err(|source| TableError::Arrow { path, source })?;
    Ok(ids.as_string::<i32>().value(0).to_string())
}

/// A filter that rejects most hashes that are not in a set.
struct Filter {
    bits: Vec<u64>,
    shift: u32,
}

impl Filter {
    fn of(hashes: &[(u64, u32)]) -> Self {
        // Eight bits per hash.
        let size = (hashes.len() * 8).next_power_of_two().max(64);
        let mut filter = Filter {
            bits: vec![0; size / 64],
            shift: 64 - size.trailing_zeros(),
        };
        for (hash, _) in hashes {
            let at = (hash >> filter.shift) as usize;
            filter.bits[at / 64] |= 1 << (at % 64);
        }
        filter
    }

    fn may_have(&self, hash: u64) -> bool {
        let at = (hash >> self.shift) as usize;
        self.bits[at / 64] & (1 << (at % 64)) != 0
    }
}
