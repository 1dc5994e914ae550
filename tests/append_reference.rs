//! Promise: we can append to what the reference wrote, and it can read the result; it can append to
//! what we wrote, and we can continue.

use std::path::{Path, PathBuf};

use slaf::dataset::Dataset;

use crate::append::append;
use crate::support::program::{Run, slaf};
use crate::support::small::convert;
use crate::support::{python, repository};

fn verified(dataset: &Path) {
    let run = Run::of(slaf(&["verify"]).arg(dataset));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

/// Runs a script that must succeed; `false` if Python is not available.
fn done(script: &str, arguments: &[&Path]) -> bool {
    match python::run(script, arguments.iter().copied()) {
        Some((done, text)) => {
            assert!(done, "{text}");
            true
        }
        None => false,
    }
}

/// Two compatible inputs of the reference's kind.
fn inputs(folder: &Path) -> Option<[PathBuf; 2]> {
    let inputs = ["one.h5ad", "two.h5ad"].map(|name| folder.join(name));
    let made = done(
        "reference.py",
        &[Path::new("inputs"), &inputs[0], &inputs[1]],
    );
    made.then_some(inputs)
}

#[test]
fn datasets_of_the_reference_are_continued() {
    let folder = tempfile::tempdir().unwrap();
    let Some([one, two]) = inputs(folder.path()) else {
        return;
    };
    for variant in ["default", "signed", "layers", "several", "unnamed"] {
        let dataset = folder.path().join(format!("{variant}.slaf"));
        done("reference.py", &[Path::new(variant), &dataset, &one]);
        let flags = ["--cell-id-prefix", "new-", "--obs-join", "outer"];
        let mut command = slaf(&["append"]);
        command.arg(&two).arg(&dataset).args(flags);
        let run = Run::of(&mut command).succeeded();
        if variant == "several" {
            assert!(run.stdout.contains("cell_start_index"), "{}", run.stdout);
        }
        verified(&dataset);
        done("reference.py", &[Path::new("check"), &dataset, &one, &two]);
        // Once more, now that we wrote last.
        let flags = ["--cell-id-prefix", "newer-", "--allow-duplicate-source"];
        let flags = [&flags[..], &["--obs-join", "outer"]].concat();
        append(std::slice::from_ref(&two), &dataset, &flags).succeeded();
        verified(&dataset);
    }
}

#[test]
fn what_the_reference_appended_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let demo = repository("fixtures/h5ad/demo.h5ad");
    for dtypes in ["narrow", "signed"] {
        let dataset = folder.path().join(format!("{dtypes}.slaf"));
        convert(std::slice::from_ref(&demo), &dataset, &["--dtypes", dtypes]).succeeded();
        let flags = ["--cell-id-prefix", "b", "--allow-duplicate-source"];
        append(std::slice::from_ref(&demo), &dataset, &flags).succeeded();
        if !done("slafdb_append.py", &[&dataset, &demo]) {
            return;
        }
        let seen = Dataset::open(&dataset).unwrap();
        assert!(!seen.config().is_described());
        let flags = ["--cell-id-prefix", "c", "--allow-duplicate-source"];
        let mut command = slaf(&["append"]);
        command.arg(&demo).arg(&dataset).args(flags);
        let run = Run::of(&mut command).succeeded();
        assert!(run.stdout.contains("200 cells"), "{}", run.stdout);
        let config = Dataset::open(&dataset).unwrap().config().clone();
        assert_eq!(config.array_shape, [800, 300]);
        assert_eq!(config.sources.len(), 4);
        verified(&dataset);
    }
}
