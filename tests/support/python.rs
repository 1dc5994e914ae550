//! Python environment of the reference readers.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::repository;

/// Returns the interpreter in which fixtures/requirements.txt is installed; `None`, with a printed
/// reason, if `SLAF_PYTHON` is not set. If all tests are required, it must be.
fn interpreter() -> Option<PathBuf> {
    match std::env::var_os("SLAF_PYTHON") {
        Some(python) => Some(python.into()),
        None => {
            super::skipped("SLAF_PYTHON does not name a Python with fixtures/requirements.txt");
            None
        }
    }
}

/// Runs a script of tests/python. Returns whether it succeeded and what it printed.
pub fn run<'a>(
    script: &str,
    arguments: impl IntoIterator<Item = &'a Path>,
) -> Option<(bool, String)> {
    let output = Command::new(interpreter()?)
        .arg(repository("tests/python").join(script))
        .args(arguments)
        .output()
        .unwrap();
    let text =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Some((output.status.success(), text.concat()))
}

/// Compares datasets with the files they were made from, using anndata and pylance.
pub fn compare(pairs: &[(PathBuf, PathBuf)]) {
    compare_with(pairs, &[]);
}

/// Like [`compare`], with flags of compare.py.
pub fn compare_with(pairs: &[(PathBuf, PathBuf)], flags: &[PathBuf]) {
    let paths = pairs
        .iter()
        .flat_map(|(input, dataset)| [input.as_path(), dataset.as_path()]);
    if let Some((same, text)) = run(
        "compare.py",
        flags.iter().map(PathBuf::as_path).chain(paths),
    ) {
        let different: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with("ok "))
            .collect();
        assert!(same, "{}", different.join("\n"));
        assert_eq!(
            text.lines().filter(|line| line.starts_with("ok ")).count(),
            pairs.len()
        );
    }
}
