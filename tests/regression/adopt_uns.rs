//! Keys of uns that other programs set: uns.json was known as a whole alone, so that each of them made
//! `verify` end with 4, and only `--accept-changes` helped.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use slaf::dataset::Dataset;

use super::adopt::{adopt, config, other, undescribed, verify, whole};
use crate::append::append;
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::convert;

fn everything() -> PathBuf {
    repository("fixtures/h5ad/everything.h5ad")
}

const AGAIN: [&str; 3] = ["--allow-duplicate-source", "--cell-id-prefix", "b_"];

/// Likewise, where it was appended before.
const ONCE_MORE: [&str; 3] = ["--allow-duplicate-source", "--cell-id-prefix", "c_"];

fn begin(dataset: &Path) {
    let _ = std::fs::remove_dir_all(dataset);
    convert(&[everything()], dataset, &["--dtypes", "signed"]).succeeded();
}

fn uns(dataset: &Path) -> Map<String, Value> {
    serde_json::from_slice(&std::fs::read(dataset.join("uns.json")).unwrap()).unwrap()
}

/// Writes uns.json as another program might: in another order and form.
fn write(dataset: &Path, uns: &Map<String, Value>) {
    let turned: Map<String, Value> = uns.clone().into_iter().rev().collect();
    std::fs::write(
        dataset.join("uns.json"),
        serde_json::to_vec(&turned).unwrap(),
    )
    .unwrap();
}

fn append_again(dataset: &Path) -> Run {
    let flags = if config(dataset).n_cells > 8 {
        ONCE_MORE
    } else {
        AGAIN
    };
    append(&[everything()], dataset, &flags)
}

/// Changes of known keys, which are refused.
fn refused(dataset: &Path, told: &str) {
    let run = verify(dataset);
    assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
    for told in ["uns.json: it is", told, "--accept-changes"] {
        assert!(run.stdout.contains(told), "{told}: {}", run.stdout);
    }
    let before = config(dataset);
    for run in [adopt(dataset, &[]), append_again(dataset)] {
        let run = run.refused(3);
        for told in ["uns.json: it is", told, "--accept-changes"] {
            assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
        }
    }
    assert_eq!(config(dataset), before);
    adopt(dataset, &["--accept-changes"]).succeeded();
    whole(dataset);
    append_again(dataset).succeeded();
    whole(dataset);
}

#[test]
fn new_keys_are_adopted_and_known_ones_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    for by in ["adopt", "append"] {
        begin(&dataset);
        let mut changed = uns(&dataset);
        changed.insert("label".into(), Value::from(vec![1.5, 2.0]));
        write(&dataset, &changed);
        undescribed(&dataset, "label");
        match by {
            "adopt" => adopt(&dataset, &[]).succeeded(),
            _ => append_again(&dataset).succeeded(),
        };
        whole(&dataset);
        assert_eq!(uns(&dataset), changed.clone().into_iter().rev().collect());
        // It is theirs: they may change it, and take it away.
        changed.insert("label".into(), Value::from("other"));
        write(&dataset, &changed);
        undescribed(&dataset, "label");
        adopt(&dataset, &[]).succeeded();
        whole(&dataset);
        changed.remove("label");
        write(&dataset, &changed);
        undescribed(&dataset, "uns.json");
        adopt(&dataset, &[]).succeeded();
        whole(&dataset);
        assert!(adopt(&dataset, &[]).succeeded().stdout.contains("nothing"));
    }
}

#[test]
fn known_keys_that_changed_are_refused_and_can_be_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    begin(&dataset);
    let mut changed = uns(&dataset);
    changed["nested"] = Value::from(1);
    changed.insert("label".into(), Value::from(2));
    write(&dataset, &changed);
    refused(&dataset, "other values: nested");
    // What was accepted is known from now on.
    changed["nested"] = Value::from(3);
    write(&dataset, &changed);
    assert_eq!(verify(&dataset).code, Some(4));

    begin(&dataset);
    let mut changed = uns(&dataset);
    changed.remove("colors");
    write(&dataset, &changed);
    refused(&dataset, "colors");
    begin(&dataset);
    std::fs::write(dataset.join("uns.json"), "{\"colors\": ").unwrap();
    refused(&dataset, "no object in JSON");
    begin(&dataset);
    std::fs::remove_file(dataset.join("uns.json")).unwrap();
    refused(&dataset, "missing");
    assert!(config(&dataset).uns_xxh3.is_none());
}

// Datasets of earlier versions tell the hash of the whole file alone.
#[test]
fn keys_that_are_not_known_one_by_one_are_not_guessed() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    begin(&dataset);
    let path = dataset.join("config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config.as_object_mut().unwrap().remove("uns_keys").unwrap();
    std::fs::write(&path, serde_json::to_vec(&config).unwrap()).unwrap();
    whole(&dataset);
    let mut changed = uns(&dataset);
    changed.insert("label".into(), Value::from(2));
    write(&dataset, &changed);
    refused(&dataset, "not known one by one");
}

#[test]
fn a_change_of_uns_alone_is_adopted_whenever_the_process_dies() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    for command in ["adopt", "append"] {
        let run = |point: Option<&str>| {
            let mut run = slaf(&[command, "-q"]);
            if command == "append" {
                run.arg(everything()).args(AGAIN);
            }
            run.arg(&dataset);
            if let Some(point) = point {
                run.env("SLAF_FAIL_AT", point);
            }
            Run::of(&mut run)
        };
        let mut deaths = 0;
        for point in slaf::failpoint::ALL {
            begin(&dataset);
            let mut changed = uns(&dataset);
            changed.insert("label".into(), Value::from(point));
            write(&dataset, &changed);
            if run(Some(point)).code.is_none() {
                deaths += 1;
                Dataset::open(&dataset).unwrap();
                // Another key is set before the command is run again.
                changed.insert("later".into(), Value::from(point));
                write(&dataset, &changed);
                assert_eq!(verify(&dataset).code, Some(0), "{command} {point}");
                run(None).succeeded();
                // What came while the job was under way may be described by the next one only.
                adopt(&dataset, &[]).succeeded();
            }
            whole(&dataset);
            let cells = if command == "append" { 16 } else { 8 };
            assert_eq!(config(&dataset).n_cells, cells, "{command} {point}");
        }
        assert!(deaths >= 4, "{command}: only {deaths} deaths");
    }
}

// slafdb writes NaN as Python does, which is no JSON.
#[test]
fn slafdb_sets_keys_and_takes_them_away() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    begin(&dataset);
    if !other(&dataset, "uns", &["neighbors"]) {
        return;
    }
    let text = std::fs::read_to_string(dataset.join("uns.json")).unwrap();
    assert!(text.contains("NaN"), "{text}");
    undescribed(&dataset, "neighbors");
    append_again(&dataset).succeeded();
    whole(&dataset);
    assert!(other(&dataset, "look", &["neighbors", "nested", "colors"]));
    other(&dataset, "unsdel", &["neighbors"]);
    adopt(&dataset, &[]).succeeded();
    whole(&dataset);
    other(&dataset, "uns", &["nested", "{}"]);
    refused(&dataset, "other values: nested");
    // A dataset without uns gets one.
    let folder = tempfile::tempdir().unwrap();
    let bare = super::adopt::begin(folder.path(), &[]);
    other(&bare, "uns", &["neighbors"]);
    undescribed(&bare, "neighbors");
    adopt(&bare, &[]).succeeded();
    whole(&bare);
}
