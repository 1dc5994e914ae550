//! Promise: a subset of an input equals that subset of the whole, whatever the format and the
//! layout.

use std::path::{Path, PathBuf};

use slaf::dataset::Dataset;
use slaf::table::TableName;

use crate::support::dataset::{Triplets, assert_no_orphans, integers, table, texts, triplets};
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::{convert, named};

fn verified(dataset: &Path, input: &Path) {
    let mut verify = slaf(&["verify"]);
    let run = Run::of(verify.arg(dataset).arg("--against").arg(input));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

fn names(dataset: &Path, name: TableName, column: &str) -> Vec<String> {
    let batch = table(dataset, name);
    let names = texts(batch.column_by_name(column).unwrap());
    names.into_iter().map(Option::unwrap).collect()
}

#[test]
fn cells_and_genes_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, part] = ["whole.slaf", "part.slaf"].map(|name| folder.path().join(name));
    let demo = [repository("fixtures/h5ad/demo.h5ad")];
    convert(&demo, &whole, &[]).succeeded();
    let cells = table(&whole, TableName::Cells);
    let counts = integers(cells.column_by_name("n_counts").unwrap());
    let types = texts(cells.column_by_name("cell_type").unwrap());
    let chosen = types[0].clone().unwrap();
    let genes = names(&whole, TableName::Genes, "gene_id");
    // In another order than the input's, and including a name that it lacks.
    let list = format!("{},nobody,{},{}", genes[200], genes[7], genes[8]);
    let condition = format!("cell_type = '{chosen}' AND n_counts > 40");
    let flags = ["--where", &condition, "--genes", &list, "--limit", "20"];
    let run = convert(&demo, &part, &flags).succeeded();
    assert!(run.stdout.is_empty());
    let kept: Vec<usize> = (0..counts.len())
        .filter(|&cell| types[cell].as_deref() == Some(&chosen) && counts[cell] > 40)
        .take(20)
        .collect();
    assert!(kept.len() > 3, "the demo has such cells");
    let ids = names(&whole, TableName::Cells, "cell_id");
    let wanted: Vec<String> = kept.iter().map(|&cell| ids[cell].clone()).collect();
    assert_eq!(names(&part, TableName::Cells, "cell_id"), wanted);
    let kept_genes = [7, 8, 200].map(|gene: usize| genes[gene].clone());
    assert_eq!(names(&part, TableName::Genes, "gene_id"), kept_genes);
    let of_part =
        |row: &(String, String, f64)| wanted.contains(&row.0) && kept_genes.contains(&row.1);
    let rows: Vec<_> = named(&whole).into_iter().filter(of_part).collect();
    assert_eq!(named(&part), rows);
    let source = &Dataset::open(&part).unwrap().config().sources[0].clone();
    assert!(
        source
            .warnings
            .iter()
            .any(|warning| warning.contains("nobody"))
    );
    assert!(
        source
            .converted
            .iter()
            .any(|note| note.reason.contains("of 200 cells"))
    );
    verified(&part, &demo[0]);
}

/// Rows of the expression table of every third cell and some genes, renumbered.
fn part_of(whole: &[(u64, u64, f64)], cells: &[u64], genes: &[u64]) -> Triplets {
    let place = |list: &[u64], id: u64| list.iter().position(|&other| other == id);
    let part = whole.iter().filter_map(|&(cell, gene, value)| {
        Some((
            place(cells, cell)? as u64,
            place(genes, gene)? as u64,
            value,
        ))
    });
    part.collect()
}

#[test]
fn every_layout_gives_the_same_part() {
    let folder = tempfile::tempdir().unwrap();
    for fixture in ["csr_gzip", "csc_gzip", "dense_gzip", "everything"] {
        let input = repository(&format!("fixtures/h5ad/{fixture}.h5ad"));
        let [whole, part] =
            ["whole", "part"].map(|name| folder.path().join(format!("{fixture}-{name}.slaf")));
        convert(std::slice::from_ref(&input), &whole, &[]).succeeded();
        let cells = names(&whole, TableName::Cells, "cell_id");
        let genes = names(&whole, TableName::Genes, "gene_id");
        let kept_cells: Vec<u64> = (0..cells.len() as u64).step_by(3).collect();
        let kept_genes: Vec<u64> = (0..genes.len() as u64).skip(1).step_by(2).collect();
        let quoted: Vec<String> = kept_cells
            .iter()
            .map(|&cell| format!("'{}'", cells[cell as usize]))
            .collect();
        let condition = format!("cell_id IN ({})", quoted.join(", "));
        let list = folder.path().join("genes.txt");
        let lines: Vec<&str> = kept_genes
            .iter()
            .map(|&g| genes[g as usize].as_str())
            .collect();
        std::fs::write(&list, lines.join("\n")).unwrap();
        let flags = ["--where", &condition, "--genes", list.to_str().unwrap()];
        let flags = [&flags[..], &["--fragment-rows", "7"]].concat();
        convert(std::slice::from_ref(&input), &part, &flags).succeeded();
        let wanted = part_of(&triplets(&whole), &kept_cells, &kept_genes);
        assert_eq!(triplets(&part), wanted, "{fixture}");
        verified(&part, &input);
    }
}

#[test]
fn text_matrices_too() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("sample");
    std::fs::create_dir(&input).unwrap();
    let write = |file: &str, text: &str| std::fs::write(input.join(file), text).unwrap();
    write("barcodes.tsv", "a\nb\nc\nd\n");
    write("genes.tsv", "E0\tx\nE1\ty\nE2\tz\n");
    let head = "%%MatrixMarket matrix coordinate integer general";
    // Not sorted by cell: it must be transposed.
    let entries = "1 4 7\n1 1 1\n2 2 2\n3 3 3\n3 1 4\n2 4 5\n";
    write("matrix.mtx", &format!("{head}\n3 4 6\n{entries}"));
    let part = folder.path().join("part.slaf");
    let flags = ["--where", "cell_id <> 'b'", "--genes", "x,z"];
    convert(std::slice::from_ref(&input), &part, &flags).succeeded();
    let wanted = [(0, 0, 1.0), (0, 1, 4.0), (1, 1, 3.0), (2, 0, 7.0)];
    assert_eq!(triplets(&part), wanted);
    verified(&part, &input);
    let none = folder.path().join("none.slaf");
    convert(&[input], &none, &["--limit", "0"]).succeeded();
    assert_eq!(Dataset::open(&none).unwrap().config().array_shape, [0, 3]);
}

#[test]
fn a_killed_run_goes_on_with_the_same_part() {
    let folder = tempfile::tempdir().unwrap();
    let demo = [repository("fixtures/h5ad/demo.h5ad")];
    let output = folder.path().join("out.slaf");
    let flags = ["--where", "n_counts > 40", "--fragment-rows", "500"];
    let mut command = slaf(&["convert", "-q"]);
    command.args(&demo).arg(&output).args(flags);
    let run = Run::of(command.env("SLAF_FAIL_AT", "after-record:2"));
    assert_eq!(run.code, None);
    let other = ["--where", "n_counts > 41", "--fragment-rows", "500"];
    convert(&demo, &output, &other).refused(3);
    convert(&demo, &output, &flags).succeeded();
    assert_no_orphans(&output);
    verified(&output, &demo[0]);
}

#[test]
fn what_cannot_be_understood_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let demo: [PathBuf; 1] = [repository("fixtures/h5ad/demo.h5ad")];
    let output = folder.path().join("out.slaf");
    for (flags, expected) in [
        (["--where", "nothing > 3"], "n_counts"),
        (["--where", "n_counts >"], "--where"),
        (["--where", "n_counts"], "neither true nor false"),
        (["--where", "cell_type > 3 AND"], "--where"),
        (["--genes", "nobody"], "nobody"),
    ] {
        let run = convert(&demo, &output, &flags).refused(3);
        assert!(run.stderr.contains(expected), "{flags:?}: {}", run.stderr);
        assert!(!output.exists());
    }
    convert(&demo, &output, &["--genes", " , "]).refused(2);
}
