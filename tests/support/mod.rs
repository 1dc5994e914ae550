//! Shared by the tests: fixtures and their expectations, running the program, reading datasets.

pub mod converted;
pub mod dataset;
pub mod expectation;
pub mod h5ad_writer;
pub mod made_scales;
pub mod memory_source;
pub mod program;
pub mod python;
pub mod small;
pub mod soma;

use std::io::Write;
use std::path::PathBuf;

/// Path of a file or folder in the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Folder with files from other people, next to the repository; `None`, with a printed reason, if
/// it does not exist. If all tests are required, it must exist.
pub fn shared(what: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("SLAF_SHARED") {
        Some(root) => PathBuf::from(root),
        None => repository("../shared"),
    };
    let path = root.join(what);
    if path.exists() {
        return Some(path);
    }
    skipped(&format!(
        "there is no {} (SLAF_SHARED names the folder)",
        path.display()
    ));
    None
}

/// Prints why a test or a part of it is skipped, such that the harness shows it even for tests that
/// pass. If `SLAF_REQUIRE_ALL` is set, as in CI, nothing may be skipped.
pub fn skipped(why: &str) {
    let required = match std::env::var_os("SLAF_REQUIRE_ALL") {
        Some(value) => value != "0" && !value.is_empty(),
        None => std::env::var_os("CI").is_some(),
    };
    assert!(
        !required,
        "{why}; SLAF_REQUIRE_ALL=0 leaves such tests out, and says so"
    );
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not with `print!`, whose output the harness only shows for tests that fail.
    let _ = writeln!(std::io::stderr(), "LEFT OUT {test}: {why}");
}

/// Files and folders in a folder of fixtures that have an expectation next to them, in order.
pub fn described_fixtures(folder: &str) -> Vec<PathBuf> {
    let mut fixtures: Vec<PathBuf> = std::fs::read_dir(repository(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_none_or(|found| found != "json"))
        .filter(|path| path.with_extension("json").exists())
        .collect();
    fixtures.sort();
    assert!(!fixtures.is_empty(), "no fixtures in {folder}");
    fixtures
}

/// Files with this extension in a folder of fixtures, in order.
pub fn fixtures(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(repository(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no fixtures in {folder}");
    files
}
