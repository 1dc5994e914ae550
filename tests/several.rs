//! Promise: genes and columns of inputs are joined by identifier or name, never by position.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use slaf::dataset::Dataset;
use slaf::table::TableName;

use crate::support::dataset::{assert_no_orphans, integers, table, texts};
use crate::support::h5ad_writer::{add_texts, write_named};
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::{Named, convert, named, smalls};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn genes_are_joined_by_name(
        smalls in smalls(),
        join in prop_oneof![Just("exact"), Just("outer"), Just("inner")],
        fragment_rows in prop_oneof![Just("3"), Just("100000000")],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut inputs = Vec::new();
        for (number, small) in smalls.iter().enumerate() {
            inputs.push(folder.path().join(format!("{number}.h5ad")));
            small.write(&inputs[number], &format!("{number}-"));
        }
        let output = folder.path().join("out.slaf");
        let flags = ["--join", join, "--fragment-rows", fragment_rows, "--allow-duplicate-source"];
        let run = convert(&inputs, &output, &flags);
        let sets: Vec<std::collections::BTreeSet<&String>> =
            smalls.iter().map(|small| small.genes.iter().collect()).collect();
        if join == "exact" && sets.windows(2).any(|pair| pair[0] != pair[1]) {
            prop_assert_eq!(run.code, Some(3), "{}", run.stderr);
            prop_assert!(run.stderr.contains("--join outer"), "{}", run.stderr);
            return Ok(());
        }
        let kept = |gene: &String| join != "inner" || sets.iter().all(|set| set.contains(gene));
        if !sets[0].iter().any(|gene| kept(gene)) {
            prop_assert_eq!(run.code, Some(3), "{}", run.stderr);
            prop_assert!(run.stderr.contains("none of the genes"), "{}", run.stderr);
            return Ok(());
        }
        run.succeeded();
        let mut wanted: Named = Vec::new();
        for (number, small) in smalls.iter().enumerate() {
            for (cell, values) in small.cells.iter().enumerate() {
                for &(gene, value) in values {
                    if kept(&small.genes[gene]) {
                        let gene = small.genes[gene].clone();
                        wanted.push((format!("{number}-{cell}"), gene, f64::from(value)));
                    }
                }
            }
        }
        wanted.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        prop_assert_eq!(named(&output), wanted);
        assert_no_orphans(&output);
        let mut verify = slaf(&["verify"]);
        verify.arg(&output).arg("--against").args(&inputs);
        let run = Run::of(&mut verify);
        prop_assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    }
}

/// Two inputs may have the same list of names but refer to different genes: the join key decides,
/// in whatever order inputs with either list are given.
#[test]
fn genes_are_joined_by_their_stable_identifiers_where_all_have_them() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..3).map(|gene| format!("g{gene}")).collect();
    let orders = [[0, 1, 2], [2, 0, 1], [2, 0, 1], [0, 1, 2], [1, 2, 0]];
    let mut inputs = Vec::new();
    for (number, order) in orders.iter().enumerate() {
        let input = folder.path().join(format!("{number}.h5ad"));
        let cell = [format!("c{number}")];
        let value = |gene: usize| (10 * number + gene + 1) as f32;
        let entries: Vec<_> = (0..3).map(|at| (0, at, value(order[at]))).collect();
        write_named(&input, &cell, &names, &entries);
        add_texts(&input, "var/gene_ids", 3, |at| format!("ENSG{}", order[at]));
        inputs.push(input);
    }
    let wanted = |by_stable: bool| -> Named {
        let all = orders.iter().enumerate().flat_map(|(number, order)| {
            (0..3).map(move |at| {
                let gene = if by_stable { order[at] } else { at };
                let value = (10 * number + order[at] + 1) as f64;
                (format!("c{number}"), format!("g{gene}"), value)
            })
        });
        let mut all: Named = all.collect();
        all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        all
    };
    let output = folder.path().join("out.slaf");
    for (flags, by_stable) in [(&[][..], true), (&["--gene-key", "gene_id"][..], false)] {
        for join in ["exact", "outer", "inner"] {
            let flags = [flags, &["--join", join, "--overwrite"]].concat();
            convert(&inputs, &output, &flags).succeeded();
            assert_eq!(named(&output), wanted(by_stable), "{flags:?}");
        }
    }
}

fn demo() -> PathBuf {
    repository("fixtures/h5ad/demo.h5ad")
}

#[test]
fn the_same_input_or_the_same_cells_twice_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let twice = [demo(), demo()];
    let run = convert(&twice, &output, &[]).refused(3);
    assert!(
        run.stderr.contains("--allow-duplicate-source"),
        "{}",
        run.stderr
    );
    let run = convert(&twice, &output, &["--allow-duplicate-source"]).refused(3);
    assert!(run.stderr.contains("200 cells"), "{}", run.stderr);
    assert!(run.stderr.contains("--cell-id-prefix"), "{}", run.stderr);
    let flags = ["--allow-duplicate-source", "--allow-duplicate-cells"];
    convert(&twice, &output, &flags).succeeded();
    let config = Dataset::open(&output).unwrap().config().clone();
    assert_eq!(config.array_shape, [400, 300]);
    let sources = config.multi_file.unwrap().source_files;
    assert_eq!((sources[1].n_cells, sources[1].cell_offset), (200, 200));
}

#[test]
fn cells_are_labelled() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let list = folder.path().join("inputs.txt");
    let demo = demo();
    let text = format!("# two donors\n{0}\td1\n{0}\td2\n", demo.display());
    std::fs::write(&list, text).unwrap();
    let flags = [
        "--inputs",
        list.to_str().unwrap(),
        "--allow-duplicate-source",
        "--cell-id-prefix",
        "{source}:",
        "--add-column",
        "tissue=blood",
    ];
    convert(&[], &output, &flags).succeeded();
    let cells = table(&output, TableName::Cells);
    let column = |name: &str| texts(cells.column_by_name(name).unwrap());
    assert!(column("cell_id")[200].as_ref().unwrap().starts_with("d2:"));
    assert_eq!(column("source_file")[199].as_deref(), Some("d1"));
    assert!(
        column("tissue")
            .iter()
            .all(|text| text.as_deref() == Some("blood"))
    );
    let ids = integers(cells.column_by_name("cell_integer_id").unwrap());
    assert_eq!(ids, (0..400).collect::<Vec<_>>());
}

#[test]
fn columns_are_joined_by_name_and_type() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let inputs = [
        repository("fixtures/h5ad/columns_kinds.h5ad"),
        repository("fixtures/h5ad/columns_numbers.h5ad"),
    ];
    let flags = ["--join", "outer", "--cell-id-prefix", "{source}"];
    let run = convert(&inputs, &output, &flags).refused(3);
    assert!(run.stderr.contains("--obs-join outer"), "{}", run.stderr);
    let flags = [&flags[..], &["--obs-join", "outer", "--var-join", "outer"]].concat();
    convert(&inputs, &output, &flags).succeeded();
    let mut verify = slaf(&["verify"]);
    let run = Run::of(verify.arg(&output).arg("--against").args(&inputs));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

#[test]
fn everything_twice() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let everything = repository("fixtures/h5ad/everything.h5ad");
    let inputs = [everything.clone(), everything];
    let flags = [
        "--allow-duplicate-source",
        "--cell-id-prefix",
        "{source}",
        "--allow-duplicate-cells",
    ];
    convert(&inputs, &output, &flags).succeeded();
    let config = Dataset::open(&output).unwrap().config().clone();
    assert_eq!(config.layers.unwrap().available.len(), 3);
    assert!(
        config.varp.is_none(),
        "it belongs to the genes of one input"
    );
    let pairs = rows_of_pairs(&output);
    let half = pairs.len() / 2;
    let moved: Vec<(i64, i64)> = pairs[..half].iter().map(|(i, j)| (i + 8, j + 8)).collect();
    assert_eq!(pairs[half..], moved);
    let run = Run::of(slaf(&["verify"]).arg(&output));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

fn rows_of_pairs(dataset: &Path) -> Vec<(i64, i64)> {
    let batch = table(dataset, TableName::Obsp);
    let [i, j] = [batch.column(0), batch.column(1)].map(integers);
    i.into_iter().zip(j).collect()
}
