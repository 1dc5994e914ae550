//! Promise: defaults, file, variables and flags override each other in this order, and the program
//! explains itself.

use serde_json::Value;

use crate::support::program::{Run, slaf};
use crate::support::repository;

/// Type of the cell column that a conversion wrote with these settings.
fn cell_type(config: Option<&str>, variable: Option<&str>, flag: Option<&str>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let mut command = slaf(&["convert", "-q", "-o"]);
    command
        .arg(&output)
        .arg(repository("fixtures/h5ad/demo.h5ad"));
    if let Some(text) = config {
        let path = folder.path().join("settings.toml");
        std::fs::write(&path, text).unwrap();
        command.arg("--config").arg(path);
    }
    if let Some(value) = variable {
        command.env("SLAF_DTYPES", value);
    }
    if let Some(value) = flag {
        command.args(["--dtypes", value]);
    }
    Run::of(&mut command).succeeded();
    let info = Run::of(slaf(&["info", "--json"]).arg(&output)).succeeded();
    let info: Value = serde_json::from_str(&info.stdout).unwrap();
    info["tables"][0]["columns"][0][1]
        .as_str()
        .unwrap()
        .to_string()
}

#[test]
fn each_origin_overrides_the_one_before() {
    let signed = Some("dtypes = \"signed\"");
    assert_eq!(cell_type(None, None, None), "UInt32");
    assert_eq!(cell_type(signed, None, None), "Int32");
    assert_eq!(cell_type(signed, Some("narrow"), None), "UInt32");
    assert_eq!(cell_type(signed, Some("narrow"), Some("signed")), "Int32");
}

#[test]
fn info_tells_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let mut command = slaf(&["convert"]);
    let run = Run::of(
        command
            .arg(repository("fixtures/h5ad/demo.h5ad"))
            .arg(&output),
    )
    .succeeded();
    assert!(
        run.stdout
            .contains("200 cells × 300 genes, 5,768 non-zeros"),
        "{}",
        run.stdout
    );
    assert_eq!(run.stderr, "", "no bars where nobody watches");
    let info = Run::of(slaf(&["info", "--json"]).arg(&output)).succeeded();
    let info: Value = serde_json::from_str(&info.stdout).unwrap();
    assert_eq!(
        (&info["complete"], &info["cells"], &info["genes"]),
        (&true.into(), &200.into(), &300.into())
    );
    assert_eq!(info["non_zeros"], 5768);
    let names: Vec<&str> = info["tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|table| table["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["expression", "genes", "cells"]);
    assert_eq!(info["tables"][0]["rows"], 5768);
    assert!(info["tables"][0]["bytes"].as_u64().unwrap() > 0);
    assert_eq!(info["sources"][0]["source_file"], "demo.h5ad");
    let text = Run::of(slaf(&["info"]).arg(&output)).succeeded().stdout;
    assert!(text.contains("5,768") && text.contains("narrow"), "{text}");
}

#[test]
fn what_is_left_out_or_renamed_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let summary = |name: &str| {
        let output = folder.path().join(name);
        let input = repository(&format!("fixtures/h5ad/{name}.h5ad"));
        Run::of(slaf(&["convert"]).arg(input).arg(output))
            .succeeded()
            .stdout
    };
    let text = summary("everything");
    for line in [
        "layers     by_gene, counts, scaled",
        "obsm       X_pca (3), sparse (2)",
        "converted  obsm/sparse",
        "converted  uns/table",
        "left out   obsm/frame",
        "left out   raw/X (keep it with --raw-as-layer",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let text = summary("raw_counts");
    assert!(
        text.contains("warning    raw/X holds counts and X does not"),
        "{text}"
    );
    assert!(summary("names_reserved").contains("obs/cell_id is the column cell_id_obs"));
    assert!(summary("csr_duplicates").contains("duplicate entries"));
    assert!(summary("csr_explicit_zeros").contains("stored zeros"));
    assert!(summary("index_duplicates").contains("have the name of an earlier one"));
}

#[test]
fn the_program_explains_itself() {
    let version = Run::of(&mut slaf(&["--version"])).succeeded().stdout;
    assert_eq!(
        version.trim(),
        format!("slaf {}", env!("CARGO_PKG_VERSION"))
    );
    let help = Run::of(&mut slaf(&["convert", "--help"]))
        .succeeded()
        .stdout;
    for flag in [
        "--output",
        "--format",
        "--dtypes",
        "--value-type",
        "--compression",
        "--fragment-rows",
        "--chunk-size",
        "--memory",
        "--threads",
        "--scratch-dir",
        "--overwrite",
        "--no-resume",
        "--config",
        "--json",
        "--quiet",
        "--verbose",
    ] {
        assert!(help.contains(flag), "{flag} is not in the help");
    }
    assert!(help.contains("slafdb"), "who needs signed types is told");
    for shell in ["bash", "zsh", "fish"] {
        assert!(
            Run::of(&mut slaf(&["completions", shell]))
                .succeeded()
                .stdout
                .contains("slaf")
        );
    }
    assert!(
        Run::of(&mut slaf(&["man"]))
            .succeeded()
            .stdout
            .starts_with(".ie")
    );
}
