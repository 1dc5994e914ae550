//! Promise: a dataset is an input like any other, and a dataset made from it has the same contents.

use std::path::{Path, PathBuf};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use slaf::dataset::{Dataset, DatasetConfig};
use slaf::plan::{Dtypes, PlanOptions};
use slaf::source::{self, OpenOptions};
use slaf::table::TableName;

use crate::support::converted::{self, converted, permissive};
use crate::support::dataset::{
    assert_no_orphans, files_below, fragments, table, tables_of, texts, triplets,
};
use crate::support::expectation::Expectation;
use crate::support::program::{Run, slaf};
use crate::support::small::{Small, convert, named};
use crate::support::{described_fixtures, fixtures, python, repository};

fn config(dataset: &Path) -> DatasetConfig {
    Dataset::open(dataset).unwrap().config().clone()
}

/// Returns a table without the columns that describe the input.
fn contents(dataset: &Path, name: TableName) -> RecordBatch {
    let batch = table(dataset, name);
    let kept: Vec<usize> = (0..batch.num_columns())
        .filter(|&column| batch.schema().field(column).name() != "source_file")
        .collect();
    batch.project(&kept).unwrap()
}

/// Checks that two datasets have the same cells, genes and values.
fn same(one: &Path, other: &Path) {
    assert_eq!(tables_of(one), tables_of(other));
    for name in tables_of(one) {
        let (one, other) = (contents(one, name), contents(other, name));
        for (column, field) in one.schema().fields().iter().enumerate() {
            let (one, other) = (one.column(column), other.column(column));
            let of_values = !matches!(name, TableName::Cells | TableName::Genes);
            if of_values && one.data_type() != other.data_type() {
                // What was dropped or summed may have required a wider type.
                let wide = |column| arrow::compute::cast(column, &DataType::Float64).unwrap();
                assert_eq!(&wide(one), &wide(other), "{} {}", name.key(), field.name());
                continue;
            }
            assert_eq!(one, other, "{} {}", name.key(), field.name());
        }
        let names = |batch: &RecordBatch| {
            let fields = batch.schema().fields().clone();
            fields
                .iter()
                .map(|field| field.name().clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&one), names(&other));
    }
    let uns = |dataset: &Path| std::fs::read_to_string(dataset.join("uns.json")).ok();
    assert_eq!(uns(one), uns(other));
    let (one, other) = (config(one), config(other));
    assert_eq!(one.obs_dtypes, other.obs_dtypes);
    assert_eq!(one.var_dtypes, other.var_dtypes);
    assert_eq!(one.column_notes, other.column_notes);
    assert_eq!(one.metadata, other.metadata);
    assert_eq!(one.digests.get("genes"), other.digests.get("genes"));
    let keys = |c: &DatasetConfig| {
        [&c.layers, &c.obsm, &c.varm, &c.obsp, &c.varp].map(|keys| keys.clone())
    };
    assert_eq!(keys(&one), keys(&other));
    let digests = |config: &DatasetConfig| config.sources[0].digests.clone();
    if one.sources.len() == 1 {
        assert_eq!(digests(&one), digests(&other));
        let contents = |config: &DatasetConfig| {
            let hashes = config.cell_hashes.iter();
            hashes
                .map(|h| h.contents.clone().map(|c| c.xxh3))
                .collect::<Vec<_>>()
        };
        assert_eq!(contents(&one), contents(&other));
    }
}

fn reconverted(dataset: &Path, output: &Path, plan: PlanOptions) {
    converted::convert(dataset, OpenOptions::default(), output, plan).unwrap();
    assert_no_orphans(output);
}

fn verified(dataset: &Path, against: &[&Path]) {
    let mut command = slaf(&["verify"]);
    command.arg(dataset);
    if !against.is_empty() {
        command.arg("--against").args(against);
    }
    let run = Run::of(&mut command);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

/// Every fixture, converted to a dataset and that to another one.
#[test]
fn what_is_made_of_a_dataset_is_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = fixtures("fixtures/h5ad", "h5ad");
    all.extend(fixtures("fixtures/10x_h5", "h5"));
    all.extend(fixtures("fixtures/soma", "gz"));
    all.extend(
        described_fixtures("fixtures/10x_mtx")
            .into_iter()
            .step_by(4),
    );
    let (mut tried, mut refused) = (0, Vec::new());
    for fixture in &all {
        println!("{}", fixture.display());
        let dataset = match converted(fixture, &Expectation::beside(fixture).options) {
            Ok(dataset) => dataset,
            // Some cannot be represented in a dataset.
            Err(why) => {
                refused.push((fixture, why));
                continue;
            }
        };
        tried += 1;
        let output = folder.path().join(format!("{tried}.slaf"));
        reconverted(&dataset, &output, permissive());
        same(&dataset, &output);
        std::fs::remove_dir_all(output).unwrap();
    }
    assert!(tried > 180 && refused.len() < 12, "{tried}: {refused:?}");
}

#[test]
fn types_and_fragments_are_chosen_anew() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let everything = repository("fixtures/h5ad/everything.h5ad");
    let narrow = converted(&everything, &Default::default()).unwrap();
    let signed = PlanOptions {
        dtypes: Dtypes::Signed,
        fragment_rows: 5,
        ..permissive()
    };
    reconverted(&narrow, &at("signed.slaf"), signed);
    assert_eq!(triplets(&narrow), triplets(&at("signed.slaf")));
    assert!(fragments(&at("signed.slaf"), TableName::Expression).len() > 2);
    let run = Run::of(slaf(&["info"]).arg(at("signed.slaf"))).succeeded();
    assert!(run.stdout.contains("signed"), "{}", run.stdout);
    // And back, as one fragment.
    reconverted(&at("signed.slaf"), &at("narrow.slaf"), permissive());
    same(&narrow, &at("narrow.slaf"));
    verified(&at("narrow.slaf"), &[&at("signed.slaf")]);
    verified(&at("signed.slaf"), &[&narrow]);
}

fn small(prefix: &str, genes: &[&str], path: &Path) {
    let cells = (0..30u32).map(|cell| {
        let genes = (0..genes.len()).filter(|gene| !(cell as usize + gene).is_multiple_of(3));
        genes.map(|gene| (gene, (1 + cell % 7) as f32)).collect()
    });
    let small = Small {
        genes: genes.iter().map(|gene| gene.to_string()).collect(),
        cells: cells.collect(),
    };
    small.write(path, prefix);
}

#[test]
fn datasets_and_files_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    small("a", &["g1", "g2", "g3"], &at("a.h5ad"));
    small("b", &["g3", "g1", "g4"], &at("b.h5ad"));
    small("c", &["g5", "g2"], &at("c.h5ad"));
    let inputs = ["a.h5ad", "b.h5ad", "c.h5ad"].map(at);
    convert(&inputs[..1], &at("a.slaf"), &[]).succeeded();
    convert(&inputs[1..2], &at("b.slaf"), &[]).succeeded();
    let outer = ["--join", "outer"];
    convert(&inputs, &at("wanted.slaf"), &outer).succeeded();
    let mixed = [at("a.slaf"), at("b.slaf"), at("c.h5ad")];
    convert(&mixed, &at("atlas.slaf"), &outer).succeeded();
    assert_eq!(named(&at("wanted.slaf")), named(&at("atlas.slaf")));
    let mixed: Vec<&Path> = mixed.iter().map(PathBuf::as_path).collect();
    verified(&at("atlas.slaf"), &mixed);
    // Appended to another one, and to one that has been appended to.
    convert(&inputs[2..], &at("grown.slaf"), &[]).succeeded();
    for name in ["a.slaf", "b.slaf"] {
        let mut append = slaf(&["append", "-q", "--join", "outer"]);
        Run::of(append.arg(at(name)).arg(at("grown.slaf"))).succeeded();
    }
    assert_eq!(named(&at("wanted.slaf")), named(&at("grown.slaf")));
    let read = ["c.h5ad", "a.slaf", "b.slaf"].map(at);
    verified(&at("grown.slaf"), &read.each_ref().map(PathBuf::as_path));
    // A dataset of several inputs as a single one: the cells keep their source.
    convert(&[at("grown.slaf")], &at("once.slaf"), &[]).succeeded();
    assert_eq!(named(&at("wanted.slaf")), named(&at("once.slaf")));
    let files = |dataset: &Path, column: &str| {
        let cells = table(dataset, TableName::Cells);
        texts(cells.column_by_name(column).unwrap())
    };
    let from = files(&at("grown.slaf"), "source_file");
    assert_eq!(files(&at("once.slaf"), "source_file_obs"), from);
    verified(&at("once.slaf"), &[&at("grown.slaf")]);
    convert(&[at("once.slaf")], &at("twice.slaf"), &[]).succeeded();
    assert_eq!(files(&at("twice.slaf"), "source_file_obs"), from);
    same(&at("once.slaf"), &at("twice.slaf"));
    // A part of it.
    let flags = ["--where", "source_file = 'b.slaf'", "--genes", "g1,g4"];
    convert(&[at("grown.slaf")], &at("part.slaf"), &flags).succeeded();
    let part = named(&at("part.slaf"));
    let wanted = named(&at("wanted.slaf")).into_iter();
    let wanted: Vec<_> = wanted
        .filter(|(cell, gene, _)| cell.starts_with('b') && ["g1", "g4"].contains(&gene.as_str()))
        .collect();
    assert!(!part.is_empty());
    assert_eq!(part, wanted);
    let run = Run::of(slaf(&["validate"]).arg(at("a.slaf")).arg(at("b.h5ad")));
    assert!(
        run.stdout.contains("a.slaf"),
        "{}{}",
        run.stdout,
        run.stderr
    );
}

/// Of an outer join, cells lack embeddings, columns and layers that others have.
#[test]
fn what_is_missing_stays_missing() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let everything = repository("fixtures/h5ad/everything.h5ad");
    small("b", &["g1", "g2"], &at("b.h5ad"));
    let outer = [
        "--join",
        "outer",
        "--obs-join",
        "outer",
        "--var-join",
        "outer",
    ];
    let outer = [&outer[..], &["--cell-id-prefix", "{source}-"]].concat();
    convert(
        &[everything.clone(), at("b.h5ad")],
        &at("joined.slaf"),
        &outer,
    )
    .succeeded();
    let cells = table(&at("joined.slaf"), TableName::Cells);
    let embedding = config(&at("joined.slaf")).obsm.unwrap().available[0].clone();
    let missing = cells.column_by_name(&embedding).unwrap().null_count();
    assert_eq!(missing, 30, "{embedding}");
    convert(&[at("joined.slaf")], &at("again.slaf"), &[]).succeeded();
    let again = table(&at("again.slaf"), TableName::Cells);
    for field in cells.schema().fields() {
        let column = |batch: &RecordBatch| batch.column_by_name(field.name()).cloned();
        if field.name() != "source_file" {
            assert_eq!(column(&cells), column(&again), "{}", field.name());
        }
    }
    for name in [TableName::Expression, TableName::Layers, TableName::Obsp] {
        assert_eq!(
            table(&at("joined.slaf"), name),
            table(&at("again.slaf"), name)
        );
    }
    verified(&at("again.slaf"), &[&at("joined.slaf")]);
    let flags = ["--limit", "20"];
    convert(&[at("joined.slaf")], &at("part.slaf"), &flags).succeeded();
    let part = table(&at("part.slaf"), TableName::Cells);
    let column = |batch: &RecordBatch| batch.column_by_name(&embedding).cloned().unwrap();
    assert_eq!(&column(&part), &column(&cells).slice(0, 20));
}

#[test]
fn a_layer_takes_the_place_of_x() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let input = [repository("fixtures/h5ad/layers_same.h5ad")];
    convert(&input, &at("all.slaf"), &[]).succeeded();
    let layer = config(&at("all.slaf")).layers.unwrap().available[0].clone();
    let flags = ["--matrix", &layer];
    convert(&input, &at("wanted.slaf"), &flags).succeeded();
    convert(&[at("all.slaf")], &at("found.slaf"), &flags).succeeded();
    assert_eq!(triplets(&at("wanted.slaf")), triplets(&at("found.slaf")));
    let layers = |name: &str| {
        let mut keys = config(&at(name)).layers.unwrap().available;
        keys.sort();
        keys
    };
    assert_eq!(layers("wanted.slaf"), layers("found.slaf"));
    let run = convert(&[at("all.slaf")], &at("x.slaf"), &["--matrix", "nothing"]).refused(3);
    assert!(run.stderr.contains(&layer), "{}", run.stderr);
    let flags = ["--skip", "layers", "--skip", "obsm", "--skip", "uns"];
    convert(&[at("all.slaf")], &at("bare.slaf"), &flags).succeeded();
    assert!(config(&at("bare.slaf")).layers.is_none());
}

#[test]
fn an_output_is_no_input() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("in")).unwrap();
    small("a", &["g1", "g2"], &at("in/a.h5ad"));
    convert(&[at("in/a.h5ad")], &at("in/atlas.slaf"), &[]).succeeded();
    let before = triplets(&at("in/atlas.slaf"));
    let dataset = at("in/atlas.slaf");
    let refused = |run: Run| {
        let run = run.refused(3);
        assert!(run.stderr.contains("atlas.slaf"), "{}", run.stderr);
    };
    refused(convert(std::slice::from_ref(&dataset), &dataset, &[]));
    refused(convert(
        std::slice::from_ref(&dataset),
        &dataset,
        &["--overwrite"],
    ));
    refused(convert(
        std::slice::from_ref(&dataset),
        &dataset.join("x.slaf"),
        &[],
    ));
    let mut append = slaf(&["append", "-q"]);
    refused(Run::of(append.arg(&dataset).arg(&dataset)));
    // If it is found among other inputs, it is passed over.
    small("b", &["g1", "g2"], &at("in/b.h5ad"));
    let mut append = slaf(&["append", "--allow-duplicate-source"]);
    let append = append.args(["--cell-id-prefix", "new-"]);
    let run = Run::of(append.arg(at("in")).arg(&dataset)).succeeded();
    assert!(
        run.stderr.contains("it is what is written"),
        "{}",
        run.stderr
    );
    assert_eq!(config(&dataset).array_shape, [90, 2]);
    assert_eq!(triplets(&dataset)[..before.len()], before);
    // A dataset in a folder is one input; what is inside it is none.
    let inputs = source::inputs_of(&at("in")).unwrap();
    assert_eq!(
        inputs,
        ["a.h5ad", "atlas.slaf", "b.h5ad"].map(|name| at("in").join(name))
    );
    assert_eq!(source::detect(&dataset).unwrap().as_str(), "slaf");
}

#[test]
fn what_is_not_whole_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let demo = repository("fixtures/h5ad/everything.h5ad");
    convert(&[demo], &at("whole.slaf"), &[]).succeeded();
    let refused = |name: &str, word: &str| {
        let run = convert(&[at(name)], &at("out.slaf"), &[]).refused(3);
        assert!(
            run.stderr.contains(name) && run.stderr.contains(word),
            "{}",
            run.stderr
        );
        assert!(!at("out.slaf").exists());
    };
    // A conversion that was killed.
    std::fs::create_dir(at("begun.slaf")).unwrap();
    let begun = r#"{"format_version": "0.5", "writer": {"name": "slaf", "version": "0.1.0"}}"#;
    std::fs::write(at("begun.slaf/config.json"), begun).unwrap();
    refused("begun.slaf", "is not complete");
    let copy = || {
        let _ = std::fs::remove_dir_all(at("copy.slaf"));
        for file in files_below(&at("whole.slaf")) {
            let to = at("copy.slaf").join(&file);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(at("whole.slaf").join(&file), to).unwrap();
        }
    };
    copy();
    std::fs::remove_dir_all(at("copy.slaf/genes.lance")).unwrap();
    refused("copy.slaf", "genes.lance");
    copy();
    std::fs::write(at("copy.slaf/config.json"), "{").unwrap();
    refused("copy.slaf", "config.json");
    // One cell fewer than described.
    copy();
    let text = std::fs::read_to_string(at("copy.slaf/config.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["array_shape"][0] = 1.into();
    std::fs::write(at("copy.slaf/config.json"), value.to_string()).unwrap();
    refused("copy.slaf", "cells");
    // With any file truncated, the result is an error or unchanged.
    let whole = triplets(&at("whole.slaf"));
    for file in files_below(&at("whole.slaf")) {
        let needed = file.contains("/data/") || file.contains("/_versions/1");
        if !needed {
            continue;
        }
        copy();
        let bytes = std::fs::read(at("copy.slaf").join(&file)).unwrap();
        std::fs::write(at("copy.slaf").join(&file), &bytes[..bytes.len() / 2]).unwrap();
        match converted::convert(
            &at("copy.slaf"),
            OpenOptions::default(),
            &at("out.slaf"),
            permissive(),
        ) {
            Err(why) => assert!(why.contains("copy.slaf"), "{file}: {why}"),
            Ok(()) => assert_eq!(triplets(&at("out.slaf")), whole, "{file}"),
        }
        let _ = std::fs::remove_dir_all(at("out.slaf"));
    }
}

/// A job only continues with the dataset that it began with.
#[test]
fn a_dataset_that_changed_is_another_input() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    small("a", &["g1", "g2"], &at("a.h5ad"));
    small("b", &["g1", "g2"], &at("b.h5ad"));
    convert(&[at("a.h5ad")], &at("a.slaf"), &[]).succeeded();
    let mut command = slaf(&["convert", "-q"]);
    command.arg(at("a.slaf")).arg(at("out.slaf"));
    let killed = Run::of(command.env("SLAF_FAIL_AT", "before-config"));
    assert_ne!(killed.code, Some(0), "{}", killed.stderr);
    Run::of(slaf(&["append", "-q"]).arg(at("b.h5ad")).arg(at("a.slaf"))).succeeded();
    let run = convert(&[at("a.slaf")], &at("out.slaf"), &[]).refused(3);
    assert!(run.stderr.contains("out.slaf"), "{}", run.stderr);
    convert(&[at("a.slaf")], &at("out.slaf"), &["--no-resume"]).succeeded();
    assert_eq!(named(&at("a.slaf")), named(&at("out.slaf")));
}

/// Datasets that slafdb wrote or appended to.
#[test]
fn datasets_of_the_reference_are_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let made = |variant: &str, output: &Path, input: &Path| {
        let arguments = [Path::new(variant), output, input];
        let (done, text) = python::run("reference.py", arguments).unwrap();
        assert!(done, "{text}");
    };
    let inputs = [Path::new("inputs"), &at("one.h5ad"), &at("two.h5ad")];
    let Some((done, text)) = python::run("reference.py", inputs) else {
        return;
    };
    assert!(done, "{text}");
    convert(&[at("one.h5ad")], &at("ours.slaf"), &[]).succeeded();
    let wanted = named(&at("ours.slaf"));
    let ours = table(&at("ours.slaf"), TableName::Cells);
    for variant in [
        "default", "signed", "layers", "several", "unnamed", "anndata", "strings",
    ] {
        let dataset = at(&format!("{variant}.slaf"));
        made(variant, &dataset, &at("one.h5ad"));
        let output = at(&format!("{variant}-again.slaf"));
        convert(std::slice::from_ref(&dataset), &output, &[]).succeeded();
        assert_eq!(named(&output), wanted, "{variant}");
        verified(&output, &[&dataset]);
        let cells = table(&output, TableName::Cells);
        for column in ["cell_id", "score", "cnt", "flag"] {
            let column = |batch: &RecordBatch| batch.column_by_name(column).cloned();
            assert_eq!(column(&cells), column(&ours), "{variant}");
        }
        if ["layers", "anndata"].contains(&variant) {
            assert_eq!(
                cells.column_by_name("X_umap"),
                ours.column_by_name("X_umap")
            );
        }
        if ["anndata", "strings"].contains(&variant) {
            let (one, other) = [&at("ours.slaf"), &output]
                .map(|dataset| table(dataset, TableName::Layers))
                .into();
            assert_eq!(one.num_rows(), other.num_rows());
            assert_eq!(one.columns(), other.columns());
            assert_eq!(table(&output, TableName::Obsp).num_rows(), 39);
            assert_eq!(table(&output, TableName::Varp).num_rows(), 28);
            let uns = std::fs::read_to_string(output.join("uns.json")).unwrap();
            assert!(uns.contains("slafdb"), "{uns}");
        }
    }
    // After slafdb has appended to it, the versions in config.json are not trusted.
    let demo = repository("fixtures/h5ad/demo.h5ad");
    convert(std::slice::from_ref(&demo), &at("demo.slaf"), &[]).succeeded();
    let arguments = [at("demo.slaf"), demo];
    let (done, text) =
        python::run("slafdb_append.py", arguments.iter().map(PathBuf::as_path)).unwrap();
    assert!(done, "{text}");
    let flags = ["--allow-duplicate-cells"];
    convert(&[at("demo.slaf")], &at("demo-again.slaf"), &flags).succeeded();
    assert_eq!(triplets(&at("demo.slaf")), triplets(&at("demo-again.slaf")));
    assert!(table(&at("demo-again.slaf"), TableName::Cells).num_rows() > 200);
}
