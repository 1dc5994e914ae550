//! Promise: every part of an input is kept or reported with the reason why it is not, and users can
//! choose.

use std::path::PathBuf;

use slaf::dataset::{Dataset, DatasetConfig};
use slaf::table::TableName;

use crate::support::dataset::{same, table, texts, triplets};
use crate::support::expectation::{Expectation, entries};
use crate::support::program::{Run, convert};
use crate::support::repository;

fn fixture(name: &str) -> PathBuf {
    repository(&format!("fixtures/h5ad/{name}.h5ad"))
}

/// Converts a fixture. Returns the folder that holds the result, and its config.
fn converted(name: &str, flags: &[&str]) -> (tempfile::TempDir, PathBuf, DatasetConfig) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    Run::of(&mut convert(&fixture(name), &output, flags)).succeeded();
    let config = Dataset::open(&output).unwrap().config().clone();
    (folder, output, config)
}

fn left_out(config: &DatasetConfig) -> Vec<&str> {
    let notes = &config.sources[0].left_out;
    notes.iter().map(|note| note.object.as_str()).collect()
}

fn available(keys: &Option<slaf::dataset::Keys>) -> Vec<String> {
    keys.as_ref()
        .map_or_else(Vec::new, |keys| keys.available.clone())
}

#[test]
fn a_layer_can_be_the_expression_table() {
    let (_folder, output, config) = converted("everything", &["--matrix", "scaled"]);
    let expected = Expectation::beside(&fixture("everything"));
    assert!(same(
        &triplets(&output),
        &entries(&expected.layers["scaled"])
    ));
    assert_eq!(config.sources[0].matrix, "layers/scaled");
    // X is kept.
    assert_eq!(available(&config.layers), ["by_gene", "counts", "X"]);
}

#[test]
fn raw_can_be_the_expression_table() {
    let (_folder, output, config) = converted("everything", &["--matrix", "raw"]);
    assert_eq!(config.array_shape, [8, 9]);
    let genes = table(&output, TableName::Genes);
    let ids = texts(genes.column_by_name("gene_id").unwrap());
    assert_eq!(ids[8].as_deref(), Some("raw8"));
    assert!(
        genes.column_by_name("n").is_some(),
        "the columns of raw's var"
    );
    // What belongs to the genes of X is reported.
    let left_out = left_out(&config);
    for object in ["X", "layers/counts", "varm/PCs", "varp/cor"] {
        assert!(
            left_out.contains(&object),
            "{object} is not among {left_out:?}"
        );
    }
    assert_eq!(available(&config.obsm), ["X_pca", "sparse"]);
}

#[test]
fn raw_can_be_a_layer_where_it_has_the_genes_of_x() {
    let (_folder, output, config) = converted("raw_other_order", &["--raw-as-layer"]);
    assert_eq!(available(&config.layers), ["raw"]);
    let layers = table(&output, TableName::Layers);
    let raw = slaf_layer(&layers, "raw");
    // X is log1p of raw, gene by gene, although raw has the genes in another order.
    for (found, (cell, gene, value)) in raw.iter().zip(triplets(&output)) {
        assert_eq!((found.0, found.1), (cell, gene));
        assert!(
            ((found.2 + 1.0).ln() - value).abs() < 1e-5,
            "{found:?} is not {value}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let mut command = convert(&fixture("everything"), &output, &["--raw-as-layer"]);
    let run = Run::of(&mut command).refused(3);
    assert!(run.stderr.contains("--matrix raw"), "{}", run.stderr);
}

#[test]
fn without_a_raw_matrix_the_layer_of_that_name_is_meant() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    std::fs::copy(fixture("everything"), &input).unwrap();
    let file = hdf5_metno::File::open_rw(&input).unwrap();
    file.unlink("raw").unwrap();
    file.relink("layers/scaled", "layers/raw").unwrap();
    file.close().unwrap();
    Run::of(&mut convert(&input, &output, &["--matrix", "raw"])).succeeded();
    let expected = Expectation::beside(&fixture("everything"));
    let scaled = entries(&expected.layers["scaled"]);
    assert!(same(&triplets(&output), &scaled));
    let config = Dataset::open(&output).unwrap().config().clone();
    assert_eq!(config.sources[0].matrix, "layers/raw");
    assert_eq!(available(&config.layers), ["by_gene", "counts", "X"]);
}

fn slaf_layer(batch: &arrow::array::RecordBatch, name: &str) -> Vec<(u64, u64, f64)> {
    use crate::support::dataset::{floats, integers};
    let columns = [batch.column(0), batch.column(1)].map(integers);
    let values = floats(batch.column_by_name(name).unwrap());
    (0..values.len())
        .map(|row| (columns[0][row] as u64, columns[1][row] as u64, values[row]))
        .collect()
}

#[test]
fn parts_are_skipped_by_name() {
    let flags = [
        "--skip",
        "layers:c*",
        "--skip",
        "obsm",
        "--only",
        "uns:nested",
        "--skip",
        "obs:kind",
    ];
    let (_folder, output, config) = converted("everything", &flags);
    assert_eq!(available(&config.layers), ["by_gene", "scaled"]);
    assert_eq!(available(&config.obsm), Vec::<String>::new());
    let cells = table(&output, TableName::Cells);
    assert!(cells.column_by_name("kind").is_none());
    let uns = std::fs::read_to_string(output.join("uns.json")).unwrap();
    let uns: serde_json::Value = serde_json::from_str(&uns).unwrap();
    assert_eq!(
        uns.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["nested"]
    );
    let left_out = left_out(&config);
    for object in ["layers/counts", "obsm/X_pca", "obs/kind", "uns/rec"] {
        assert!(
            left_out.contains(&object),
            "{object} is not among {left_out:?}"
        );
    }
    // Another selection is another job, and the dataset records it.
    assert_eq!(config.sources[0].open.selection.skip.len(), 3);
}

#[test]
fn what_stands_in_the_way_can_be_skipped() {
    let folder = tempfile::tempdir().unwrap();
    for (name, skip) in [
        ("layer_too_large", "layers:big"),
        ("layer_shape", "layers:odd"),
        ("embedding_too_large", "obsm:big"),
        ("embedding_rows", "obsm:short"),
        ("column_kind", "obs:odd"),
    ] {
        let input = repository(&format!("fixtures/h5ad_refused/{name}.h5ad"));
        let output = folder.path().join(name);
        Run::of(&mut convert(&input, &output, &[])).refused(3);
        Run::of(&mut convert(&input, &output, &["--skip", skip])).succeeded();
    }
}

#[test]
fn names_can_be_made_unique() {
    let (_folder, output, _) = converted("index_duplicates", &["--make-unique"]);
    for (name, column) in [(TableName::Cells, "cell_id"), (TableName::Genes, "gene_id")] {
        let batch = table(&output, name);
        let ids = texts(batch.column_by_name(column).unwrap());
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "{ids:?}");
        assert!(ids.iter().flatten().any(|id| id.ends_with("-1")), "{ids:?}");
    }
}

#[test]
fn a_choice_of_nothing_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let refused = |flags: &[&str], code| {
        let run = Run::of(&mut convert(&fixture("everything"), &output, flags));
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        run.stderr
    };
    assert!(refused(&["--skip", "layer:x"], 2).contains("layers"));
    let message = refused(&["--matrix", "count"], 3);
    assert!(message.contains("by_gene, counts, scaled"), "{message}");
}
