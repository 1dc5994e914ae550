//! Exports in parts: file after file, by several workers, and on after a kill.

use std::path::Path;

use slaf::chunk::Digest;

use super::{config, dataset, digest, export, exported, names, reconverted};
use crate::support::program::Run;
use crate::support::repository;

/// The lines of a manifest: file, cells, rows, digest, value.
fn manifest(folder: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(folder.join("manifest.tsv")).unwrap();
    let mut lines = text
        .lines()
        .map(|line| line.split('\t').map(String::from).collect());
    assert_eq!(
        lines.next(),
        Some(
            ["file", "cells", "rows", "digest", "value"]
                .map(String::from)
                .to_vec()
        )
    );
    lines.collect()
}

fn sum(lines: &[Vec<String>]) -> String {
    let mut sum = Digest::default();
    for line in lines {
        sum.add(line[3].parse().unwrap());
    }
    sum.to_string()
}

#[test]
fn parts_hold_all_cells_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = dataset(folder.path(), 250, 300, 20);
    for (to, ending) in [("h5ad", ".h5ad"), ("10x-h5", ".h5"), ("10x-mtx", "")] {
        let out = at(to);
        let summary = exported(&dataset, &out, &["--to", to, "--cells-per-file", "100"]);
        assert_eq!(
            (&summary["files"], &summary["cells"]),
            (&3.into(), &250.into())
        );
        assert_eq!(summary["digest"], digest(&dataset).as_str());
        let lines = manifest(&out);
        let files: Vec<String> = (0..3).map(|n| format!("part-0000{n}{ending}")).collect();
        let listed: Vec<&String> = lines.iter().map(|line| &line[0]).collect();
        assert_eq!(listed, files.iter().collect::<Vec<_>>());
        assert_eq!(names(&out).len(), 4);
        assert_eq!(sum(&lines), digest(&dataset));
        for line in &lines {
            let again = at("again.slaf");
            reconverted(&out.join(&line[0]), &again);
            let part = config(&again);
            assert_eq!(part.n_cells.to_string(), line[1]);
            assert_eq!(part.metadata.expression_count.to_string(), line[2]);
            assert_eq!(digest(&again), line[3], "{to}");
            std::fs::remove_dir_all(again).unwrap();
        }
    }
    // All parts together are the dataset.
    let parts: Vec<_> = (0..3)
        .map(|n| at("h5ad").join(format!("part-0000{n}.h5ad")))
        .collect();
    let mut command = crate::support::program::slaf(&["convert", "-q"]);
    command.args(&parts).arg(at("all.slaf"));
    Run::of(&mut command).succeeded();
    assert_eq!(
        config(&at("all.slaf")).array_shape,
        config(&dataset).array_shape
    );
    let triplets = crate::support::dataset::triplets;
    assert_eq!(triplets(&at("all.slaf")), triplets(&dataset));
}

#[test]
fn cells_of_a_value_lie_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let whole = at("d.slaf");
    reconverted(&repository("fixtures/h5ad/everything.h5ad"), &whole);
    let reader = slaf::open(&whole).unwrap();
    let column = reader.description().obs.iter();
    let mut column =
        column.filter(|c| matches!(c.kind, slaf::source::ColumnKind::Categorical { .. }));
    let column = column.next().unwrap().name.clone();
    let values = reader
        .obs(..)
        .unwrap()
        .column_by_name(&column)
        .unwrap()
        .clone();
    let values = arrow::compute::cast(&values, &arrow::datatypes::DataType::Utf8).unwrap();
    let values = crate::support::dataset::texts(&values);
    let ids = reader.obs_names(..).unwrap();
    let summary = exported(&whole, &at("out"), &["--split-by", &column]);
    assert_eq!(summary["digest"], digest(&whole).as_str());
    for line in manifest(&at("out")) {
        let part = slaf::open(at("out").join(&line[0])).unwrap();
        let found = part.obs_names(..).unwrap();
        let wanted: Vec<&str> = (0..values.len())
            .filter(|&row| values[row].clone().unwrap_or_default() == line[4])
            .map(|row| ids.value(row))
            .collect();
        assert_eq!(
            found.iter().flatten().collect::<Vec<_>>(),
            wanted,
            "{line:?}"
        );
        assert_eq!(wanted.len().to_string(), line[1]);
        // What is pairwise is of these cells alone.
        for pairs in &part.description().obsp {
            let matrix = part
                .obsp(pairs.name.key())
                .rows(..)
                .to_csr(0..part.n_obs())
                .unwrap();
            assert_eq!(matrix.shape(), (wanted.len(), wanted.len()));
        }
    }
    let run = Run::of(&mut export(&whole, &at("no"), &["--split-by", "nobody"])).refused(3);
    assert!(
        run.stderr.contains("nobody") && run.stderr.contains(&column),
        "{}",
        run.stderr
    );
    assert!(!at("no").exists());
}

#[test]
fn a_killed_export_goes_on_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = dataset(folder.path(), 120, 60, 9);
    let flags = ["--cells-per-file", "20"];
    exported(&dataset, &at("whole"), &flags);
    let mut points: Vec<String> = Vec::new();
    for point in slaf::failpoint::EXPORT
        .into_iter()
        .chain([slaf::failpoint::EXPORT_PART])
    {
        points.extend((1..=6).step_by(2).map(|number| format!("{point}:{number}")));
    }
    for point in points {
        let out = at("out");
        let run = Run::of(export(&dataset, &out, &flags).env("SLAF_FAIL_AT", &point));
        assert_eq!(run.code, None, "{point}: {}", run.stderr);
        assert!(!out.join("manifest.tsv").exists());
        let before = names(&out)
            .iter()
            .filter(|name| name.starts_with("part-"))
            .count();
        let summary = exported(&dataset, &out, &flags);
        let earlier = summary["earlier_files"].as_u64().unwrap();
        // The file that had its name, but was not noted, is written again.
        assert!(
            earlier <= before as u64 && earlier + 1 >= before as u64,
            "{point}"
        );
        assert_eq!(names(&out), names(&at("whole")), "{point}");
        for name in names(&out) {
            let read = |folder: &str| std::fs::read(at(folder).join(&name)).unwrap();
            assert!(read("out") == read("whole"), "{point}: {name}");
        }
        std::fs::remove_dir_all(out).unwrap();
    }
    // Another export does not go on with it, and a complete one is not replaced.
    let run = export(&dataset, &at("out"), &flags)
        .env("SLAF_FAIL_AT", "export-part-noted:2")
        .status();
    assert!(!run.unwrap().success());
    let run = Run::of(&mut export(
        &dataset,
        &at("out"),
        &["--cells-per-file", "30"],
    ))
    .refused(3);
    assert!(run.stderr.contains("unfinished"), "{}", run.stderr);
    let run = Run::of(&mut export(&dataset, &at("whole"), &flags)).refused(3);
    assert!(run.stderr.contains("complete"), "{}", run.stderr);
    std::fs::write(at("whole/mine.txt"), "mine").unwrap();
    std::fs::remove_file(at("whole/manifest.tsv")).unwrap();
    let run = Run::of(&mut export(&dataset, &at("whole"), &flags)).refused(3);
    assert!(run.stderr.contains("mine.txt"), "{}", run.stderr);
}

#[test]
fn workers_write_other_files_and_the_last_one_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = dataset(folder.path(), 110, 60, 9);
    let flags = ["--cells-per-file", "10"];
    exported(&dataset, &at("whole"), &flags);
    let mut running = Vec::new();
    for shard in ["3/3", "1/3", "2/3"] {
        let flags = [&flags[..], &["--shard", shard]].concat();
        running.push(export(&dataset, &at("out"), &flags).spawn().unwrap());
    }
    for mut worker in running {
        assert!(worker.wait().unwrap().success());
    }
    assert_eq!(names(&at("out")), names(&at("whole")));
    assert_eq!(manifest(&at("out")), manifest(&at("whole")));
    let run = Run::of(&mut export(&dataset, &at("x.h5ad"), &["--shard", "1/2"])).refused(2);
    assert!(run.stderr.contains("--cells-per-file"), "{}", run.stderr);
    let run = Run::of(&mut export(
        &dataset,
        &at("x"),
        &["--cells-per-file", "5", "--shard", "3/2"],
    ));
    assert_eq!(run.code, Some(2));
}
