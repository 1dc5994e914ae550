//! Promise: anndata's readers and the reference agree with what we write.

use std::path::{Path, PathBuf};

use slaf::dataset::Dataset;

use crate::support::program::{Run, convert};
use crate::support::{fixtures, python, repository};

#[test]
fn every_fixture_is_what_anndata_reads() {
    let folder = tempfile::tempdir().unwrap();
    let mut pairs: Vec<(PathBuf, PathBuf)> = Vec::new();
    for fixture in fixtures("fixtures/h5ad", "h5ad") {
        let name = fixture.file_stem().unwrap().to_string_lossy().into_owned();
        for dtypes in ["narrow", "signed"] {
            let output = folder.path().join(format!("{name}.{dtypes}.slaf"));
            Run::of(&mut convert(&fixture, &output, &["--dtypes", dtypes])).succeeded();
            Dataset::open(&output).unwrap();
            pairs.push((fixture.clone(), output));
        }
    }
    python::compare(&pairs);
}

#[test]
fn every_compression_is_what_anndata_reads() {
    let folder = tempfile::tempdir().unwrap();
    let demo = repository("fixtures/h5ad/demo.h5ad");
    let mut pairs = Vec::new();
    for compression in ["none", "lz4", "zstd"] {
        for dtypes in ["narrow", "signed"] {
            let output = folder.path().join(format!("{compression}.{dtypes}.slaf"));
            let flags = [
                "--dtypes",
                dtypes,
                "--compression",
                compression,
                "--fragment-rows",
                "2000",
            ];
            Run::of(&mut convert(&demo, &output, &flags)).succeeded();
            pairs.push((demo.clone(), output));
        }
    }
    python::compare(&pairs);
}

/// Runs the reference's own readers on a dataset. Returns the number of passed and of all checks.
fn battery(dataset: &Path, input: &Path) -> Option<(u64, u64)> {
    let arguments = [Path::new("--check"), dataset, Path::new("--input"), input];
    let (_, text) = python::run("battery.py", arguments)?;
    println!("{text}");
    let last = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("passed "));
    let (passed, all) = last
        .expect("the battery ends with its count")
        .split_once(" of ")
        .unwrap();
    Some((passed.trim().parse().unwrap(), all.trim().parse().unwrap()))
}

#[test]
fn slafdb_reads_what_we_write() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.h5ad");
    if python::run("battery.py", [Path::new("--make"), &input]).is_none() {
        return;
    }
    let reference = folder.path().join("reference.slaf");
    let arguments = [Path::new("--reference"), &reference, &input];
    let (made, text) = python::run("battery.py", arguments).unwrap();
    assert!(made, "{text}");
    let (reference, _) = battery(&reference, &input).unwrap();
    for dtypes in ["narrow", "signed"] {
        let output = folder.path().join(format!("{dtypes}.slaf"));
        Run::of(&mut convert(&input, &output, &["--dtypes", dtypes])).succeeded();
        let (passed, all) = battery(&output, &input).unwrap();
        assert!(all >= 43, "not everything was tried");
        if dtypes == "signed" {
            assert_eq!(passed, all);
        } else {
            assert!(
                passed >= reference,
                "{passed} passed, but {reference} of the reference's own"
            );
        }
    }
}

#[test]
fn slafdb_appends_to_what_we_write() {
    let folder = tempfile::tempdir().unwrap();
    let demo = repository("fixtures/h5ad/demo.h5ad");
    for dtypes in ["narrow", "signed"] {
        let output = folder.path().join(format!("{dtypes}.slaf"));
        Run::of(&mut convert(&demo, &output, &["--dtypes", dtypes])).succeeded();
        if let Some((appended, text)) = python::run("slafdb_append.py", [output.as_path(), &demo]) {
            assert!(appended, "{text}");
        }
    }
}
