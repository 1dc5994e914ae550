//! Promise: defects of a dataset are found and named, and nothing else is reported.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchIterator, StringArray,
    UInt16Array, UInt64Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int64Type, UInt16Type};
use lance::dataset::{WriteMode, WriteParams};
use lance_file::version::LanceFileVersion;
use slaf::dataset::CELL_HASHES;
use slaf::table::TableName;

use crate::support::dataset::{block_on, table};
use crate::support::program::{Run, convert, slaf};
use crate::support::{fixtures, repository};

fn verify(dataset: &Path, flags: &[&str]) -> Run {
    Run::of(slaf(&["verify"]).arg(dataset).args(flags))
}

/// Converts the demo; returns the dataset and its input.
fn demo(folder: &Path) -> (PathBuf, PathBuf) {
    let input = repository("fixtures/h5ad/demo.h5ad");
    let output = folder.join("demo.slaf");
    Run::of(&mut convert(&input, &output, &[])).succeeded();
    (input, output)
}

/// Rewrites a table with other rows, as the same version of the same table.
fn rewrite(dataset: &Path, name: TableName, change: impl FnOnce(RecordBatch) -> RecordBatch) {
    let rows = change(table(dataset, name));
    let folder = dataset.join(name.folder());
    std::fs::remove_dir_all(&folder).unwrap();
    let parameters = WriteParams {
        mode: WriteMode::Create,
        data_storage_version: Some(LanceFileVersion::V2_1),
        ..WriteParams::default()
    };
    let schema = rows.schema();
    let reader = RecordBatchIterator::new([Ok(rows)], schema);
    let written = lance::Dataset::write(reader, folder.to_str().unwrap(), Some(parameters));
    assert_eq!(block_on(written).unwrap().version().version, 1);
}

/// Replaces a column of a batch.
fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let place = batch.schema().index_of(name).unwrap();
    let mut columns = batch.columns().to_vec();
    columns[place] = column;
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

fn rows(batch: &RecordBatch, rows: impl Iterator<Item = u64>) -> RecordBatch {
    take_record_batch(batch, &UInt64Array::from_iter_values(rows)).unwrap()
}

/// Damages a fresh dataset and checks that verification reports it with these words, and with the
/// others if the input is compared as well.
fn finds(damage: impl FnOnce(&Path), words: &[&str], against: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = demo(folder.path());
    damage(&output);
    let run = verify(&output, &[]);
    assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
    for word in words {
        assert!(run.stdout.contains(word), "{word} is not in {}", run.stdout);
    }
    if !against.is_empty() {
        let run = verify(&output, &["--against", input.to_str().unwrap()]);
        assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
        for word in against {
            assert!(run.stdout.contains(word), "{word} is not in {}", run.stdout);
        }
    }
    let json = verify(&output, &["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert!(json["problems"].as_u64().unwrap() > 0);
    assert!(json["examples"][0]["what"].is_string());
}

#[test]
fn every_fixture_is_as_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    for fixture in fixtures("fixtures/h5ad", "h5ad") {
        let name = fixture.file_stem().unwrap().to_string_lossy().into_owned();
        let output = folder.path().join(&name);
        let flags = ["--fragment-rows", "50"];
        Run::of(&mut convert(&fixture, &output, &flags)).succeeded();
        let run = verify(&output, &["--against", fixture.to_str().unwrap()]);
        assert_eq!(run.code, Some(0), "{name}: {}{}", run.stdout, run.stderr);
    }
}

#[test]
fn a_flipped_value() {
    let flip = |dataset: &Path| {
        rewrite(dataset, TableName::Expression, |batch| {
            let values = batch.column(2).as_primitive::<UInt16Type>();
            let mut values = values.values().to_vec();
            values[1234] += 1;
            with_column(&batch, "value", Arc::new(UInt16Array::from(values)))
        });
    };
    finds(
        flip,
        &["value of demo.h5ad is not what was written: the digest"],
        &["another value: expected", "cell ", "gene "],
    );
}

#[test]
fn a_swapped_gene() {
    let swap = |dataset: &Path| {
        rewrite(dataset, TableName::Genes, |batch| {
            let ids = batch.column_by_name("gene_id").unwrap().as_string::<i32>();
            let mut ids: Vec<String> = (0..ids.len()).map(|i| ids.value(i).into()).collect();
            ids.swap(3, 4);
            with_column(&batch, "gene_id", Arc::new(StringArray::from(ids)))
        });
    };
    finds(
        swap,
        &["genes: a name, or another value", "expression: value of"],
        &["genes, gene_id, gene"],
    );
}

#[test]
fn a_missing_and_a_doubled_row() {
    let missing = |dataset: &Path| {
        rewrite(dataset, TableName::Expression, |batch| {
            let count = batch.num_rows() as u64;
            rows(&batch, (0..count).filter(|&row| row != 99))
        });
    };
    finds(
        missing,
        &[
            "cell_start_index",
            "metadata.expression_count",
            "the digest",
        ],
        &["a missing value: expected"],
    );
    let doubled = |dataset: &Path| {
        rewrite(dataset, TableName::Expression, |batch| {
            let again = batch.slice(99, 1);
            let (head, tail) = (
                batch.slice(0, 100),
                batch.slice(100, batch.num_rows() - 100),
            );
            concat_batches(&batch.schema(), &[head, again, tail]).unwrap()
        });
    };
    finds(
        doubled,
        &["a row is doubled"],
        &["a value that the input lacks"],
    );
    let transposed = |dataset: &Path| {
        rewrite(dataset, TableName::Expression, |batch| {
            let count = batch.num_rows() as u64;
            rows(&batch, (0..count).rev())
        });
    };
    finds(transposed, &["rows are not in order"], &[]);
    let cell = |dataset: &Path| {
        rewrite(dataset, TableName::Cells, |batch| {
            let count = batch.num_rows() as u64;
            rows(&batch, (0..count).filter(|&row| row != 7))
        });
    };
    finds(
        cell,
        &[
            "cells: rows: expected 200, found 199",
            "cell_integer_id of row 7",
        ],
        &[],
    );
}

#[test]
fn a_wrong_beginning_of_a_cell() {
    let wrong = |dataset: &Path| {
        rewrite(dataset, TableName::Cells, |batch| {
            let starts = batch.column_by_name("cell_start_index").unwrap();
            let mut starts = starts.as_primitive::<Int64Type>().values().to_vec();
            starts[50] += 1;
            with_column(
                &batch,
                "cell_start_index",
                Arc::new(Int64Array::from(starts)),
            )
        });
    };
    finds(wrong, &["cells, cell 50: cell_start_index: expected"], &[]);
}

#[test]
fn a_changed_annotation() {
    let change = |dataset: &Path| {
        rewrite(dataset, TableName::Cells, |batch| {
            let column = batch
                .column_by_name("cell_type")
                .unwrap()
                .as_string::<i32>();
            let mut texts: Vec<String> = column.iter().map(|t| t.unwrap_or("").into()).collect();
            texts[5] = "changed".into();
            with_column(&batch, "cell_type", Arc::new(StringArray::from(texts)))
        });
    };
    finds(
        change,
        &["cells: a name, or another value"],
        &["cells, cell_type, cell", "found changed"],
    );
}

fn a_data_file(dataset: &Path, table: TableName) -> PathBuf {
    let folder = dataset.join(table.folder()).join("data");
    let mut files = std::fs::read_dir(folder).unwrap();
    files.next().unwrap().unwrap().path()
}

#[test]
fn files_that_are_cut_missing_or_strange() {
    let cut = |dataset: &Path| {
        let path = a_data_file(dataset, TableName::Expression);
        let length = std::fs::metadata(&path).unwrap().len();
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_len(length - 100).unwrap();
    };
    finds(cut, &["expression.lance/data/", "its size in bytes"], &[]);
    let remove = |dataset: &Path| {
        std::fs::remove_file(a_data_file(dataset, TableName::Genes)).unwrap();
    };
    finds(remove, &["genes.lance/data/", "it is missing"], &[]);
    let table = |dataset: &Path| {
        std::fs::remove_dir_all(dataset.join("cells.lance")).unwrap();
    };
    finds(table, &["cells: "], &[]);
    let orphan = |dataset: &Path| {
        std::fs::write(dataset.join("expression.lance/data/left.lance"), b"x").unwrap();
        std::fs::write(dataset.join("notes.txt"), b"x").unwrap();
    };
    finds(
        orphan,
        &[
            "expression.lance/data/left.lance: nothing refers to it",
            "notes.txt: nothing refers",
        ],
        &[],
    );
}

#[test]
fn hashes_of_other_cells() {
    let files = |dataset: &Path, of_contents: bool| {
        let folder = std::fs::read_dir(dataset.join(CELL_HASHES)).unwrap();
        let mut files = folder.map(|file| file.unwrap().path());
        let is_of_contents = |path: &Path| path.to_string_lossy().ends_with(".contents.u64");
        files
            .find(|path| is_of_contents(path) == of_contents)
            .unwrap()
    };
    let file = |dataset: &Path| files(dataset, false);
    let remove = |dataset: &Path| std::fs::remove_file(files(dataset, true)).unwrap();
    finds(remove, &[".contents.u64", "it is missing"], &[]);
    let remove = |dataset: &Path| std::fs::remove_file(file(dataset)).unwrap();
    finds(remove, &["cells.lance/_hashes/", "it is missing"], &[]);
    let change = |dataset: &Path| {
        let mut bytes = std::fs::read(file(dataset)).unwrap();
        bytes[100] ^= 1;
        std::fs::write(file(dataset), bytes).unwrap();
    };
    finds(
        change,
        &["cells.lance/_hashes/", "not what config.json says"],
        &[],
    );
    let orphan = |dataset: &Path| {
        std::fs::write(dataset.join(CELL_HASHES).join("left.u64"), b"x").unwrap();
    };
    finds(
        orphan,
        &["cells.lance/_hashes/left.u64: nothing refers to it"],
        &[],
    );
    let replace = |dataset: &Path| {
        let mut bytes = std::fs::read(file(dataset)).unwrap();
        bytes[100] ^= 1;
        std::fs::write(file(dataset), &bytes).unwrap();
        let path = dataset.join("config.json");
        let mut json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let digest = xxhash_rust::xxh3::xxh3_64(&bytes);
        json["cell_hashes"][0]["xxh3"] = format!("{digest:016x}").into();
        std::fs::write(&path, serde_json::to_vec(&json).unwrap()).unwrap();
    };
    finds(replace, &["it has not the hashes of its cells"], &[]);
}

#[test]
fn a_stale_config() {
    let edit = |path: &str, value: serde_json::Value| {
        let path = path.to_string();
        move |dataset: &Path| {
            let file = dataset.join("config.json");
            let text = std::fs::read_to_string(&file).unwrap();
            let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
            *config.pointer_mut(&path).unwrap() = value;
            std::fs::write(file, config.to_string()).unwrap();
        }
    };
    finds(
        edit("/metadata/expression_count", 1.into()),
        &["metadata.expression_count"],
        &[],
    );
    finds(
        edit("/metadata/expression_stats/max_value", 1.into()),
        &["max_value"],
        &[],
    );
    finds(
        edit("/array_shape/0", 199.into()),
        &["cells: rows: expected 199, found 200"],
        &[],
    );
    finds(
        edit("/versions/expression", 7.into()),
        &["newer than the newest: expected 7, found 1"],
        &[],
    );
    finds(
        edit("/sources/0/source_file", "x".into()),
        &["source_file: expected x"],
        &[],
    );
    let newer = |dataset: &Path| {
        let uri = dataset.join("genes.lance");
        block_on(async {
            let mut table = lance::Dataset::open(uri.to_str().unwrap()).await.unwrap();
            table.delete("gene_integer_id = 1").await.unwrap();
        });
    };
    finds(
        newer,
        &["another program has changed known values", "genes"],
        &[],
    );
}

#[test]
fn what_cannot_be_verified_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, output) = demo(folder.path());
    verify(&folder.path().join("missing"), &[]).refused(3);
    let other = repository("fixtures/h5ad/csr_gzip.h5ad");
    // The only source of a dataset may have another name now, but must be the same.
    let run = verify(&output, &["--against", other.to_str().unwrap()]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(
        run.stdout.contains("cells: expected 200, found 24"),
        "{}",
        run.stdout
    );
}
