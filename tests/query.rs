//! Promise: a query gets the rows that SQL says, whatever is read for it, and changes nothing.

mod examples;
mod functions;
mod looks;
mod output;
mod pruning;
mod pseudobulk;
mod refused;

use std::path::{Path, PathBuf};

use crate::support::program::{Run, slaf};
use crate::support::{python, repository};

/// The program's answer to a query about one dataset.
pub fn ask(dataset: &Path, sql: &str, flags: &[&str]) -> Run {
    Run::of(slaf(&["query"]).arg(dataset).arg(sql).args(flags))
}

/// The rows of an answer, without the header.
pub fn rows(dataset: &Path, sql: &str) -> Vec<String> {
    let run = ask(dataset, sql, &[]).succeeded();
    run.stdout.lines().skip(1).map(String::from).collect()
}

/// A fixture as a dataset.
pub fn converted(folder: &Path, fixture: &str, name: &str, flags: &[&str]) -> PathBuf {
    let dataset = folder.join(name);
    let input = repository("fixtures").join(fixture);
    let mut convert = slaf(&["convert", "-q"]);
    Run::of(convert.arg(input).arg(&dataset).args(flags)).succeeded();
    dataset
}

/// Random queries, many with joins and a table joined with itself, get the rows that DuckDB finds in
/// the same files; in both kinds of types, in many fragments, and in datasets of the reference.
#[test]
fn answers_are_those_of_another_engine() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let mut datasets = vec![
        converted(here, "h5ad/demo.h5ad", "narrow.slaf", &[]),
        converted(
            here,
            "h5ad/demo.h5ad",
            "signed.slaf",
            &["--dtypes", "signed"],
        ),
        converted(
            here,
            "h5ad/demo.h5ad",
            "parts.slaf",
            &["--fragment-rows", "500"],
        ),
    ];
    for variant in ["default", "signed"] {
        let dataset = here.join(format!("reference_{variant}.slaf"));
        let input = repository("fixtures/h5ad/demo.h5ad");
        let Some((made, text)) =
            python::run("reference.py", [Path::new(variant), &dataset, &input])
        else {
            return;
        };
        assert!(made, "{text}");
        datasets.push(dataset);
    }
    for (seed, dataset) in datasets.iter().enumerate() {
        let seed = seed.to_string();
        let program = Path::new(env!("CARGO_BIN_EXE_slaf"));
        let arguments = [program, dataset, Path::new(&seed), Path::new("40")];
        if let Some((same, text)) = python::run("query_oracle.py", arguments) {
            assert!(same, "{}: {text}", dataset.display());
            assert!(text.contains("40 queries, 0 different"), "{text}");
        }
    }
}
