//! What is described once changes of other programs were accepted: counts of rows, scales, categories
//! and the order of genes stayed as they were.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slaf::dataset::LayerNote;
use slaf::survey::ScaleKind;
use slaf::table::TableName;

use super::adopt::{adopt, begin, config, other, whole};
use crate::append::append;
use crate::support::dataset::{integers, table};
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::{convert, named};

fn everything(folder: &Path) -> PathBuf {
    let dataset = folder.join("everything.slaf");
    let _ = std::fs::remove_dir_all(&dataset);
    let input = repository("fixtures/h5ad/everything.h5ad");
    convert(&[input], &dataset, &["--dtypes", "signed"]).succeeded();
    dataset
}

fn layer(dataset: &Path, key: &str) -> Option<LayerNote> {
    let layers = config(dataset).sources[0].layers.clone();
    layers.into_iter().find(|layer| layer.key == key)
}

#[test]
fn rows_and_scales_of_layers_are_counted_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = everything(folder.path());
    let before = layer(&dataset, "layers/counts").unwrap();
    let scaled = layer(&dataset, "layers/scaled").unwrap();
    assert_eq!(before.scale.unwrap().kind, ScaleKind::Counts);
    if !other(&dataset, "delete", &["layers", "cell_integer_id = 3"]) {
        return;
    }
    let change = ["layers", "counts", "counts + 0.25", "cell_integer_id = 2"];
    other(&dataset, "update", &change);
    adopt(&dataset, &["--accept-changes"]).succeeded();
    whole(&dataset);
    let after = layer(&dataset, "layers/counts").unwrap();
    let rows = table(&dataset, TableName::Layers);
    let counts = rows.column_by_name("counts").unwrap();
    assert_eq!(after.rows, (counts.len() - counts.null_count()) as u64);
    assert!(after.rows < before.rows, "{after:?}");
    assert_ne!(after.scale.unwrap().kind, ScaleKind::Counts);
    assert_eq!(
        config(&dataset).sources[0].scale.unwrap().kind,
        ScaleKind::Counts
    );
    assert_eq!(
        layer(&dataset, "layers/scaled").unwrap().scale,
        scaled.scale
    );
    // X itself.
    let change = ["expression", "value", "value + 0.25", "cell_integer_id = 1"];
    other(&dataset, "update", &change);
    adopt(&dataset, &["--accept-changes"]).succeeded();
    whole(&dataset);
    assert_ne!(
        config(&dataset).sources[0].scale.unwrap().kind,
        ScaleKind::Counts
    );
}

// A value that the list of categories lacks is a missing one to readers.
#[test]
fn categories_are_listed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = everything(folder.path());
    if !other(
        &dataset,
        "update",
        &["cells", "kind", "'another'", "cell_integer_id = 1"],
    ) {
        return;
    }
    adopt(&dataset, &["--accept-changes"]).succeeded();
    whole(&dataset);
    let config = config(&dataset);
    let kind = &config.obs_dtypes["kind"];
    let categories = kind.categories.as_ref().unwrap();
    assert_eq!(categories.iter().last(), Some("another"));
    assert_eq!(kind.ordered, Some(false));
}

// Hashes of what cells hold went by the place of a gene, not by its number.
#[test]
fn genes_in_disorder_are_put_in_order_and_cells_are_still_known() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path(), &[]);
    let wanted = named(&dataset);
    let contents = |dataset: &Path| -> Vec<u8> {
        let files = config(dataset).cell_hashes.into_iter();
        let files = files.map(|file| std::fs::read(dataset.join(file.contents_file().unwrap())));
        files.flat_map(Result::unwrap).collect()
    };
    let before = contents(&dataset);
    if !other(&dataset, "reverse", &["genes"]) {
        return;
    }
    let third = super::adopt::input(folder.path(), 2);
    let refused = append(std::slice::from_ref(&third), &dataset, &[]).refused(3);
    assert!(
        refused.stderr.contains("order of gene_integer_id"),
        "{}",
        refused.stderr
    );
    // The same where nothing is described: genes are looked up by their places.
    let path = dataset.join("config.json");
    let described = std::fs::read(&path).unwrap();
    let mut other_program: Value = serde_json::from_slice(&described).unwrap();
    other_program["last_updated"] = "by another program".into();
    std::fs::write(&path, serde_json::to_vec(&other_program).unwrap()).unwrap();
    let refused = append(std::slice::from_ref(&third), &dataset, &[]).refused(3);
    assert!(
        refused.stderr.contains("gene_integer_id"),
        "{}",
        refused.stderr
    );
    std::fs::write(&path, described).unwrap();

    adopt(&dataset, &["--accept-changes"]).succeeded();
    whole(&dataset);
    let genes = table(&dataset, TableName::Genes);
    let numbers = integers(genes.column_by_name("gene_integer_id").unwrap());
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    assert_eq!(named(&dataset), wanted);
    assert_eq!(contents(&dataset), before);
    append(&[third], &dataset, &[]).succeeded();
    let verified = Run::of(slaf(&["verify", "-q"]).arg(&dataset));
    assert_eq!(verified.code, Some(0), "{}", verified.stdout);
}
