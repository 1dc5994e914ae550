//! Promise: every hash that is written matches a second implementation in plain Python.

use std::path::{Path, PathBuf};

use crate::support::program::{Run, slaf};
use crate::support::{python, repository};

/// Has the hashes recomputed. Returns the kinds that were found.
fn checked(arguments: &[&Path]) -> Option<Vec<String>> {
    let (same, text) = python::run("written_hashes.py", arguments.iter().copied())?;
    assert!(same && text.ends_with("ok\n"), "{arguments:?}: {text}");
    let kinds = text.lines().filter_map(|line| line.split_once(": "));
    Some(kinds.map(|(kind, _)| kind.to_string()).collect())
}

fn fixture(name: &str) -> PathBuf {
    repository(&format!("fixtures/{name}"))
}

#[test]
fn of_datasets() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let everything = fixture("h5ad/everything.h5ad");
    let kinds: [(&[&str], &[&str]); 8] = [
        (&["h5ad/demo.h5ad"], &[]),
        (
            &["h5ad/everything.h5ad"],
            &["--dtypes=signed", "--compression=zstd"],
        ),
        (&["h5ad/columns_kinds.h5ad"], &[]),
        (&["h5ad/columns_numbers.h5ad"], &[]),
        (&["h5ad/x_nan_inf.h5ad"], &[]),
        (&["h5ad/names_dots.h5ad"], &[]),
        (&["10x_h5/v3_ensembl.h5"], &["--gene-id=symbol"]),
        (
            &["10x_h5/v3.h5", "10x_mtx/v2"],
            &[
                "--join=outer",
                "--var-join=outer",
                "--cell-id-prefix={source}-",
            ],
        ),
    ];
    let mut seen = Vec::new();
    for (inputs, flags) in kinds {
        let mut command = slaf(&["convert", "-q", "--overwrite"]);
        command.args(inputs.iter().map(|name| fixture(name)));
        Run::of(command.arg(&output).args(flags)).succeeded();
        let Some(kinds) = checked(&[&output]) else {
            return;
        };
        seen.extend(kinds);
    }
    let mut append = slaf(&["append", "-q", "--join=outer", "--obs-join=outer"]);
    append.args(["--var-join=outer", "--allow-mixed-scales"]);
    Run::of(append.arg(&everything).arg(&output)).succeeded();
    seen.extend(checked(&[&output]).unwrap());
    for kind in [
        "digest of a frame",
        "digest of a matrix",
        "digest of identifiers",
        "digest of the cells of a job",
        "hashes of identifiers",
        "hashes of what cells hold",
        "XXH3 of a file of hashes",
        "XXH3 of uns.json",
        "XXH3 in the name of a data file",
    ] {
        assert!(seen.iter().any(|found| found == kind), "no {kind}");
    }
}

#[test]
fn of_jobs_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let everything = fixture("h5ad/everything.h5ad");
    let killed = |verb: &str, flags: &[&str]| {
        let mut command = slaf(&[verb, "-q"]);
        command.arg(&everything).arg(&output).args(flags);
        let run = Run::of(command.env("SLAF_FAIL_AT", "before-expression-commit"));
        assert_eq!(run.code, None, "{}", run.stderr);
    };
    killed("convert", &[]);
    let Some(kinds) = checked(&[&output, &everything]) else {
        return;
    };
    for kind in [
        "digest of a file of a job",
        "digest of a list of genes",
        "digest of counts",
        "digest of identifiers",
        "job",
    ] {
        assert!(kinds.iter().any(|found| found == kind), "no {kind}");
    }
    let mut convert = slaf(&["convert", "-q"]);
    Run::of(convert.arg(&everything).arg(&output)).succeeded();
    let twice = ["--cell-id-prefix=again-", "--allow-duplicate-source"];
    killed("append", &twice);
    checked(&[&output]).unwrap();
}
