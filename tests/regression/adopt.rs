//! Changes that other programs made to a dataset: `append` kept ending with 75, and `verify` with
//! 4, because newer versions of the tables were never adopted as described ones.

use std::path::{Path, PathBuf};

use slaf::dataset::{Dataset, DatasetConfig};
use slaf::table::TableName;

use crate::append::append;
use crate::support::dataset::{Contents, integers, table, texts};
use crate::support::h5ad_writer::write_named;
use crate::support::program::{Run, slaf};
use crate::support::python;
use crate::support::small::convert;

pub(super) const CELLS: usize = 30;

/// An input of thirty cells that no other has.
pub(super) fn input(folder: &Path, number: usize) -> PathBuf {
    let path = folder.join(format!("in{number}.h5ad"));
    let cells: Vec<String> = (0..CELLS).map(|cell| format!("{number}-{cell}")).collect();
    let genes: Vec<String> = (0..6).map(|gene| format!("g{gene}")).collect();
    let entries: Vec<_> = (0..CELLS)
        .flat_map(|cell| {
            let value = (1 + (cell + number) % 9) as f32;
            [(cell, cell % 3, value), (cell, 3 + cell % 3, value + 1.0)]
        })
        .collect();
    write_named(&path, &cells, &genes, &entries);
    path
}

/// A dataset of two inputs, in several fragments.
pub(super) fn begin(folder: &Path, flags: &[&str]) -> PathBuf {
    let dataset = folder.join("data.slaf");
    let flags = [&["--fragment-rows", "20"], flags].concat();
    convert(&[input(folder, 0)], &dataset, &flags).succeeded();
    append(&[input(folder, 1)], &dataset, &["--fragment-rows", "20"]).succeeded();
    dataset
}

/// Has another program change the dataset; `false` where there is no Python.
pub(super) fn other(dataset: &Path, action: &str, arguments: &[&str]) -> bool {
    for _ in 0..20 {
        let given = [Path::new(action), dataset].into_iter();
        let given = given.chain(arguments.iter().map(Path::new));
        match python::run("other_program.py", given) {
            // slafdb reads ahead in a thread, which sometimes still holds what it wants to change.
            Some((false, text)) if text.contains("Already borrowed") => {}
            Some((done, text)) => {
                assert!(done, "{action} {arguments:?}: {text}");
                return true;
            }
            None => return false,
        }
    }
    panic!("{action} {arguments:?}: slafdb stands in its own way each time");
}

pub(super) fn verify(dataset: &Path) -> Run {
    Run::of(slaf(&["verify"]).arg(dataset))
}

/// Checks that nothing is wrong, and that everything is described.
pub(super) fn whole(dataset: &Path) {
    let run = verify(dataset);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    assert!(!run.stdout.contains("not described"), "{}", run.stdout);
}

/// Checks that nothing is wrong, and that this is not described.
pub(super) fn undescribed(dataset: &Path, what: &str) {
    let run = verify(dataset);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let told = |text: &str| text.contains("not described") && text.contains(what);
    assert!(told(&run.stdout), "{what}: {}", run.stdout);
    let info = Run::of(slaf(&["info"]).arg(dataset)).succeeded();
    assert!(info.stdout.contains("undescribed"), "{}", info.stdout);
    assert!(info.stdout.contains(what), "{what}: {}", info.stdout);
}

pub(super) fn adopt(dataset: &Path, flags: &[&str]) -> Run {
    Run::of(slaf(&["adopt"]).arg(dataset).args(flags))
}

pub(super) fn config(dataset: &Path) -> DatasetConfig {
    Dataset::open(dataset).unwrap().config().clone()
}

fn missing(dataset: &Path, name: TableName, column: &str) -> usize {
    table(dataset, name)
        .column_by_name(column)
        .unwrap()
        .null_count()
}

/// Harmless changes: what is done, with which arguments, the table, and the column that it adds.
const HARMLESS: [(&str, &[&str], &str, &str); 11] = [
    ("obs", &["label"], "cells", "label"),
    ("text", &["cluster"], "cells", "cluster"),
    ("obsm", &["X_pca"], "cells", "X_pca"),
    ("var", &["score"], "genes", "score"),
    ("varm", &["PCs"], "genes", "PCs"),
    (
        "add",
        &["cells", "twice", "cell_integer_id * 2"],
        "cells",
        "twice",
    ),
    (
        "add",
        &["genes", "name", "concat(gene_id, '!')"],
        "genes",
        "name",
    ),
    (
        "add",
        &["expression", "half", "value / 2"],
        "expression",
        "half",
    ),
    ("index", &["cells", "cell_id"], "cells", ""),
    ("compact", &["expression", "1000"], "expression", ""),
    ("compact", &["cells", "1000"], "cells", ""),
];

#[test]
fn what_others_add_is_adopted_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    for (number, (action, arguments, name, column)) in HARMLESS.into_iter().enumerate() {
        let by = if number % 3 == 0 { "adopt" } else { "append" };
        begin(folder.path(), &[]);
        if !other(&dataset, action, arguments) {
            return;
        }
        undescribed(&dataset, if column.is_empty() { name } else { column });
        if by == "adopt" {
            adopt(&dataset, &[]).succeeded();
            whole(&dataset);
            assert!(adopt(&dataset, &[]).succeeded().stdout.contains("nothing"));
        }
        append(&[input(folder.path(), 2)], &dataset, &[]).succeeded();
        whole(&dataset);
        let config = config(&dataset);
        assert_eq!(config.n_cells, 3 * CELLS as u64);
        assert_eq!(config.jobs.len(), if by == "adopt" { 4 } else { 3 });
        if !column.is_empty() {
            assert_eq!(config.added_columns[name], [column], "{action}");
            if name != "expression" {
                let lists = [&config.obs, &config.obsm, &config.var, &config.varm];
                let mut lists = lists.into_iter().flatten();
                assert!(lists.any(|keys| keys.mutable.contains(&column.to_string())));
            }
        }
        match (name, column) {
            (_, "") => {}
            ("cells", column) => {
                assert_eq!(missing(&dataset, TableName::Cells, column), CELLS);
            }
            ("genes", column) => assert_eq!(missing(&dataset, TableName::Genes, column), 0),
            (_, column) => {
                assert_eq!(missing(&dataset, TableName::Expression, column), 2 * CELLS);
            }
        }
        std::fs::remove_dir_all(&dataset).unwrap();
    }
}

#[test]
fn compacted_tables_are_put_in_order_again() {
    // Lance renumbers the fragments it compacts, and sorts fragments by number.
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path(), &[]);
    append(
        &[input(folder.path(), 2)],
        &dataset,
        &["--fragment-rows", "500"],
    )
    .succeeded();
    let before = table(&dataset, TableName::Expression);
    if !other(&dataset, "compact", &["expression", "50"]) {
        return;
    }
    undescribed(&dataset, "written anew");
    let run = adopt(&dataset, &[]).succeeded();
    whole(&dataset);
    let after = table(&dataset, TableName::Expression);
    for column in 0..3 {
        let [before, after] = [&before, &after].map(|rows| integers(rows.column(column)));
        assert_eq!(before, after, "{}", run.stdout);
    }
    assert!(other(&dataset, "look", &[]));
}

#[test]
fn layers_and_pairs_of_slafdb_are_adopted() {
    // With unsigned columns: slafdb's joins expect the types that it writes itself.
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path(), &[]);
    for (action, name) in [("layer", "logged"), ("obsp", "near"), ("layer", "again")] {
        if !other(&dataset, action, &[name]) {
            return;
        }
        undescribed(&dataset, name);
        let number = config(&dataset).sources.len();
        append(&[input(folder.path(), number)], &dataset, &[]).succeeded();
        whole(&dataset);
        assert!(other(&dataset, "look", &[]));
    }
    let config = config(&dataset);
    assert_eq!(config.layers.unwrap().mutable, ["again", "logged"]);
    assert_eq!(config.obsp.unwrap().available, ["near"]);
    assert_eq!(config.tables["cellsxcells"], "cellsxcells.lance");
    assert!(config.sources[0].digests.contains_key("layers/logged"));
}

#[test]
fn slafdb_annotates_slaf_appends_slafdb_reads_ten_times() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path(), &["--dtypes", "signed"]);
    for round in 2..12 {
        let cells = ((round + 1) * CELLS).to_string();
        let label = format!("label{round}");
        // What is new each time, and what is overwritten.
        if !other(&dataset, "obs", &[&label]) {
            return;
        }
        other(&dataset, "text", &["cluster"]);
        other(&dataset, "obsm", &["X_pca"]);
        other(&dataset, "layer", &["logged"]);
        other(&dataset, "uns", &[&label]);
        other(
            &dataset,
            "uns",
            &["params", &format!("{{\"round\": {round}}}")],
        );
        append(&[input(folder.path(), round)], &dataset, &[]).succeeded();
        whole(&dataset);
        let looked = python::run(
            "other_program.py",
            [
                "look",
                &dataset.to_string_lossy(),
                &label,
                "cluster",
                "X_pca",
                "params",
            ]
            .map(Path::new),
        );
        let (done, text) = looked.unwrap();
        assert!(done && text.contains(&format!("cells {cells}")), "{text}");
    }
    other(&dataset, "forget", &["label2"]);
    append(&[input(folder.path(), 12)], &dataset, &[]).succeeded();
    whole(&dataset);
    assert!(
        table(&dataset, TableName::Cells)
            .column_by_name("label2")
            .is_none()
    );
}

#[test]
fn changed_values_are_refused_and_named_and_can_be_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    let changes: [(&str, &[&str], &[&str]); 4] = [
        (
            "delete",
            &["expression", "cell_integer_id = 5"],
            &["2 rows are gone", "5"],
        ),
        (
            "update",
            &["expression", "value", "value + 1", "cell_integer_id = 7"],
            &["2 rows have other values in value", "7"],
        ),
        (
            "update",
            &[
                "cells",
                "source_file",
                "'other.h5ad'",
                "cell_integer_id = 3",
            ],
            &["1 rows have other values in source_file", "3"],
        ),
        (
            "update",
            &["genes", "gene_id", "'other'", "gene_integer_id = 2"],
            &["1 rows have other values in gene_id", "2"],
        ),
    ];
    for (action, arguments, told) in changes {
        begin(folder.path(), &[]);
        if !other(&dataset, action, arguments) {
            return;
        }
        let run = verify(&dataset);
        assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
        let before = Contents::of(&dataset);
        for refused in [
            append(&[input(folder.path(), 2)], &dataset, &[]).refused(3),
            Run::of(slaf(&["adopt"]).arg(&dataset)).refused(3),
        ] {
            let folder = format!("{}.lance, version", arguments[0]);
            for told in [told, &[&folder, "--accept-changes", "slaf verify"]].concat() {
                assert!(refused.stderr.contains(told), "{told}: {}", refused.stderr);
            }
        }
        for told in told {
            assert!(run.stdout.contains(told), "{told}: {}", run.stdout);
        }
        assert_eq!(Contents::of(&dataset), before);
        adopt(&dataset, &["--accept-changes"]).succeeded();
        whole(&dataset);
        append(&[input(folder.path(), 2)], &dataset, &["--join", "outer"]).succeeded();
        std::fs::remove_dir_all(&dataset).unwrap();
    }
}

#[test]
fn cells_that_were_deleted_cannot_be_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path(), &[]);
    if !other(&dataset, "delete", &["cells", "cell_integer_id in (4, 9)"]) {
        return;
    }
    let refused = append(&[input(folder.path(), 2)], &dataset, &[]).refused(3);
    assert!(
        refused.stderr.contains("2 cells are gone: 4, 9"),
        "{}",
        refused.stderr
    );
    assert_eq!(verify(&dataset).code, Some(4));
    let refused = Run::of(slaf(&["adopt", "--accept-changes"]).arg(&dataset)).refused(3);
    assert!(refused.stderr.contains("restore"), "{}", refused.stderr);
}

#[test]
fn versions_that_were_cleaned_up_are_known_by_their_digest() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path(), &[]);
    for name in ["cells", "expression", "genes"] {
        if !other(
            &dataset,
            "add",
            &["cells", &format!("for_{name}"), "cell_integer_id"],
        ) {
            return;
        }
        other(&dataset, "compact", &[name, "1000"]);
        other(&dataset, "clean", &[name]);
        other(&dataset, "clean", &["cells"]);
        undescribed(&dataset, name);
        append(
            &[input(folder.path(), config(&dataset).sources.len())],
            &dataset,
            &[],
        )
        .succeeded();
        whole(&dataset);
    }
    let added = &config(&dataset).added_columns["cells"];
    assert_eq!(added, &["for_cells", "for_expression", "for_genes"]);
}

#[test]
fn an_adopting_append_dies_at_every_point_and_is_finished_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    let original = begin(folder.path(), &[]);
    if !other(&original, "obs", &["label"]) || !other(&original, "layer", &["logged"]) {
        return;
    }
    other(&original, "compact", &["expression", "1000"]);
    let kept = folder.path().join("kept");
    std::fs::rename(&original, &kept).unwrap();
    let copy = |to: &Path| {
        let done = std::process::Command::new("cp")
            .arg("-r")
            .arg(&kept)
            .arg(to)
            .status();
        assert!(done.unwrap().success());
    };
    let third = input(folder.path(), 2);
    for (command, wanted_jobs) in [("append", 3), ("adopt", 3)] {
        let dataset = folder.path().join(format!("{command}.slaf"));
        let run = |point: Option<&str>| {
            let mut run = slaf(&[command, "-q"]);
            if command == "append" {
                run.arg(&third);
            }
            run.arg(&dataset);
            if let Some(point) = point {
                run.env("SLAF_FAIL_AT", point);
            }
            Run::of(&mut run)
        };
        copy(&dataset);
        run(None).succeeded();
        whole(&dataset);
        let new = Contents::of(&dataset);
        assert_eq!(config(&dataset).jobs.len(), wanted_jobs);
        let mut deaths = 0;
        for point in slaf::failpoint::ALL {
            std::fs::remove_dir_all(&dataset).unwrap();
            copy(&dataset);
            if run(Some(point)).code.is_none() {
                deaths += 1;
                Dataset::open(&dataset).unwrap();
                run(None).succeeded();
            }
            assert_eq!(Contents::of(&dataset), new, "{command} {point}");
            whole(&dataset);
        }
        assert!(deaths >= 6, "{command}: only {deaths} deaths");
    }
}

#[test]
fn what_others_do_to_an_unfinished_append_is_adopted_too() {
    let folder = tempfile::tempdir().unwrap();
    for point in [
        "after-record",
        "after-expression-commit",
        "after-cells-commit",
        "before-config",
    ] {
        let dataset = begin(folder.path(), &[]);
        let third = input(folder.path(), 2);
        let mut command = slaf(&["append", "-q"]);
        command.arg(&third).arg(&dataset).env("SLAF_FAIL_AT", point);
        assert_eq!(Run::of(&mut command).code, None, "{point}");
        if !other(&dataset, "add", &["cells", "label", "cell_integer_id"]) {
            return;
        }
        append(&[third], &dataset, &[]).succeeded();
        append(&[input(folder.path(), 3)], &dataset, &[]).succeeded();
        whole(&dataset);
        let cells = table(&dataset, TableName::Cells);
        assert_eq!(cells.num_rows(), 4 * CELLS, "{point}");
        assert!(cells.column_by_name("label").is_some(), "{point}");
        let ids = texts(cells.column_by_name("cell_id").unwrap());
        let ids: std::collections::BTreeSet<_> = ids.into_iter().collect();
        assert_eq!(ids.len(), 4 * CELLS, "{point}");
        std::fs::remove_dir_all(&dataset).unwrap();
    }
}
