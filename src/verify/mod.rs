//! Verifies that a dataset is intact and has the contents of its inputs.
//!
//! A verification reads everything again: the tables with their files, identifiers, order and
//! digests, and, if given, the inputs, value by value. It changes nothing.

mod against;
mod cell_hashes;
mod changed;
mod columns;
mod cursor;
mod entries;
mod error;
mod files;
mod frames;
mod genes;
mod known_inputs;
mod problem;

use std::collections::BTreeMap;
use std::path::Path;

use against::{Against, Comparison};
pub use error::VerifyError;
use files::Snapshot;
pub use known_inputs::{KnownInput, KnownInputs};
pub use problem::{Problem, Problems};

use crate::plan::ShardTable;
use crate::progress::Progress;
use crate::source;
use crate::table::{TableName, runtime};

/// Number of bytes for the program, Lance and the tables, not counting chunks of inputs.
const OWN_MEMORY: u64 = 192 << 20;

/// Resources of a verification.
#[derive(Debug, Clone, Copy)]
pub struct Resources {
    /// Total number of bytes of memory.
    pub memory: u64,
    /// Number of threads that read inputs.
    pub threads: usize,
}

/// Result of a verification.
#[derive(Debug, Clone, serde::Serialize)]
#[non_exhaustive]
#[must_use]
pub struct Verification {
    /// Number of cells.
    pub cells: u64,
    /// Number of genes.
    pub genes: u64,
    /// Number of rows read from all tables of non-zeros.
    pub rows: u64,
    /// Whether the dataset has digests, which datasets of other writers lack.
    pub digests: bool,
    /// Number of inputs that were compared.
    pub inputs: u64,
    /// Descriptions of what other programs have added since the dataset was described; not checked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undescribed: Vec<String>,
    /// Problems that were found.
    #[serde(flatten)]
    pub problems: Problems,
}

/// Verifies the dataset in a folder, by itself and against inputs.
///
/// # Errors
/// [`VerifyError`] if nothing can be verified: there is no dataset, or its first conversion is not
/// finished. Defects of a dataset are not errors but [`Problem`]s.
pub fn verify(
    path: &Path,
    against: &[KnownInput],
    resources: Resources,
    progress: &dyn Progress,
) -> Result<Verification, VerifyError> {
    let runtime = runtime(resources.threads).map_err(|source| VerifyError::Threads { source })?;
    let mut problems = Problems::default();
    let Snapshot {
        dataset,
        tables,
        undescribed,
    } = runtime.block_on(files::snapshot(path, &mut problems))?;
    let mut verification = Verification {
        cells: dataset.config().array_shape[0],
        genes: dataset.config().array_shape[1],
        rows: 0,
        digests: !dataset.config().digests.is_empty(),
        inputs: against.len() as u64,
        undescribed,
        problems: Problems::default(),
    };
    let frames = runtime.block_on(frames::check(&dataset, &tables, &mut problems))?;
    if let Some(frames) = &frames {
        let mut rows = BTreeMap::new();
        for table in ShardTable::ALL {
            if let Some(open) = tables.get(&TableName::from(table)) {
                let check = entries::Check {
                    dataset: &dataset,
                    frames,
                    table,
                    progress,
                };
                let name = TableName::from(table);
                let found = runtime.block_on(check.run(open, &mut problems));
                if let Some(found) = problems.unread(name.key(), found)? {
                    verification.rows += found.count;
                    rows.insert(name, found);
                }
            }
        }
        let comparison = Comparison {
            dataset: &dataset,
            tables: &tables,
            frames,
            rows: &rows,
            progress,
            runtime: runtime.handle(),
        };
        for input in against {
            let place = input.path.display().to_string();
            // Only one input is open at a time.
            let source = source::open(&input.path, &input.open)?;
            let one = Against {
                source: &*source,
                number: input.number,
                threads: resources.threads.max(1),
                memory: resources.memory.saturating_sub(OWN_MEMORY) / 2,
            };
            let compared = one.check(&comparison, &mut problems);
            problems.unread(&place, compared)?;
        }
    }
    verification.problems = problems;
    Ok(verification)
}
