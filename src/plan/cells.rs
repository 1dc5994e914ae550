//! Detection of duplicate inputs and cells.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::{BaseSurvey, PlanError};
use crate::source::Inputs;
use crate::survey::{Fingerprint, Survey};

/// What is compared to determine whether two inputs are the same.
#[derive(Clone, Copy)]
struct Content<'a> {
    path: &'a Path,
    matrix: &'a str,
    fingerprint: &'a Fingerprint,
}

impl<'a> Content<'a> {
    fn of(survey: &'a Survey) -> Self {
        Content {
            path: &survey.description.path,
            matrix: &survey.description.x.object,
            fingerprint: &survey.fingerprint,
        }
    }

    /// Whether both have the same cells, genes, number of entries and values, that is, the same
    /// matrix of the same file or of two files with identical bytes. The same content in another
    /// form is detected later, once the digests of all values are known.
    fn is(self, other: Content<'_>) -> bool {
        let [a, b] = [self, other].map(|of| {
            let Fingerprint {
                cells,
                genes,
                entries,
                ids,
                ..
            } = of.fingerprint;
            (of.matrix, *cells, *genes, *entries, ids)
        });
        let bytes = |of: Content<'_>| of.fingerprint.bytes;
        if a != b || self.fingerprint.cells == 0 || bytes(self) != bytes(other) {
            return false;
        }
        let unchanged = self.fingerprint.modified == other.fingerprint.modified;
        let real = |path: &Path| std::fs::canonicalize(path).unwrap_or(path.to_path_buf());
        if real(self.path) == real(other.path) {
            return unchanged;
        }
        files_equal(self.path, other.path)
    }
}

/// Whether two files have identical bytes. Folders and unreadable files count as different.
fn files_equal(a: &Path, b: &Path) -> bool {
    let open = |path: &Path| -> Option<BufReader<File>> {
        // Opening anything but a regular file may block forever.
        std::fs::metadata(path).ok().filter(|of| of.is_file())?;
        Some(BufReader::with_capacity(1 << 20, File::open(path).ok()?))
    };
    let (Some(mut a), Some(mut b)) = (open(a), open(b)) else {
        return false;
    };
    loop {
        let (Ok(left), Ok(right)) = (a.fill_buf(), b.fill_buf()) else {
            return false;
        };
        let length = left.len().min(right.len());
        if left[..length] != right[..length] {
            return false;
        }
        if length == 0 {
            return left.len() == right.len();
        }
        a.consume(length);
        b.consume(length);
    }
}

/// Refuses an input that is given twice or that the dataset already contains.
pub(super) fn check_sources(
    surveys: &[Survey],
    base: Option<&BaseSurvey>,
) -> Result<(), PlanError> {
    // Only inputs with equal identifiers are compared.
    let mut known: HashMap<&str, Vec<Content<'_>>> = HashMap::new();
    let sources = base.map_or(&[][..], |base| &base.sources);
    for source in sources {
        known
            .entry(&source.fingerprint.ids)
            .or_default()
            .push(Content {
                path: &source.path,
                matrix: &source.matrix,
                fingerprint: &source.fingerprint,
            });
    }
    let of_dataset: HashMap<&str, usize> =
        known.iter().map(|(ids, list)| (*ids, list.len())).collect();
    for survey in surveys {
        let own = Content::of(survey);
        let ids = survey.fingerprint.ids.as_str();
        let alike = known.entry(ids).or_default();
        if let Some(number) = alike.iter().position(|other| own.is(*other)) {
            let (path, first) = (own.path.to_path_buf(), alike[number].path.to_path_buf());
            return Err(if number < of_dataset.get(ids).copied().unwrap_or(0) {
                PlanError::SourceAgain { path, first }
            } else {
                PlanError::SourceTwice { path, first }
            });
        }
        alike.push(own);
    }
    Ok(())
}

/// Refuses cells whose identifier the dataset already contains.
pub(super) fn check_against(
    inputs: &Inputs,
    surveys: &[Survey],
    base: &BaseSurvey,
) -> Result<(), PlanError> {
    for (number, survey) in surveys.iter().enumerate() {
        let again = |hash: &&u64| base.cells_again.contains(hash);
        let count = survey.cell_hashes.iter().filter(again).count() as u64;
        if let Some(row) = survey.cell_hashes.iter().position(|hash| again(&hash)) {
            let row = row as u64;
            let ids = inputs.get(number)?.obs_names(row..row + 1)?;
            return Err(PlanError::CellsTwice {
                path: survey.description.path.clone(),
                first: base.path.clone(),
                count,
                example: ids.value(0).to_string(),
            });
        }
    }
    Ok(())
}

/// Refuses cells of different inputs that have the same identifier.
pub(super) fn check_cells(inputs: &Inputs, surveys: &[Survey]) -> Result<(), PlanError> {
    let mut all: Vec<(u64, u32)> = Vec::new();
    for (number, survey) in (0u32..).zip(surveys) {
        all.extend(survey.cell_hashes.iter().map(|&hash| (hash, number)));
    }
    all.sort_unstable();
    all.dedup();
    // Per input: number of cells that an earlier input also has, and one of them.
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
        example: source.obs_names(row..row + 1)?.value(0).to_string(),
    })
}
