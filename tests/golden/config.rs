//! Promise: files that describe datasets and jobs do not change: config.json, plan, job,
//! checkpoint, cell hashes, digests of matrices.

use std::path::Path;

use serde_json::Value;

use super::inputs::copies;
use super::{golden, redacted};
use crate::support::dataset::files_below;
use crate::support::program::slaf;

/// Returns `config.json`, then all files with the contents of those that contain hashes.
fn described(folder: &Path, dataset: &str) -> String {
    let path = folder.join(dataset);
    let mut text = std::fs::read_to_string(path.join("config.json")).unwrap();
    text.push_str("\n\n");
    for file in files_below(&path) {
        text.push_str(&file);
        text.push('\n');
        if file.ends_with(".u64") {
            let bytes = std::fs::read(path.join(&file)).unwrap();
            let (words, rest) = bytes.as_chunks();
            assert!(rest.is_empty());
            for word in words.iter().take(8) {
                text.push_str(&format!("    {:016x}\n", u64::from_le_bytes(*word)));
            }
        }
    }
    redacted(&text, folder)
}

/// Runs commands that succeed; their first words are files in the folder.
fn runs(folder: &Path, commands: &[&[&str]]) {
    for command in commands {
        let run = super::run_in(folder, command);
        assert_eq!(run.code, Some(0), "{command:?}: {}", run.stderr);
    }
}

#[test]
fn a_plain_dataset() {
    let folder = copies(&["h5ad/demo.h5ad"]);
    runs(folder.path(), &[&["convert", "demo.h5ad", "out.slaf"]]);
    golden("config_plain", &described(folder.path(), "out.slaf"));
}

#[test]
fn a_dataset_with_everything() {
    let folder = copies(&["h5ad/everything.h5ad"]);
    runs(
        folder.path(),
        &[&["convert", "everything.h5ad", "out.slaf"]],
    );
    golden("config_everything", &described(folder.path(), "out.slaf"));
}

#[test]
fn a_part_of_the_cells_and_genes() {
    let folder = copies(&["h5ad/demo.h5ad"]);
    let convert: &[&str] = &[
        "convert",
        "demo.h5ad",
        "out.slaf",
        "--where",
        "cell_type = 'B cell'",
        "--genes",
        "ENSG00000000001,ENSG00000000002,ENSG00000000007",
        "--limit",
        "120",
        "--dtypes",
        "signed",
    ];
    runs(folder.path(), &[convert]);
    golden("config_part", &described(folder.path(), "out.slaf"));
}

#[test]
fn an_outer_join() {
    let folder = copies(&["10x_h5/v3.h5", "10x_mtx/v2"]);
    let convert: &[&str] = &[
        "convert",
        "v3.h5",
        "v2",
        "out.slaf",
        "--join=outer",
        "--var-join=outer",
        "--cell-id-prefix={source}-",
        "--add-column=tissue=blood",
        "--duplicate-counts=warn",
    ];
    runs(folder.path(), &[convert]);
    golden("config_joined", &described(folder.path(), "out.slaf"));
}

#[test]
fn an_append() {
    let folder = copies(&["h5ad/demo.h5ad", "h5ad/csr_gzip.h5ad"]);
    let append: &[&str] = &[
        "append",
        "csr_gzip.h5ad",
        "out.slaf",
        "--join=outer",
        "--obs-join=outer",
        "--var-join=outer",
    ];
    let convert: &[&str] = &["convert", "demo.h5ad", "out.slaf"];
    runs(folder.path(), &[convert, append]);
    golden("config_appended", &described(folder.path(), "out.slaf"));
}

/// A job that was killed when all of its shards were written: its plan, name and records.
#[test]
fn a_job_under_way() {
    for (name, appends) in [("checkpoint_convert", false), ("checkpoint_append", true)] {
        let folder = copies(&["h5ad/everything.h5ad", "h5ad/demo.h5ad"]);
        let arguments: &[&str] = if !appends {
            &["convert", "everything.h5ad", "out.slaf"]
        } else {
            runs(folder.path(), &[&["convert", "demo.h5ad", "out.slaf"]]);
            &[
                "append",
                "everything.h5ad",
                "out.slaf",
                "--join=outer",
                "--obs-join=outer",
                "--var-join=outer",
            ]
        };
        let mut command = slaf(arguments);
        command.current_dir(folder.path());
        command.env("SLAF_THREADS", "1");
        command.env("SLAF_FAIL_AT", "before-expression-commit");
        let run = crate::support::program::Run::of(&mut command);
        assert_eq!(run.code, None, "it must die: {}", run.stderr);
        let output = folder.path().join("out.slaf");
        let read = |path: &Path| -> Value {
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        let checkpoint = read(&output.join("config.json"))["checkpoint"].take();
        let job = output.join(checkpoint["folder"].as_str().unwrap());
        let mut text = serde_json::to_string_pretty(&checkpoint).unwrap();
        let mut files = vec![job.join("plan.json")];
        for shard in 0..checkpoint["shards"].as_u64().unwrap() {
            files.push(job.join(format!("records/{shard}.json")));
        }
        for file in files {
            let mut value = read(&file);
            // The digest covers times and random names as well.
            let digest = value.as_object_mut().unwrap().shift_remove("digest");
            assert_eq!(digest.unwrap().as_str().unwrap().len(), 32);
            let name = file.strip_prefix(&job).unwrap().display();
            let value = serde_json::to_string_pretty(&value).unwrap();
            text.push_str(&format!("\n\n{name}\n{value}"));
        }
        golden(name, &redacted(&text, folder.path()));
    }
}
