//! Promise: a dataset, or a part of it, comes back as a file of other formats, whole or not at all.

mod atomic;
mod parts;
mod round_trip;
mod tables;
mod tenx;

use std::path::{Path, PathBuf};

use slaf::dataset::{Dataset, DatasetConfig};
use slaf::source::OpenOptions;

use crate::support::converted::{self, permissive};
use crate::support::h5ad_writer::{write_csr, write_named};
use crate::support::program::{Run, slaf};

/// `slaf export`, quietly.
fn export(dataset: &Path, output: &Path, flags: &[&str]) -> std::process::Command {
    let mut command = slaf(&["export", "-q"]);
    command.arg(dataset).arg("-o").arg(output).args(flags);
    command
}

/// Exports and returns the summary.
fn exported(dataset: &Path, output: &Path, flags: &[&str]) -> serde_json::Value {
    let mut command = slaf(&["export", "--json"]);
    command.arg(dataset).arg("-o").arg(output).args(flags);
    let run = Run::of(&mut command).succeeded();
    serde_json::from_str(&run.stdout).unwrap()
}

/// A dataset of `cells` × `genes` with `each` non-zeros in each cell.
fn dataset(folder: &Path, cells: usize, genes: usize, each: usize) -> PathBuf {
    let input = folder.join("input.h5ad");
    let value = |entry: usize| (entry * 7919 % 251 + 1) as f32;
    if cells * each >= 1 << 15 {
        write_csr(&input, cells, genes, each, value);
    } else {
        let names = |kind: &str, count: usize| -> Vec<String> {
            (0..count).map(|number| format!("{kind}{number}")).collect()
        };
        let entries = (0..cells * each).map(|entry| {
            let (cell, place) = (entry / each, entry % each);
            (cell, (cell + place * 3) % genes, value(entry))
        });
        let mut entries: Vec<(usize, usize, f32)> = entries.collect();
        entries.sort_by_key(|entry| (entry.0, entry.1));
        entries.dedup_by_key(|entry| (entry.0, entry.1));
        write_named(
            &input,
            &names("cell", cells),
            &names("gene", genes),
            &entries,
        );
    }
    let output = folder.join("d.slaf");
    reconverted(&input, &output);
    output
}

fn reconverted(input: &Path, output: &Path) {
    converted::convert(input, OpenOptions::default(), output, permissive()).unwrap();
}

fn config(dataset: &Path) -> DatasetConfig {
    Dataset::open(dataset).unwrap().config().clone()
}

/// The digest of the matrix of a dataset made of one input.
fn digest(dataset: &Path) -> String {
    config(dataset).sources[0].digests["expression"].to_string()
}

/// Names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
