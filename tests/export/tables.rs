//! Tables of X.

use std::fs::File;

use arrow::array::{Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Schema};
use arrow::ipc::reader::FileReader;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{dataset, export, exported, names};
use crate::support::dataset::{floats, texts};
use crate::support::program::Run;
use crate::support::small::named;

fn read(path: &std::path::Path) -> RecordBatch {
    let file = File::open(path).unwrap();
    let batches: Vec<RecordBatch> = if path.extension().unwrap() == "parquet" {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        reader.build().unwrap().map(Result::unwrap).collect()
    } else {
        FileReader::try_new(file, None)
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    let plain = |batch: &RecordBatch| {
        let own = batch.schema();
        let columns = batch
            .columns()
            .iter()
            .map(|column| match column.data_type() {
                DataType::Dictionary(..) => cast(column, &DataType::Utf8).unwrap(),
                _ => column.clone(),
            });
        let fields = own.fields().iter().map(|field| match field.data_type() {
            DataType::Dictionary(..) => field.as_ref().clone().with_data_type(DataType::Utf8),
            _ => field.as_ref().clone(),
        });
        let schema = Schema::new(fields.collect::<Vec<_>>());
        RecordBatch::try_new(schema.into(), columns.collect()).unwrap()
    };
    let batches: Vec<RecordBatch> = batches.iter().map(plain).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

#[test]
fn long_tables_have_a_row_for_each_non_zero() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path(), 900, 80, 12);
    let wanted = named(&dataset);
    for (name, flags) in [
        ("a.parquet", &["--chunk-size", "100"][..]),
        ("b.arrow", &["--chunk-size", "100"]),
        ("c.parquet", &["--compression", "none", "--threads", "1"]),
    ] {
        let path = folder.path().join(name);
        let summary = exported(&dataset, &path, flags);
        assert_eq!(summary["nonzeros"], wanted.len());
        let table = read(&path);
        let column = |name: &str| table.column_by_name(name).unwrap().clone();
        let (cells, genes) = (texts(&column("cell_id")), texts(&column("gene_id")));
        let values = floats(&column("value"));
        assert_eq!(
            column("value").data_type(),
            &DataType::Float32,
            "as in the input"
        );
        let rows = cells.into_iter().zip(genes).zip(values);
        let mut found: Vec<_> = rows
            .map(|((c, g), v)| (c.unwrap(), g.unwrap(), v))
            .collect();
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        assert!(found == wanted, "{name}");
    }
}

#[test]
fn wide_tables_have_a_column_for_each_gene() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path(), 300, 80, 12);
    let wanted = named(&dataset);
    for name in ["a.parquet", "b.arrow"] {
        let path = folder.path().join(name);
        exported(
            &dataset,
            &path,
            &["--wide", "--genes", "gene3,gene7", "--chunk-size", "70"],
        );
        let table = read(&path);
        assert_eq!((table.num_rows(), table.num_columns()), (300, 3));
        let cells = texts(table.column_by_name("cell_id").unwrap());
        for gene in ["gene3", "gene7"] {
            let values = floats(table.column_by_name(gene).unwrap());
            for (cell, value) in cells.iter().zip(values) {
                let cell = cell.clone().unwrap();
                let mut known = wanted.iter();
                let known = known.find(|entry| entry.0 == cell && entry.1 == gene);
                assert_eq!(value, known.map_or(0.0, |entry| entry.2), "{cell} {gene}");
            }
        }
    }
    let run = Run::of(&mut export(
        &dataset,
        &folder.path().join("x.h5ad"),
        &["--wide"],
    ))
    .refused(2);
    assert!(run.stderr.contains("--wide"), "{}", run.stderr);
    assert!(
        !names(folder.path())
            .iter()
            .any(|name| name.starts_with(".slaf"))
    );
}
