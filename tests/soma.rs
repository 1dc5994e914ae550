//! Promise: experiments of TileDB-SOMA are read as tiledbsoma reads them, array by array.
//!
//! Its answers are kept in soma_answers.json; python/soma_answers.py writes them again.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};
use slaf::source::{MainMatrix, OpenOptions, RawUse};

use crate::support::shared;
use crate::support::soma::found;

/// What tiledbsoma reads.
fn answers() -> Map<String, Value> {
    serde_json::from_str(include_str!("soma_answers.json")).unwrap()
}

/// The folder of an experiment, unpacked if it is an archive.
fn experiment(path: &Path, unpacked: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_path_buf();
    }
    let target = unpacked.join(path.file_name().unwrap());
    std::fs::create_dir(&target).unwrap();
    let status = Command::new("tar").arg("xzf").arg(path).arg("-C").arg(&target).status();
    assert!(status.unwrap().success(), "{}", path.display());
    // Some archives hold the folder, others what is in it.
    let inner = target.join(path.file_name().unwrap().to_string_lossy().trim_end_matches(".tar.gz"));
    if inner.is_dir() { inner } else { target }
}

/// The differences between what was found and what tiledbsoma says.
fn differences(found: &Value, answer: &Value, raw: bool) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: String, found: &Value, wanted: &Value| {
        if found != wanted {
            differences.push(format!("{what}: {found}, not {wanted}"));
        }
    };
    let var = if raw { "raw_var" } else { "var" };
    for (mine, theirs) in [("obs", "obs"), ("var", var)] {
        let (found, wanted) = (&found[mine], &answer[theirs]);
        compare(format!("rows of {theirs}"), &found["rows"], &wanted["rows"]);
        compare(format!("names of {theirs}"), &found["ids"], &wanted["ids"]);
        let columns = |value: &Value| value["columns"].as_array().unwrap().clone();
        let (found, wanted) = (columns(found), columns(wanted));
        compare(format!("columns of {theirs}"), &found.len().into(), &wanted.len().into());
        for (found, wanted) in found.iter().zip(&wanted) {
            compare(format!("column of {theirs}"), found, wanted);
        }
    }
    for (name, matrix) in found["matrices"].as_object().unwrap() {
        compare(name.clone(), matrix, &answer["matrices"][name]);
    }
    for (name, embedding) in found["embeddings"].as_object().unwrap() {
        compare(name.clone(), embedding, &answer["embeddings"][name]);
    }
    compare("uns".into(), &found["uns"], &answer["uns"]);
    differences
}

#[test]
fn every_array_is_what_tiledbsoma_reads() {
    let unpacked = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    let mut arrays = 0;
    for (name, answer) in answers() {
        let Some(path) = shared(&format!("data/{name}")) else {
            return;
        };
        let path = experiment(&path, unpacked.path());
        let own = OpenOptions::default();
        let raw = OpenOptions {
            matrix: MainMatrix::Raw,
            ..OpenOptions::default()
        };
        let has_raw = answer.get("raw_var").is_some();
        let mut seen = 0;
        for (options, raw) in [(own, false), (raw, true)] {
            if raw && !has_raw {
                continue;
            }
            match found(&path, &options) {
                Ok(found) => {
                    seen += ["matrices", "embeddings"]
                        .map(|part| found[part].as_object().unwrap().len())
                        .iter()
                        .sum::<usize>();
                    let differences = differences(&found, &answer, raw);
                    failures.extend(differences.iter().map(|difference| format!("{name}: {difference}")));
                }
                Err(error) => failures.push(format!("{name}: {error}")),
            }
        }
        println!("{name}: {seen} arrays");
        arrays += seen;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(arrays > 200, "only {arrays} arrays");
}

#[test]
fn the_raw_matrix_as_a_layer() {
    let Some(path) = shared("data/soma/tiledbsoma-1.11.4_pbmc68k_2025") else {
        return;
    };
    let options = OpenOptions {
        raw: RawUse::Layer,
        ..OpenOptions::default()
    };
    let found = found(&path, &options).unwrap();
    let answer = &answers()["soma/tiledbsoma-1.11.4_pbmc68k_2025"];
    let raw = &found["matrices"]["ms/raw/X/data"];
    assert_eq!(raw, &answer["matrices"]["ms/raw/X/data"]);
}
