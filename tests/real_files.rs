//! Promise: files that other people made convert to what anndata reads in them, or are refused for
//! a reason that is written down here.

use std::path::PathBuf;

use crate::support::program::{Run, convert};
use crate::support::{python, shared};

/// The files that are refused, and a part of the message.
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
