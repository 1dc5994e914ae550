//! What other programs do to a dataset that has everything: layers, embeddings, pairs, categories, uns.

use std::path::{Path, PathBuf};

use slaf::dataset::Dataset;

use super::adopt::{adopt, config, other, undescribed, whole};
use crate::append::append;
use crate::support::dataset::Contents;
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::convert;

fn everything() -> PathBuf {
    repository("fixtures/h5ad/everything.h5ad")
}

/// The flags with which it can be appended to itself.
fn again(prefix: &str) -> [&str; 3] {
    ["--allow-duplicate-source", "--cell-id-prefix", prefix]
}

fn begin(dataset: &Path) {
    convert(&[everything()], dataset, &["--dtypes", "signed"]).succeeded();
}

/// Each change: the action, its arguments, and what is told of it.
const CHANGES: [(&str, &[&str], &str); 14] = [
    ("obs", &["label"], "label"),
    ("text", &["cluster"], "cluster"),
    ("obsm", &["X_umap"], "X_umap"),
    ("var", &["score"], "score"),
    ("varm", &["loadings"], "loadings"),
    ("layer", &["logged"], "logged"),
    ("obsp", &["near"], "near"),
    ("uns", &["params"], "params"),
    ("add", &["layers", "twice", "counts * 2"], "twice"),
    ("add", &["expression", "half", "value / 2"], "half"),
    ("index", &["cells", "cell_id"], "cells"),
    ("index", &["expression", "cell_integer_id"], "expression"),
    ("compact", &["layers", "1000"], "layers"),
    ("compact", &["cells", "1000"], "cells"),
];

// Changes were tried on datasets of counts alone.
#[test]
fn each_change_to_a_dataset_with_everything_is_told_and_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    for (number, (action, arguments, told)) in CHANGES.into_iter().enumerate() {
        begin(&dataset);
        // Two fragments, of which one is compacted.
        append(&[everything()], &dataset, &again("b_")).succeeded();
        if !other(&dataset, action, arguments) {
            return;
        }
        undescribed(&dataset, told);
        if number % 2 == 0 {
            adopt(&dataset, &[]).succeeded();
            whole(&dataset);
        }
        append(&[everything()], &dataset, &again("c_")).succeeded();
        whole(&dataset);
        let config = config(&dataset);
        assert_eq!(config.n_cells, 24, "{action}");
        let categories = config.obs_dtypes["kind"].categories.clone();
        assert!(categories.is_some(), "{action}");
        assert!(other(&dataset, "look", &["kind"]), "{action}");
        std::fs::remove_dir_all(&dataset).unwrap();
    }
}

// All of them at once, and a death at each point.
#[test]
fn many_changes_are_adopted_whenever_the_append_dies() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, dataset) = (folder.path().join("kept"), folder.path().join("data.slaf"));
    begin(&dataset);
    append(&[everything()], &dataset, &again("b_")).succeeded();
    for (action, arguments, _) in CHANGES {
        if !other(&dataset, action, arguments) {
            return;
        }
    }
    std::fs::rename(&dataset, &kept).unwrap();
    let copy = || {
        let _ = std::fs::remove_dir_all(&dataset);
        let mut copy = std::process::Command::new("cp");
        assert!(
            copy.arg("-r")
                .arg(&kept)
                .arg(&dataset)
                .status()
                .unwrap()
                .success()
        );
    };
    let run = |point: Option<&str>| {
        let mut run = slaf(&["append", "-q"]);
        run.arg(everything()).arg(&dataset).args(again("c_"));
        if let Some(point) = point {
            run.env("SLAF_FAIL_AT", point);
        }
        Run::of(&mut run)
    };
    copy();
    run(None).succeeded();
    whole(&dataset);
    let new = Contents::of(&dataset);
    let mut deaths = 0;
    for point in slaf::failpoint::ALL {
        copy();
        if run(Some(point)).code.is_none() {
            deaths += 1;
            Dataset::open(&dataset).unwrap();
            run(None).succeeded();
        }
        assert_eq!(Contents::of(&dataset), new, "{point}");
        whole(&dataset);
    }
    assert!(deaths >= 10, "only {deaths} deaths");
}
