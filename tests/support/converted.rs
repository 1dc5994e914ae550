//! Fixtures as datasets, each converted once per process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use slaf::ingest::{Job, OverwritePolicy, ResumePolicy, RunOptions};
use slaf::plan::{Duplicates, Plan, PlanOptions};
use slaf::source::{Format, Inputs, OpenOptions};
use slaf::survey::Survey;

use super::expectation::Options;
use super::soma::unpacked;

/// Returns how a fixture is opened; its format follows from its folder.
pub fn input_of(fixture: &Path, options: &Options) -> (PathBuf, OpenOptions) {
    let folder = fixture.parent().unwrap().file_name().unwrap();
    let format = match folder.to_str().unwrap() {
        "h5ad" => Format::named("h5ad"),
        "10x_h5" => Format::named("10x-h5"),
        "soma" => return (unpacked(fixture), options.of(Format::named("soma"))),
        _ => Format::named("10x-mtx"),
    };
    (fixture.to_path_buf(), options.of(format))
}

/// Converts an input in this process.
pub fn convert(
    input: &Path,
    open: OpenOptions,
    output: &Path,
    plan: PlanOptions,
) -> Result<(), String> {
    let text = |error: &dyn std::error::Error| slaf::error::in_one_line(error);
    let inputs = Inputs::of_paths([(input.to_path_buf(), open)]);
    let surveys = Survey::of_all(&inputs, 1).map_err(|e| text(&e))?;
    let plan = Plan::new(&inputs, &surveys, &plan).map_err(|e| text(&e))?;
    let run = RunOptions {
        threads: 2,
        memory: 256 << 20,
        chunk_cells: u64::MAX,
        existing: OverwritePolicy::Refuse,
        earlier: ResumePolicy::Resume,
        wait: slaf::store::LockPolicy::No,
    };
    let job = Job::begin(plan, output, run).map_err(|e| text(&e))?;
    let finished = job.run(&inputs, &()).map_err(|e| text(&e))?;
    finished.close().map_err(|e| text(&e))
}

/// Plan options that allow any fixture.
pub fn permissive() -> PlanOptions {
    PlanOptions {
        duplicate_cells: Duplicates::Allow,
        ..PlanOptions::default()
    }
}

/// Returns a fixture as a dataset, or why it cannot be one.
pub fn converted(fixture: &Path, options: &Options) -> Result<PathBuf, String> {
    static FOLDER: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());
    type Known = BTreeMap<PathBuf, Result<PathBuf, String>>;
    static KNOWN: Mutex<Known> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let number = known.len();
    let made = known.entry(fixture.to_path_buf()).or_insert_with(|| {
        let output = FOLDER.path().join(format!("{number}.slaf"));
        let (input, open) = input_of(fixture, options);
        convert(&input, open, &output, permissive()).map(|()| output)
    });
    made.clone()
}
