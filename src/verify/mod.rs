//! Is a dataset what it says it is, and what its inputs say?
//!
//! A verification reads everything again: the tables with their files, identifiers, order and
//! digests, and, if they are given, the inputs, value by value. It changes nothing.

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
mod ordered;
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
use crate::table::TableName;

/// Bytes for the program, Lance and the tables, beside chunks of inputs.
const OWN_MEMORY: u64 = 192 << 20;

/// What a verification may use.
#[derive(Debug, Clone, Copy)]
pub struct Resources {
    /// Bytes in all.
    pub memory: u64,
    /// Threads that read inputs.
    pub threads: usize,
}

/// What a verification found.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Verification {
    pub cells: u64,
    pub genes: u64,
    /// Rows of all tables of non-zeros that were read.
    pub rows: u64,
    /// Whether the dataset has digests, which those of other writers lack.
    pub digests: bool,
    /// The inputs that were compared.
    pub inputs: u64,
    /// What other programs have added since the dataset was described, of which nothing is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub undescribed: Vec<String>,
    #[serde(flatten)]
    pub problems: Problems,
}

/// Verifies the dataset in a folder, by itself and against inputs.
///
/// # Errors
/// [`VerifyError`] where there is nothing that could be verified: no dataset, or one in its first
/// conversion. What is wrong with a dataset is no error, but a [`Problem`].
pub fn verify(
    path: &Path,
    against: &[KnownInput],
    resources: Resources,
    progress: &dyn Progress,
) -> Result<Verification, VerifyError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| VerifyError::Threads { source })?;
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
            // One is open at a time.
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
