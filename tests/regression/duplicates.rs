//! The same cells under other names.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slaf::dataset::Dataset;
use slaf::table::TableName;

use crate::support::dataset::{Contents, assert_no_orphans, table, texts};
use crate::support::h5ad_writer::{add_texts, write_named};
use crate::support::program::{Run, slaf};
use crate::support::small::{Named, named};

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

const DROP: [&str; 2] = ["--duplicate-counts", "drop"];

/// The cells of a dataset, by their names.
fn cells(dataset: &Path) -> Vec<String> {
    let cells = table(dataset, TableName::Cells);
    let names = texts(cells.column_by_name("cell_id").unwrap());
    names.into_iter().flatten().collect()
}

/// What these cells of an input that [`write`] made must be in a dataset.
fn rows_of(prefix: &str, numbers: &[usize], kept: &[usize]) -> Named {
    let rows = kept.iter().flat_map(|&row| {
        let values = cell(numbers[row], GENES).into_iter();
        values.map(move |(gene, value)| {
            (
                format!("{prefix}{row}"),
                format!("g{gene}"),
                f64::from(value),
            )
        })
    });
    rows.collect()
}

fn sorted(mut rows: Named) -> Named {
    rows.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    rows
}

fn verified(dataset: &Path, against: &[&PathBuf]) {
    let mut run = slaf(&["verify"]);
    run.arg(dataset);
    for input in against {
        run.arg("--against").arg(input);
    }
    let run = Run::of(&mut run);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

fn left_out(report: &Value) -> Vec<String> {
    let sources = report["dataset"]["sources"].as_array().unwrap().iter();
    let notes = sources.flat_map(|source| source["left_out"].as_array().into_iter().flatten());
    let reasons = notes.map(|note| note["reason"].as_str().unwrap().to_string());
    reasons.filter(|reason| reason.contains("drop")).collect()
}

// `warn` and `refuse` were all there was: who wanted each cell once had to take them out beforehand.
#[test]
fn cells_of_earlier_inputs_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // Cells of one input may be alike: those of the first stay, those of the last are known.
    let (of_a, of_b, of_c) = ([0, 1, 2, 1], [9, 2, 8, 0, 9], [8, 1, 20, 1]);
    let a = write(&at("a.h5ad"), "a", &of_a, false);
    let b = write(&at("b.h5ad"), "b", &of_b, true);
    let c = write(&at("c.h5ad"), "c", &of_c, false);
    let inputs = [&a, &b, &c];
    let dataset = at("out.slaf");
    let flags = [&DROP[..], &["--json"]].concat();
    let report = json(run("convert", &inputs, &flags, Some(&dataset)));
    let wanted = [
        rows_of("a", &of_a, &[0, 1, 2, 3]),
        rows_of("b", &of_b, &[0, 2, 4]),
        rows_of("c", &of_c, &[2]),
    ];
    assert_eq!(named(&dataset), sorted(wanted.concat()));
    assert_eq!(
        cells(&dataset),
        ["a0", "a1", "a2", "a3", "b0", "b2", "b4", "c2"]
    );
    assert_eq!(warnings(&report), Vec::<String>::new());
    let told = left_out(&report);
    assert_eq!(told.len(), 3, "{told:?}");
    for (told, begins) in told.iter().zip([
        "2 cells that have the counts of cells of a.h5ad, such as \"b1\" those of \"a2\"",
        "1 cell that has the counts of cells of b.h5ad, such as \"c0\" those of \"b2\"",
        "2 cells that have the counts of cells of a.h5ad, such as \"c1\" those of \"a1\"",
    ]) {
        assert!(told.starts_with(begins), "{told}");
    }
    let known = &report["dataset"]["sources"][1]["open"]["known_cells"];
    assert_eq!(known["cells"], "1,3");
    verified(&dataset, &inputs);
    assert_no_orphans(&dataset);

    let found = json(run("validate", &inputs, &flags, None));
    assert_eq!(found["result"], serde_json::json!([8, GENES]), "{found}");
    assert_eq!(found["duplicate_counts"].as_array().unwrap().len(), 3);
    let told = run("validate", &inputs, &DROP, None).succeeded().stdout;
    assert!(told.contains("b.h5ad: left out: 2 cells"), "{told}");
    let proposed = run("validate", &inputs, &[], None).succeeded().stdout;
    assert!(proposed.contains("--duplicate-counts drop"), "{proposed}");
    let alone = run("convert", &[&a], &DROP, Some(&at("alone.slaf"))).succeeded();
    assert!(!alone.stdout.contains("drop"), "{}", alone.stdout);
}

#[test]
fn an_append_drops_the_cells_of_the_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = at("out.slaf");
    let (of_a, of_c) = ([0, 1, 2, 3], [40, 3, 1, 41]);
    let a = write(&at("a.h5ad"), "a", &of_a, false);
    let c = write(&at("c.h5ad"), "c", &of_c, true);
    let wanted = [
        rows_of("a", &of_a, &[0, 1, 2, 3]),
        rows_of("c", &of_c, &[0, 3]),
    ];
    let wanted = sorted(wanted.concat());
    // Hashes of contents may be missing, and so may the beginnings of rows.
    for (number, forget) in [None, Some("contents"), Some("files")]
        .into_iter()
        .enumerate()
    {
        run("convert", &[&a], &["-q"], Some(&dataset)).succeeded();
        let config = dataset.join("config.json");
        let mut changed: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
        match forget {
            None => {}
            Some("contents") => {
                for hashes in changed["cell_hashes"].as_array_mut().unwrap() {
                    hashes.as_object_mut().unwrap().remove("contents");
                }
            }
            _ => std::fs::remove_dir_all(dataset.join("cells.lance/_hashes")).unwrap(),
        }
        std::fs::write(&config, serde_json::to_vec(&changed).unwrap()).unwrap();
        let flags = [&DROP[..], &["--json"]].concat();
        let against = [&flags[..], &["--against", dataset.to_str().unwrap()]].concat();
        let found = json(run("validate", &[&c], &against, None));
        assert_eq!(found["duplicate_counts"][0]["cells"], 2, "{found}");
        let report = json(run("append", &[&c], &flags, Some(&dataset)));
        assert_eq!(report["appended"]["cells"], 2, "{number}: {report}");
        let told = left_out(&report);
        assert!(told[0].contains("\"c1\" those of \"a3\""), "{told:?}");
        assert_eq!(named(&dataset), wanted, "{forget:?}");
        verified(&dataset, &[&a, &c]);
        assert_no_orphans(&dataset);
        std::fs::remove_dir_all(&dataset).unwrap();
    }
}

#[test]
fn the_same_names_with_the_same_counts_are_dropped_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = at("out.slaf");
    let a = write(&at("a.h5ad"), "a", &[0, 1], false);
    let more = write(&at("more.h5ad"), "a", &[0, 1, 2], false);
    let other = write(&at("other.h5ad"), "a", &[0, 7], false);
    run("convert", &[&a], &["-q"], Some(&dataset)).succeeded();
    let flags = [&DROP[..], &["-q"]].concat();
    run("append", &[&more], &flags, Some(&dataset)).succeeded();
    assert_eq!(cells(&dataset), ["a0", "a1", "a2"]);
    // All cells of it are there; nothing is added, and it is no failure.
    run("append", &[&more], &flags, Some(&dataset)).succeeded();
    assert_eq!(cells(&dataset), ["a0", "a1", "a2"]);
    // A name that stands for other counts is still refused.
    let refused = run("append", &[&other], &flags, Some(&dataset)).refused(3);
    assert!(refused.stderr.contains("\"a1\""), "{}", refused.stderr);
    verified(&dataset, &[]);
}

#[test]
fn dropping_goes_on_after_a_kill_and_with_conditions() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (of_a, of_b) = ([0, 1, 2, 3, 4], [2, 30, 31, 4, 32, 33]);
    let a = write(&at("a.h5ad"), "a", &of_a, false);
    let b = write(&at("b.h5ad"), "b", &of_b, true);
    // Without a0 and b0, and of what is left the first four.
    let chosen = ["--where", "cell_id not like '_0'", "--limit", "4", "-q"];
    let flags = [&DROP[..], &chosen].concat();
    let wanted = [
        rows_of("a", &of_a, &[1, 2, 3, 4]),
        rows_of("b", &of_b, &[1, 2, 4]),
    ];
    let wanted = sorted(wanted.concat());
    for command in ["convert", "append"] {
        let dataset = at(command);
        let begin = || {
            let _ = std::fs::remove_dir_all(&dataset);
            if command == "append" {
                run("convert", &[&a], &chosen, Some(&dataset)).succeeded();
            }
        };
        let inputs: &[&PathBuf] = match command {
            "append" => &[&b],
            _ => &[&a, &b],
        };
        let mut deaths = 0;
        for point in slaf::failpoint::ALL {
            begin();
            let mut killed = slaf(&[command]);
            killed.args(inputs).arg(&dataset).args(&flags);
            killed.env("SLAF_FAIL_AT", point);
            let died = Run::of(&mut killed).code.is_none();
            deaths += usize::from(died);
            if died {
                run(command, inputs, &flags, Some(&dataset)).succeeded();
            }
            assert_eq!(named(&dataset), wanted, "{command} {point}");
            verified(&dataset, &[&a, &b]);
        }
        assert!(deaths > 6, "{deaths}");
    }
}

// Two genes of one identity are two genes: cells with counts on the one are not those on the other,
// although their hashes are the same.
#[test]
fn a_cell_is_not_dropped_on_one_hash_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let genes = ["ENSG00000000001.1", "ENSG00000000001.2", "other"].map(String::from);
    let input = |name: &str, gene: usize| {
        let path = at(name);
        let entries = [(0, gene, 7.0), (0, 2, 5.0)];
        write_named(&path, &[format!("{name}0")], &genes, &entries);
        path
    };
    let (a, b, c) = (input("a", 0), input("b", 1), input("c", 0));
    let dataset = at("out.slaf");
    let flags = [
        &DROP[..],
        &[
            "--json",
            "--gene-id-version",
            "keep",
            "--allow-duplicate-source",
        ],
    ];
    let flags = flags.concat();
    let report = json(run("convert", &[&a, &b, &c], &flags, Some(&dataset)));
    assert_eq!(cells(&dataset), ["a0", "b0"]);
    // What may be the same is still told.
    assert_eq!(warnings(&report).len(), 1, "{report}");
    let appended = at("appended.slaf");
    run("convert", &[&a], &["-q"], Some(&appended)).succeeded();
    run("append", &[&b], &flags, Some(&appended)).succeeded();
    run("append", &[&c], &flags, Some(&appended)).succeeded();
    assert_eq!(cells(&appended), ["a0", "b0"]);
}
