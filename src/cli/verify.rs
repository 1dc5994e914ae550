//! `slaf verify`

use std::fmt::Write as _;

use indicatif::HumanCount;

use super::allocator;
use super::arguments::{Verbosity, VerifyArguments};
use super::bars::{Bars, ProgressForm};
use super::looping_files::give_up_on_stuck_files;
use super::report::print;
use super::settings::{enough_memory, threads_or_all};
use super::signals::{Interrupted, end_when_asked};
use crate::dataset::{ConfigUse, Dataset};
use crate::error::Error;
use crate::ingest::affordable_threads;
use crate::progress::Event;
use crate::source::{OpenOptions, discover};
use crate::verify::{KnownInputs, Resources, Verification, verify};

/// Verifies a dataset and tells what is wrong with it.
pub(super) fn run(arguments: &VerifyArguments, verbosity: Verbosity) -> Result<(), Error> {
    let memory = enough_memory(arguments.memory)?;
    // Rows come and go in many small pieces: kept for a second, they would add up.
    allocator::give_back_soon();
    give_up_on_stuck_files();
    end_when_asked(Interrupted::Nothing);
    let threads = affordable_threads(threads_or_all(arguments.threads), memory);
    ConfigUse::Read.check(&arguments.dataset, memory)?;
    let dataset = Dataset::open(&arguments.dataset)?;
    let mut known = KnownInputs::of(
        &dataset,
        OpenOptions {
            memory,
            threads,
            scratch: arguments
                .scratch_dir
                .clone()
                .unwrap_or_else(std::env::temp_dir),
            ..OpenOptions::default()
        },
    );
    for path in &arguments.against {
        // What a folder or an archive held when it was converted, or, in another place, holds now.
        if !known.add_below(path) {
            for found in discover(path, &known.discovery(path))?.inputs {
                known.add(&found)?;
            }
        }
    }
    let against = known.into_inputs();
    let resources = Resources { memory, threads };
    let bars = Bars::new(ProgressForm::of(arguments.progress, verbosity));
    let rows = dataset.config().metadata.expression_count;
    // Its categories may be many, and it is opened again.
    drop(dataset);
    allocator::give_back();
    bars.begin("verifying", rows.saturating_mul(1 + against.len() as u64));
    let verification = verify(&arguments.dataset, &against, resources, &|event: Event<
        '_,
    >| {
        bars.show(event);
    })?;
    bars.clear();
    if arguments.json {
        let json = serde_json::to_string_pretty(&verification).map_err(std::io::Error::from)?;
        print(&(json + "\n"))?;
    } else if verbosity != Verbosity::Quiet {
        print(&text(arguments, &verification))?;
    }
    if verification.problems.is_empty() {
        return Ok(());
    }
    Err(Error::Verification {
        path: arguments.dataset.clone(),
        problems: verification.problems.count,
    })
}

fn text(arguments: &VerifyArguments, verification: &Verification) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    for problem in verification.problems.examples() {
        let _ = writeln!(text, "{problem}");
    }
    let shown = verification.problems.examples().len() as u64;
    if verification.problems.count > shown {
        let more = verification.problems.count - shown;
        let _ = writeln!(text, "and {} more of the same kinds", HumanCount(more));
    }
    for undescribed in &verification.undescribed {
        let _ = writeln!(text, "not described: {undescribed}");
    }
    if verification.problems.is_empty() {
        let _ = writeln!(
            text,
            "{}: {} cells, {} genes and {} rows are as they should be{}{}",
            arguments.dataset.display(),
            HumanCount(verification.cells),
            HumanCount(verification.genes),
            HumanCount(verification.rows),
            match verification.inputs {
                0 => String::new(),
                1 => ", and as its input has them".into(),
                inputs => format!(", and as {inputs} inputs have them"),
            },
            if verification.digests {
                ""
            } else {
                " (it has no digests: slaf did not write it)"
            }
        );
    }
    text
}
