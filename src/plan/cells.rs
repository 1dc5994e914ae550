//! Inputs and cells that occur twice.

use std::path::Path;

use super::PlanError;
use crate::source::Inputs;
use crate::survey::Survey;

/// Refuses the same input twice: the same cells, genes and number of entries.
pub(super) fn check_sources(surveys: &[Survey]) -> Result<(), PlanError> {
    for (number, survey) in surveys.iter().enumerate() {
        let same = |other: &&Survey| {
            let (a, b) = (&survey.fingerprint, &other.fingerprint);
            (a.cells, a.genes, a.entries, &a.ids) == (b.cells, b.genes, b.entries, &b.ids)
                && a.cells > 0
        };
        if let Some(first) = surveys[..number].iter().find(same) {
            return Err(PlanError::SourceTwice {
                path: survey.description.path.clone(),
                first: first.description.path.clone(),
            });
        }
    }
    Ok(())
}

/// Refuses cells of two inputs that have one identifier.
pub(super) fn check_cells(inputs: &Inputs, surveys: &[Survey]) -> Result<(), PlanError> {
    let mut all: Vec<(u64, u32)> = Vec::new();
    for (number, survey) in (0u32..).zip(surveys) {
        all.extend(survey.cell_hashes.iter().map(|&hash| (hash, number)));
    }
    all.sort_unstable();
    all.dedup();
    // By input: cells that an earlier input has, too, and one of them.
    let mut worst: Option<(u32, u32, u64)> = None;
    let mut counts = vec![0u64; surveys.len()];
    for pair in all.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        counts[pair[1].1 as usize] += 1;
        if worst.is_none_or(|(_, second, _)| pair[1].1 < second) {
            worst = Some((pair[0].1, pair[1].1, pair[0].0));
        }
    }
    let Some((first, second, hash)) = worst else {
        return Ok(());
    };
    let (first, second) = (first as usize, second as usize);
    let source = inputs.get(second)?;
    let hashes = &surveys[second].cell_hashes;
    let row = hashes.iter().position(|&other| other == hash).unwrap_or(0) as u64;
    let path = |number: usize| -> &Path { &surveys[number].description.path };
    Err(PlanError::CellsTwice {
        path: path(second).to_path_buf(),
        first: path(first).to_path_buf(),
        count: counts[second],
        example: source.cell_ids(row..row + 1)?.value(0).to_string(),
    })
}
