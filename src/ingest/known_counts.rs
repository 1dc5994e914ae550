//! Leaving out cells whose counts are there already, before a plan is made.
//!
//! A cell is left out where the dataset, or an earlier input, has one that holds the same: by the hash
//! that datasets keep, which knows genes by their identities, and by another of the genes' numbers,
//! which is computed of the entries themselves on both sides. Alone, neither is enough.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, UInt32Type};

use super::cell_origins::{CellOrigin, CellOrigins};
use super::counts_of_inputs::{read_all, runtime};
use super::duplicate_counts::{DuplicateCounts, Filter};
use super::genes::DatasetGenes;
use super::known_rows::{Candidate, Rows};
use super::{IngestError, cell_rows};
use crate::chunk::{CooBatch, contents_by_number};
use crate::dataset::Dataset;
use crate::plan::{BaseSurvey, Duplicates, Plan, PlanOptions, SameCounts};
use crate::source::{Inputs, KnownCells, KnownFrom, Positions};
use crate::survey::Survey;

/// A new cell and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Content {
    pub hash: u64,
    pub by_number: u64,
    pub cell: u32,
}

impl Content {
    fn of(cell: u32, hash: u64, batch: &CooBatch, rows: std::ops::Range<usize>) -> Self {
        let genes = batch.gene_ids.as_primitive::<UInt32Type>().values();
        let values = batch.values.as_primitive::<Float64Type>().values();
        let entries = genes[rows.clone()].iter().zip(&values[rows]);
        Content {
            hash,
            by_number: contents_by_number(entries.map(|(&gene, &value)| (gene, value))),
            cell,
        }
    }
}

impl DuplicateCounts {
    /// Reads all inputs, and has cells left out of them whose counts the dataset or an earlier input
    /// has, where that is asked for. Inputs are opened and surveyed anew if they lose some. Returns
    /// what was found.
    ///
    /// # Errors
    /// Those of planning and reading.
    pub fn leave_out(
        inputs: &mut Inputs,
        surveys: &mut [Survey],
        options: &PlanOptions,
        before: Option<(&Dataset, &BaseSurvey)>,
        threads: usize,
    ) -> Result<Vec<Self>, IngestError> {
        take_back(inputs, surveys)?;
        let alone = surveys.len() < 2 && before.is_none();
        if options.same_counts != SameCounts::Drop || alone {
            return Ok(Vec::new());
        }
        // Those of the same names may be among them.
        let options = PlanOptions {
            duplicate_cells: Duplicates::Allow,
            ..options.clone()
        };
        let plan = match before {
            None => Plan::new(inputs, surveys, &options)?,
            Some((_, base)) => Plan::append(inputs, surveys, &options, base)?,
        };
        let places = CellOrigins {
            plan: &plan,
            before: before.map(|(dataset, _)| dataset),
        };
        let mut found = Vec::new();
        for (number, known) in find(inputs, &places, threads)? {
            let path = &surveys[number].description.path;
            found.extend(known.of.iter().map(|from| DuplicateCounts {
                path: path.clone(),
                input: number,
                other: from.source_file.clone(),
                cells: from.cells,
                example: from.example.clone(),
            }));
            again(inputs, number, &mut surveys[number], Some(known))?;
        }
        Ok(found)
    }
}

/// Makes inputs whole again, of which cells were left out for another state of the dataset.
fn take_back(inputs: &mut Inputs, surveys: &mut [Survey]) -> Result<(), IngestError> {
    for (number, survey) in surveys.iter_mut().enumerate() {
        if inputs.options(number).known_cells.is_some() {
            again(inputs, number, survey, None)?;
        }
    }
    Ok(())
}

/// Opens and surveys an input again, without these cells. It must be what it was.
fn again(
    inputs: &mut Inputs,
    number: usize,
    survey: &mut Survey,
    known: Option<KnownCells>,
) -> Result<(), IngestError> {
    inputs.change(number, |open| open.known_cells = known);
    let new = Survey::of_input(inputs, number)?;
    let path = &survey.description.path;
    survey
        .fingerprint
        .check_unchanged(path, &inputs.files(number)?)?;
    *survey = new;
    Ok(())
}

/// The cells of each input that are known from elsewhere.
fn find(
    inputs: &Inputs,
    places: &CellOrigins<'_>,
    threads: usize,
) -> Result<BTreeMap<usize, KnownCells>, IngestError> {
    let runtime = runtime(threads)?;
    let (plan, before) = (places.plan, places.before);
    let genes = DatasetGenes::of(inputs, plan, before, &runtime)?;
    let mut new = read_all(inputs, plan, &genes, threads, &Content::of)?;
    new.sort_unstable();
    let of_dataset = match before {
        None => Vec::new(),
        Some(before) => {
            let rows = Rows {
                dataset: before,
                identities: &genes.identities,
                new: &new,
            };
            of_dataset(&rows, &runtime)?
        }
    };
    let mut known: Vec<(u32, CellOrigin, u64)> = Vec::new();
    for run in new.chunk_by(|a, b| (a.hash, a.by_number) == (b.hash, b.by_number)) {
        let key = (run[0].hash, run[0].by_number);
        let at = of_dataset.partition_point(|found| (found.hash, found.by_number) < key);
        let found = of_dataset.get(at);
        let found = found.filter(|found| (found.hash, found.by_number) == key);
        // Cells of one input may well be alike.
        let (place, other) = match found {
            Some(found) => (places.source_of(found.cell), found.cell),
            None => {
                let first = run[0].cell;
                (CellOrigin::Input(places.input_of(first)), u64::from(first))
            }
        };
        let here = run.iter().map(|content| content.cell);
        let elsewhere = here.filter(|&cell| CellOrigin::Input(places.input_of(cell)) != place);
        known.extend(elsewhere.map(|cell| (cell, place, other)));
    }
    drop(new);
    known.sort_unstable();
    let mut all: BTreeMap<usize, KnownCells> = BTreeMap::new();
    for (cell, place, other) in known {
        let input = places.input_of(cell);
        let position = u64::from(cell) - plan.inputs[input].cells.start;
        let known = all.entry(input).or_insert_with(|| KnownCells {
            cells: Positions::default(),
            of: Vec::new(),
        });
        // It is smaller than the cell.
        known.cells.push(position as u32);
        let source_file = places.source_file(place);
        match known.of.iter_mut().find(|of| of.source_file == source_file) {
            Some(from) => from.cells += 1,
            None => {
                let name = |place, cell| places.cell_id(place, cell, inputs, runtime.handle());
                let own = name(CellOrigin::Input(input), u64::from(cell))?;
                known.of.push(KnownFrom {
                    source_file,
                    cells: 1,
                    example: [own, name(place, other)?],
                });
            }
        }
    }
    Ok(all)
}

/// What cells of the dataset hold that new ones hold, each once, in the order of the hashes.
fn of_dataset(
    rows: &Rows<'_>,
    runtime: &tokio::runtime::Runtime,
) -> Result<Vec<Candidate>, IngestError> {
    let dataset = rows.dataset;
    let files = dataset.config().hashes_of_all_cells();
    let files = match files {
        Some(files) if dataset.has_contents(files)? => Some(files),
        _ => None,
    };
    let mut found = None;
    if let Some(files) = files {
        let candidates = candidates(rows.new, |show| Ok(dataset.read_contents(files, show)?))?;
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        found = runtime.block_on(rows.at_starts(&candidates))?;
    }
    let mut found = match found {
        Some(found) => found,
        // Nothing tells what cells hold, or where their rows are.
        None => runtime.block_on(async {
            let order = cell_rows::order(dataset).await?;
            rows.all(order).await
        })?,
    };
    found.sort_unstable();
    found.dedup_by_key(|found| (found.hash, found.by_number));
    Ok(found)
}

/// The cells of the dataset that may hold what new ones do, by the hashes that are kept of them: the
/// first of each hash.
fn candidates(
    new: &[Content],
    read: impl FnOnce(&mut dyn FnMut(&mut dyn Iterator<Item = u64>)) -> Result<(), IngestError>,
) -> Result<Vec<(u64, u64)>, IngestError> {
    let filter = Filter::of(new.iter().map(|content| content.hash));
    let mut seen = vec![0u64; new.len().div_ceil(64)];
    let (mut next, mut found) = (0, Vec::new());
    read(&mut |hashes| {
        for hash in hashes {
            let cell = next;
            next += 1;
            if !filter.may_have(hash) {
                continue;
            }
            let at = new.partition_point(|content| content.hash < hash);
            let bit = 1u64 << (at % 64);
            if new.get(at).is_some_and(|content| content.hash == hash) && seen[at / 64] & bit == 0 {
                seen[at / 64] |= bit;
                found.push((cell, hash));
            }
        }
    })?;
    Ok(found)
}
