//! The same cells under other names.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slaf::dataset::Dataset;

use crate::support::dataset::{Contents, assert_no_orphans};
use crate::support::h5ad_writer::{add_texts, write_named};
use crate::support::program::{Run, slaf};

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect()
}

/// Values of a cell: some of `genes` genes, adding up to more than ten.
fn cell(number: usize, genes: usize) -> Vec<(usize, f32)> {
    let values = (0..4).map(|place| {
        (
            (number * 3 + place * 5) % genes,
            (number % 7 + place + 2) as f32,
        )
    });
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by_key(|(gene, _)| *gene);
    values.dedup_by_key(|(gene, _)| *gene);
    values
}

const GENES: usize = 11;

/// Writes cells with these numbers, named PREFIX0, PREFIX1, …; the genes are in reverse order if
/// `transposed`.
fn write(path: &Path, prefix: &str, cells: &[usize], transposed: bool) -> PathBuf {
    let mut genes = names("g", GENES);
    if transposed {
        genes.reverse();
    }
    let mut entries = Vec::new();
    for (row, &number) in cells.iter().enumerate() {
        for (gene, value) in cell(number, GENES) {
            let gene = if transposed { GENES - 1 - gene } else { gene };
            entries.push((row, gene, value));
        }
    }
    entries.sort_by_key(|entry| (entry.0, entry.1));
    write_named(path, &names(prefix, cells.len()), &genes, &entries);
    path.to_path_buf()
}

fn run(command: &str, inputs: &[&PathBuf], flags: &[&str], dataset: Option<&Path>) -> Run {
    let mut run = slaf(&[command]);
    run.args(inputs).args(dataset);
    Run::of(run.args(flags))
}

fn json(run: Run) -> Value {
    serde_json::from_str(&run.succeeded().stdout).unwrap()
}

fn warnings(report: &Value) -> Vec<String> {
    let sources = report["dataset"]["sources"].as_array().unwrap().iter();
    let warnings = sources.flat_map(|source| source["warnings"].as_array().into_iter().flatten());
    let warnings = warnings.map(|warning| warning.as_str().unwrap().to_string());
    warnings
        .filter(|warning| warning.contains("the counts of cells of"))
        .collect()
}

// Cells were compared by name only: those of a library that was sequenced again or renamed were
// added twice.
#[test]
fn cells_under_other_names_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let a = write(&at("a.h5ad"), "a", &[0, 1, 2, 3], false);
    let b = write(&at("b.h5ad"), "b", &[9, 2, 8, 0], true);
    let c = write(&at("c.h5ad"), "c", &[20, 21], false);
    let dataset = at("out.slaf");
    let report = json(run("convert", &[&a, &b, &c], &["--json"], Some(&dataset)));
    let told = warnings(&report);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("2 cells have the counts"), "{told:?}");
    assert!(
        told[0].contains("a.h5ad") && told[0].contains("\"b1\" those of \"a2\""),
        "{told:?}"
    );
    assert_no_orphans(&dataset);

    let found = json(run("validate", &[&a, &b, &c], &["--json"], None));
    assert_eq!(found["duplicate_counts"][0]["cells"], 2, "{found}");
    assert_eq!(
        found["duplicate_counts"].as_array().unwrap().len(),
        1,
        "{found}"
    );
    let told = run("validate", &[&a, &b], &[], None).succeeded();
    assert!(
        told.stdout.contains("2 cells have the counts"),
        "{}",
        told.stdout
    );

    let other = at("other.slaf");
    let flags = ["-q", "--duplicate-counts", "refuse"];
    let refused = run("convert", &[&a, &b], &flags, Some(&other)).refused(3);
    assert!(
        refused.stderr.contains("--duplicate-counts warn"),
        "{}",
        refused.stderr
    );
    assert!(Dataset::open(&other).is_err());
    // What was written is not lost.
    let report = json(run("convert", &[&a, &b], &["--json"], Some(&other)));
    assert_eq!(warnings(&report).len(), 1);
    assert!(report["resumed_shards"].as_u64().unwrap() > 0, "{report}");
    let refused = run("validate", &[&a, &b], &flags[1..], None);
    assert_eq!(refused.code, Some(3), "{}", refused.stdout);
    run("convert", &[&a, &c], &flags, Some(&at("alone.slaf"))).succeeded();
}

#[test]
fn an_append_knows_the_cells_of_the_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = at("out.slaf");
    let a = write(&at("a.h5ad"), "a", &[0, 1, 2, 3], false);
    let b = write(&at("b.h5ad"), "b", &[30, 31], false);
    let c = write(&at("c.h5ad"), "c", &[31, 40, 3], true);
    run("convert", &[&a], &["-q"], Some(&dataset)).succeeded();
    run("append", &[&b], &["-q"], Some(&dataset)).succeeded();
    let told = run(
        "validate",
        &[&c],
        &["--against", dataset.to_str().unwrap()],
        None,
    );
    let told = told.succeeded().stdout;
    assert!(
        told.contains("\"c0\" those of \"b1\"") && told.contains("\"c2\" those of \"a3\""),
        "{told}"
    );
    let before = Contents::of(&dataset);
    let flags = ["-q", "--duplicate-counts", "refuse"];
    run("append", &[&c], &flags, Some(&dataset)).refused(3);
    assert_eq!(Contents::of(&dataset).without_checkpoint(), before);
    let told = warnings(&json(run("append", &[&c], &["--json"], Some(&dataset))));
    assert_eq!(told.len(), 2, "{told:?}");
    assert_no_orphans(&dataset);
    let verified = Run::of(slaf(&["verify", "-q"]).arg(&dataset));
    assert_eq!(
        verified.code,
        Some(0),
        "{}{}",
        verified.stdout,
        verified.stderr
    );

    // What config.json does not describe, or no longer describes, is read from the rows.
    let config = dataset.join("config.json");
    let mut changed: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    for hashes in changed["cell_hashes"].as_array_mut().unwrap() {
        hashes.as_object_mut().unwrap().remove("contents");
    }
    std::fs::write(&config, serde_json::to_vec(&changed).unwrap()).unwrap();
    let d = write(&at("d.h5ad"), "d", &[2, 50], false);
    let told = warnings(&json(run("append", &[&d], &["--json"], Some(&dataset))));
    assert!(
        told.last().unwrap().contains("\"d0\" those of \"a2\""),
        "{told:?}"
    );
    let e = write(&at("e.h5ad"), "e", &[50, 1], true);
    let told = warnings(&json(run("append", &[&e], &["--json"], Some(&dataset))));
    let told = told[told.len() - 2..].join("\n");
    assert!(told.contains("\"e0\" those of \"d1\""), "{told}");
    assert!(told.contains("\"e1\" those of \"a1\""), "{told}");
    assert_no_orphans(&dataset);
}

// Genes are identified without the version of their identifiers, whatever their names.
#[test]
fn identifiers_tell_which_gene_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let id = |gene: usize| format!("ENSG{gene:011}");
    let entries: Vec<_> = cell(5, GENES)
        .iter()
        .map(|&(gene, value)| (0, gene, value))
        .collect();
    let with_ids = |path: PathBuf, prefix: &str, names: &str| {
        let genes: Vec<String> = (0..GENES).map(|gene| format!("{names}{gene}")).collect();
        write_named(&path, &[format!("{prefix}0")], &genes, &entries);
        add_texts(&path, "var/gene_ids", GENES, id);
        path
    };
    let a = with_ids(at("a.h5ad"), "a", "g");
    let b = with_ids(at("b.h5ad"), "b", "alias");
    let report = json(run(
        "convert",
        &[&a, &b],
        &["--json"],
        Some(&at("out.slaf")),
    ));
    assert_eq!(warnings(&report).len(), 1, "{report}");
    let few = write(&at("few.h5ad"), "f", &[0], false);
    // Fewer than ten counts are not conclusive.
    let poor = |name: &str| {
        let path = at(name);
        write_named(
            &path,
            &[format!("{name}0")],
            &names("g", GENES),
            &[(0, 1, 4.0), (0, 2, 5.0)],
        );
        path
    };
    let (one, other) = (poor("one.h5ad"), poor("other.h5ad"));
    let flags = ["--json", "--allow-duplicate-source"];
    let report = json(run(
        "convert",
        &[&few, &one, &other],
        &flags,
        Some(&at("poor.slaf")),
    ));
    assert_eq!(warnings(&report), Vec::<String>::new());
}
