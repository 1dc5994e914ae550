//! Promise: files from other people convert to what anndata reads in them, or are refused for a
//! documented reason.

use std::path::{Path, PathBuf};

use crate::support::program::{Run, convert};
use crate::support::{python, shared};

/// Files that are refused, and a part of the message.
const REFUSED: &str = include_str!("real_files_refused.txt");

fn refusals() -> Vec<(&'static str, &'static str)> {
    let lines = REFUSED
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .map(|line| line.split_once('\t').expect("file, tab, reason"))
        .collect()
}

#[test]
fn real_h5ad_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = Vec::new();
    let mut seen = 0;
    for group in ["h5ad", "h5ad_made", "h5mu", "loom", "malformed"] {
        let Some(group_path) = shared(&format!("data/{group}")) else {
            return;
        };
        let entries = std::fs::read_dir(group_path)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
        files.sort();
        for file in files {
            seen += 1;
            let name = format!("{group}/{}", file.file_name().unwrap().to_string_lossy());
            let output = folder.path().join(name.replace('/', "."));
            let run = Run::of(&mut convert(&file, &output, &[]));
            match refusals().iter().find(|(refused, _)| *refused == name) {
                None => {
                    println!("{name}: converted");
                    run.succeeded();
                    pairs.push((file, output));
                }
                Some((_, reason)) => {
                    println!("{name}: refused, {reason}");
                    let run = run.refused(3);
                    assert!(run.stderr.contains(reason), "{name}: {}", run.stderr);
                }
            }
        }
    }
    assert!(
        seen > 100 && pairs.len() > 60,
        "{} of {seen} files",
        pairs.len()
    );
    python::compare(&pairs);
}

#[test]
fn real_10x_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut pairs = Vec::new();
    for group in ["10x_h5", "mtx", "mtx_tar"] {
        let Some(group_path) = shared(&format!("data/{group}")) else {
            return;
        };
        for file in entries(&group_path) {
            let name = format!("{group}/{}", file.file_name().unwrap().to_string_lossy());
            let output = folder.path().join(name.replace('/', "."));
            if converted(&name, &file, &output, &[]) {
                pairs.push((file, output));
            }
        }
    }
    assert!(pairs.len() > 30, "{} files", pairs.len());
    python::compare(&pairs);
}

/// Matrices without lists: lists matching their dimensions are generated.
#[test]
fn real_lone_matrices() {
    let folder = tempfile::tempdir().unwrap();
    let Some(group) = shared("data/mtx_lone") else {
        return;
    };
    let list = |file: &Path, kind: &str| {
        let name = file.file_name().unwrap().to_string_lossy();
        folder.path().join(format!("{name}.{kind}"))
    };
    let mut pairs = Vec::new();
    for file in entries(&group) {
        let [features, cells] = sides(&file);
        let is_square = features == cells;
        for (kind, count) in [("cells", cells), ("features", features)] {
            let lines: String = (0..count).map(|line| format!("{kind}{line}\n")).collect();
            std::fs::write(list(&file, kind), lines).unwrap();
        }
        let name = format!("mtx_lone/{}", file.file_name().unwrap().to_string_lossy());
        let output = folder.path().join(name.replace('/', "."));
        let [cells, features] = ["cells", "features"].map(|kind| list(&file, kind));
        let mut flags = vec![
            "--barcodes",
            cells.to_str().unwrap(),
            "--features",
            features.to_str().unwrap(),
        ];
        // Neither its dimensions nor its name show what the rows are.
        if is_square {
            flags.extend(["--orientation", "genes-by-cells"]);
        }
        if converted(&name, &file, &output, &flags) {
            pairs.push((file, output));
        }
    }
    assert!(pairs.len() > 10, "{} files", pairs.len());
    let flag = |flag: &str, kind: &str| [flag.into(), folder.path().join(format!("{{}}.{kind}"))];
    let flags = [flag("--barcodes", "cells"), flag("--features", "features")].concat();
    python::compare_with(&pairs, &flags);
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Converts a file, or checks that it is refused for the documented reason.
fn converted(name: &str, file: &Path, output: &Path, flags: &[&str]) -> bool {
    let run = Run::of(&mut convert(file, output, flags));
    match refusals().iter().find(|(refused, _)| *refused == name) {
        None => {
            println!("{name}: converted");
            run.succeeded();
            true
        }
        Some((_, reason)) => {
            println!("{name}: refused, {reason}");
            let run = run.refused(3);
            assert!(run.stderr.contains(reason), "{name}: {}", run.stderr);
            false
        }
    }
}

/// Returns the first two numbers of the first line that begins with one; 1 if there is none.
fn sides(file: &Path) -> [u64; 2] {
    let text = String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned();
    let sizes = text.lines().find_map(|line| {
        let mut words = line.split_whitespace().map(|word| word.parse::<u64>().ok());
        Some([words.next()??, words.next()??])
    });
    sizes.unwrap_or([1, 1])
}
