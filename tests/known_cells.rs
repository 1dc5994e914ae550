//! Promise: cells that a dataset already has are recognised, whatever happened to the hash files
//! that serve as a shortcut.

use std::path::{Path, PathBuf};

use slaf::dataset::CELL_HASHES;

use crate::append::{append, config, names, verified};
use crate::support::dataset::{Contents, assert_no_orphans};
use crate::support::h5ad_writer::write_named;
use crate::support::small::convert;

/// Writes an input of cells with these names.
fn input(folder: &Path, name: &str, cells: &[String]) -> PathBuf {
    let path = folder.join(name);
    // A different value in each input, so that no two are the same.
    let value = name.bytes().map(f32::from).sum();
    write_named(&path, cells, &names("g", 3), &[(0, 1, value)]);
    path
}

/// Makes a dataset of the cells a0 … a8 and b0 … b4 with two jobs.
fn dataset(folder: &Path) -> PathBuf {
    let dataset = folder.join("data.slaf");
    convert(&[input(folder, "a.h5ad", &names("a", 9))], &dataset, &[]).succeeded();
    append(&[input(folder, "b.h5ad", &names("b", 5))], &dataset, &[]).succeeded();
    dataset
}

/// Returns names of new cells, in addition to these known ones.
fn cells(count: usize, known: &[&str]) -> Vec<String> {
    let mut cells = names("new", count);
    for (cell, known) in cells.iter_mut().skip(1).zip(known) {
        *cell = known.to_string();
    }
    cells
}

fn files(dataset: &Path) -> Vec<(PathBuf, u64)> {
    let files = config(dataset).cell_hashes.into_iter();
    let files = files.map(|hashes| (dataset.join(hashes.file()), hashes.cells));
    files.collect()
}

#[test]
fn a_cell_that_the_dataset_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    for (count, known) in [(3, &["b2"][..]), (40, &["a0", "b4"])] {
        let input = input(folder.path(), "again.h5ad", &cells(count, known));
        let before = Contents::of(&dataset);
        let run = append(std::slice::from_ref(&input), &dataset, &[]).refused(3);
        let told = format!("{} cells", known.len());
        assert!(run.stderr.contains(&told), "{}", run.stderr);
        assert!(run.stderr.contains(known[0]), "{}", run.stderr);
        assert_eq!(Contents::of(&dataset), before);
        std::fs::remove_file(input).unwrap();
    }
    let input = input(folder.path(), "allowed.h5ad", &cells(3, &["a1"]));
    append(&[input], &dataset, &["--allow-duplicate-cells"]).succeeded();
    assert_eq!(config(&dataset).array_shape[0], 17);
    verified(&dataset, &[]);
}

#[test]
fn each_append_adds_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let counts = |dataset| {
        files(dataset)
            .iter()
            .map(|(_, cells)| *cells)
            .collect::<Vec<_>>()
    };
    assert_eq!(counts(&dataset), [9, 5]);
    let old: Vec<Vec<u8>> = files(&dataset)
        .iter()
        .map(|(path, _)| std::fs::read(path).unwrap())
        .collect();
    append(
        &[input(folder.path(), "c.h5ad", &names("c", 1))],
        &dataset,
        &[],
    )
    .succeeded();
    assert_eq!(counts(&dataset), [9, 5, 1]);
    for ((path, _), old) in files(&dataset).iter().zip(old) {
        assert_eq!(std::fs::read(path).unwrap(), old, "{}", path.display());
    }
    verified(&dataset, &[]);
    assert_no_orphans(&dataset);
}

#[test]
fn files_that_are_missing_or_changed_are_not_believed() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("missing", |dataset| {
            std::fs::remove_file(&files(dataset)[1].0).unwrap();
        }),
        ("gone", |dataset| {
            std::fs::remove_dir_all(dataset.join(CELL_HASHES)).unwrap();
        }),
        ("cut", |dataset| {
            std::fs::write(&files(dataset)[0].0, b"12345678").unwrap();
        }),
        ("changed", |dataset| {
            let path = &files(dataset)[1].0;
            let mut bytes = std::fs::read(path).unwrap();
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
            std::fs::write(path, bytes).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let folder = tempfile::tempdir().unwrap();
        let dataset = dataset(folder.path());
        damage(&dataset);
        let again = input(folder.path(), "again.h5ad", &cells(4, &["b2"]));
        let run = append(&[again], &dataset, &[]).refused(3);
        assert!(run.stderr.contains("b2"), "{what}: {}", run.stderr);
        let new = input(folder.path(), "new.h5ad", &cells(4, &[]));
        append(&[new], &dataset, &[]).succeeded();
        assert_eq!(config(&dataset).array_shape[0], 18, "{what}");
        if what == "changed" {
            // As verify advises.
            std::fs::remove_file(&files(&dataset)[1].0).unwrap();
            let newer = input(folder.path(), "newer.h5ad", &names("newer", 4));
            append(&[newer], &dataset, &[]).succeeded();
        }
        verified(&dataset, &[]);
        assert_eq!(files(&dataset).len(), 1);
    }
}

/// Datasets of earlier builds, and those that another program appended to, have no hashes.
#[test]
fn a_dataset_without_them_gets_them_with_the_next_append() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path());
    let path = dataset.join("config.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    json.as_object_mut().unwrap().remove("cell_hashes");
    std::fs::write(&path, serde_json::to_vec(&json).unwrap()).unwrap();
    let again = input(folder.path(), "again.h5ad", &cells(4, &["a8"]));
    append(&[again], &dataset, &[]).refused(3);
    append(
        &[input(folder.path(), "c.h5ad", &names("c", 2))],
        &dataset,
        &[],
    )
    .succeeded();
    let counts: Vec<u64> = files(&dataset).iter().map(|(_, cells)| *cells).collect();
    assert_eq!(counts, [16]);
    verified(&dataset, &[]);
    assert_no_orphans(&dataset);
    let again = input(folder.path(), "again.h5ad", &cells(4, &["a8", "c1"]));
    let run = append(&[again], &dataset, &[]).refused(3);
    assert!(run.stderr.contains("2 cells"), "{}", run.stderr);
}
