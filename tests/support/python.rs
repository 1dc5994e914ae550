//! The Python environment of the oracles.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::repository;

/// The interpreter that has fixtures/requirements.txt installed; `None`, with a printed reason,
/// where `SLAF_PYTHON` does not name one. Where all tests are required it must.
fn interpreter() -> Option<PathBuf> {
    match std::env::var_os("SLAF_PYTHON") {
        Some(python) => Some(python.into()),
        None => {
            super::skipped("SLAF_PYTHON does not name a Python with fixtures/requirements.txt");
            None
        }
    }
}

/// Runs a script of tests/python and returns what it printed, with its success.
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

/// Compares datasets with the files they were made from, by anndata and pylance.
pub fn compare(pairs: &[(PathBuf, PathBuf)]) {
    compare_with(pairs, &[]);
}

/// Likewise, with flags of compare.py.
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
