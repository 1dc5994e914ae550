//! Promise: a dataset that an earlier version wrote can be opened, is intact, and can be appended
//! to.
//!
//! `fixtures/slaf/FIXTURE_VERSION.slaf.tar.gz` are such datasets, made by that version from
//! `fixtures/h5ad/FIXTURE.h5ad`. They are never rewritten; a new format adds another one.

use std::path::{Path, PathBuf};

use slaf::dataset::Dataset;
use slaf::table::TableName;

use super::inputs::copy;
use crate::support::dataset::{assert_no_orphans, same, table, tables_of, texts, triplets};
use crate::support::expectation::Expectation;
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::soma::unpack;

/// Returns the datasets, unpacked into a folder, and what they were made from.
fn datasets(folder: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(repository("fixtures/slaf")).unwrap() {
        let archive = entry.unwrap().path();
        let name = archive.file_name().unwrap().to_str().unwrap();
        let name = name.strip_suffix(".slaf.tar.gz").unwrap();
        let (fixture, _) = name.rsplit_once('_').unwrap();
        let dataset = folder.join(format!("{name}.slaf"));
        unpack(&archive, &dataset);
        let fixture = repository(&format!("fixtures/h5ad/{fixture}.h5ad"));
        found.push((dataset, fixture));
    }
    assert!(!found.is_empty());
    found
}

#[test]
fn old_datasets_open_verify_and_grow() {
    let folder = tempfile::tempdir().unwrap();
    for (dataset, fixture) in datasets(folder.path()) {
        let input = folder.path().join(fixture.file_name().unwrap());
        copy(&fixture, &input);
        let expected = Expectation::beside(&fixture).triplets();
        let opened = Dataset::open(&dataset).unwrap();
        let [cells, _] = opened.config().array_shape;
        assert!(same(&triplets(&dataset), &expected));
        let names = tables_of(&dataset);
        for name in [TableName::Layers, TableName::Obsp, TableName::Varp] {
            assert!(names.contains(&name), "{name:?}");
        }
        assert!(dataset.join("uns.json").exists());
        for verb in [&["info"][..], &["verify"], &["info", "--json"]] {
            Run::of(slaf(verb).arg(&dataset)).succeeded();
        }
        let verify = ["verify", "-q", "--against"];
        let mut against = slaf(&verify[..2]);
        Run::of(against.arg(&dataset).arg(verify[2]).arg(&input)).succeeded();

        let mut append = slaf(&["append", "-q"]);
        append.arg(&input).arg(&dataset);
        append.args(["--cell-id-prefix=again-", "--allow-duplicate-source"]);
        Run::of(&mut append).succeeded();
        let mut wanted = expected.clone();
        wanted.extend(
            expected
                .iter()
                .map(|&(cell, gene, value)| (cell + cells, gene, value)),
        );
        assert!(same(&triplets(&dataset), &wanted));
        let ids = table(&dataset, TableName::Cells);
        let ids = texts(ids.column_by_name("cell_id").unwrap());
        let (old, new) = ids.split_at(usize::try_from(cells).unwrap());
        let again = |id: &Option<String>| id.as_ref().map(|id| format!("again-{id}"));
        assert_eq!(new, old.iter().map(again).collect::<Vec<_>>());
        assert_no_orphans(&dataset);
        Run::of(slaf(&["verify", "-q"]).arg(&dataset)).succeeded();
    }
}
