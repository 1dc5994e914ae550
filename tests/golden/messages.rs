//! Promise: refusals are helpful: they name the file, the object, what is wrong, and what to do.
//! Each message results from an input, a command or a dataset that is really faulty.

use std::path::Path;

use serde_json::Value;
use slaf::store::{FolderLock, LockPolicy};

use super::inputs::copies;
use super::{golden, redacted, run_in};
use crate::support::described_fixtures;
use crate::support::h5ad_writer::{add_floats, add_texts, write_named};
use crate::support::program::slaf;

/// The messages of all cases.
#[derive(Default)]
struct Messages(Vec<String>);

impl Messages {
    /// Runs a command, given as words separated by spaces, in a folder.
    fn add(&mut self, folder: &Path, name: &str, code: i32, command: &str) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let run = run_in(folder, &words);
        let told = format!("{name}: {}{}", run.stdout, run.stderr);
        assert_eq!(run.code, Some(code), "{command}: {told}");
        assert!(!told.contains("panicked"), "{told}");
        // The findings of verify are its result.
        let text = match code {
            4 => format!("{}{}", run.stdout, run.stderr),
            _ => run.stderr,
        };
        let text = redacted(&text, folder).replace("slaf: error: ", "");
        let job = regex::Regex::new(r"\.job-[0-9a-f]{16}").unwrap();
        let text = job.replace_all(&text, ".job-JOB");
        self.0
            .push(format!("{name} (exit {code})\n{}\n", text.trim_end()));
    }

    /// Compares the messages with the stored ones. There must be at least `least`.
    fn golden(&self, name: &str, least: usize) {
        assert!(self.0.len() >= least, "only {} messages", self.0.len());
        golden(name, &self.0.join("\n"));
    }
}

#[test]
fn of_refused_fixtures() {
    let mut messages = Messages::default();
    for kind in ["h5ad_refused", "10x_h5_refused", "10x_mtx_refused"] {
        for fixture in described_fixtures(&format!("fixtures/{kind}")) {
            let text = std::fs::read_to_string(fixture.with_extension("json")).unwrap();
            let told: Value = serde_json::from_str(&text).unwrap();
            let flags = told["flags"].as_array().into_iter().flatten();
            let flags: Vec<&str> = flags.map(|flag| flag.as_str().unwrap()).collect();
            let name = fixture.file_name().unwrap().to_str().unwrap();
            let folder = copies(&[&format!("{kind}/{name}")]);
            let command = format!("convert -q {name} out.slaf {}", flags.join(" "));
            messages.add(folder.path(), &format!("{kind}/{name}"), 3, &command);
            assert!(!folder.path().join("out.slaf").exists());
        }
    }
    messages.golden("messages_of_fixtures", 90);
}

#[test]
fn of_wrong_usage() {
    let folder = copies(&["h5ad/demo.h5ad", "h5ad/csr_gzip.h5ad", "10x_mtx/v3"]);
    let here = folder.path();
    std::fs::write(here.join("unknown.toml"), "[memory]\nlimit = 3\n").unwrap();
    std::fs::write(here.join("damaged.toml"), "memory = [\n").unwrap();
    let mut messages = Messages::default();
    for (name, command) in [
        ("no output", "convert demo.h5ad"),
        ("an input for an output", "convert demo.h5ad csr_gzip.h5ad"),
        ("no input", "validate"),
        ("no command", "turn demo.h5ad"),
        ("no option", "convert demo.h5ad out.slaf --fast"),
        ("no such type", "convert demo.h5ad out.slaf --dtypes wide"),
        (
            "too little memory",
            "convert demo.h5ad out.slaf --memory 1MiB",
        ),
        (
            "memory in words",
            "convert demo.h5ad out.slaf --memory much",
        ),
        (
            "no rows in a fragment",
            "convert demo.h5ad out.slaf --fragment-rows 0",
        ),
        (
            "no settings",
            "convert demo.h5ad out.slaf --config none.toml",
        ),
        (
            "unknown settings",
            "convert demo.h5ad out.slaf --config unknown.toml",
        ),
        (
            "damaged settings",
            "convert demo.h5ad out.slaf --config damaged.toml",
        ),
        (
            "unsigned and signed",
            "convert demo.h5ad out.slaf --dtypes signed --value-type uint16",
        ),
        (
            "no scratch folder",
            "convert demo.h5ad out.slaf --scratch-dir none",
        ),
        (
            "names for too many",
            "convert demo.h5ad out.slaf --source-name a --source-name b",
        ),
        (
            "a column without a value",
            "convert demo.h5ad out.slaf --add-column tissue",
        ),
        (
            "a column twice",
            "convert demo.h5ad out.slaf --add-column a=1 --add-column a=2",
        ),
        ("no genes", "convert demo.h5ad out.slaf --genes ,"),
        ("no list of inputs", "convert --inputs none.txt -o out.slaf"),
        (
            "one list for several",
            "convert demo.h5ad v3 out.slaf --barcodes v3/barcodes.tsv.gz",
        ),
        ("quiet and verbose", "convert demo.h5ad out.slaf -q -v"),
    ] {
        messages.add(here, name, 2, command);
        assert!(!here.join("out.slaf").exists(), "{name}");
    }
    messages.golden("messages_of_usage", 20);
}

#[test]
fn of_inputs_and_outputs() {
    let folder = copies(&[
        "h5ad/demo.h5ad",
        "h5ad/everything.h5ad",
        "h5ad/x_halves.h5ad",
        "h5ad/x_nan_inf.h5ad",
        "h5ad/index_duplicates.h5ad",
    ]);
    let here = folder.path();
    std::fs::write(here.join("notes.txt"), "some words\n").unwrap();
    std::fs::create_dir(here.join("empty")).unwrap();
    std::fs::create_dir(here.join("photos")).unwrap();
    std::fs::write(here.join("photos/cat.jpg"), "precious").unwrap();
    std::fs::write(here.join("map.tsv"), "one two\n").unwrap();
    let mut messages = Messages::default();
    let quietly = |command: &str| {
        assert_eq!(
            run_in(here, &command.split(' ').collect::<Vec<_>>()).code,
            Some(0)
        );
    };
    quietly("convert -q demo.h5ad there.slaf");
    for (name, command) in [
        ("no file", "convert none.h5ad out.slaf"),
        ("an empty folder", "convert empty out.slaf"),
        ("no format", "convert notes.txt out.slaf"),
        (
            "another format",
            "convert demo.h5ad out.slaf --format 10x-h5",
        ),
        ("the output is a dataset", "convert demo.h5ad there.slaf"),
        (
            "the output is a file",
            "convert demo.h5ad notes.txt --overwrite",
        ),
        (
            "the output is a folder of something else",
            "convert demo.h5ad photos --overwrite",
        ),
        (
            "a condition on no column",
            "convert demo.h5ad out.slaf --where nope>3",
        ),
        (
            "no condition",
            "convert demo.h5ad out.slaf --where n_counts>",
        ),
        (
            "a condition on another type",
            "convert demo.h5ad out.slaf --where cell_type>3",
        ),
        (
            "a condition that changes",
            "convert demo.h5ad out.slaf --where random()>0.5",
        ),
        (
            "genes that are not there",
            "convert demo.h5ad out.slaf --genes none,neither",
        ),
        (
            "no such matrix",
            "convert everything.h5ad out.slaf --matrix nothing",
        ),
        ("no raw", "convert demo.h5ad out.slaf --matrix raw"),
        (
            "a name that is one of several",
            "convert index_duplicates.h5ad out.slaf --genes TP53",
        ),
        (
            "halves as whole numbers",
            "convert x_halves.h5ad out.slaf --value-type uint16",
        ),
        (
            "NaN as a whole number",
            "convert x_nan_inf.h5ad out.slaf --value-type uint32",
        ),
        (
            "a map of genes without columns",
            "convert demo.h5ad out.slaf --gene-map notes.txt",
        ),
        (
            "no map of genes",
            "convert demo.h5ad out.slaf --gene-map none.tsv",
        ),
    ] {
        messages.add(here, name, 3, command);
        assert!(!here.join("out.slaf").exists(), "{name}");
    }
    let mut killed = slaf(&["convert", "-q", "demo.h5ad", "half.slaf"]);
    let killed = killed.current_dir(here).env("SLAF_FAIL_AT", "after-record");
    assert_eq!(crate::support::program::Run::of(killed).code, None);
    messages.add(here, "another job", 3, "convert everything.h5ad half.slaf");
    messages.add(
        here,
        "a dataset in progress",
        3,
        "append demo.h5ad half.slaf",
    );
    messages.add(here, "verify one in progress", 3, "verify half.slaf");
    let mut entries = std::fs::read_dir(here.join("half.slaf")).unwrap();
    let job = entries.find_map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with(".job-").then_some(path)
    });
    let plan = job.unwrap().join("plan.json");
    let text = std::fs::read_to_string(&plan).unwrap();
    assert!(text.contains("\"fragment_rows\": 1"));
    let edited = text.replace("\"fragment_rows\": 1", "\"fragment_rows\": 2");
    std::fs::write(&plan, edited).unwrap();
    messages.add(
        here,
        "a plan that was edited",
        3,
        "convert demo.h5ad half.slaf",
    );
    let mut newer: serde_json::Value = serde_json::from_str(&text).unwrap();
    newer.as_object_mut().unwrap().shift_remove("digest");
    newer["plan"]["plan_version"] = 1000.into();
    let digest = blake3::hash(&serde_json::to_vec(&newer).unwrap()).to_hex();
    newer["digest"] = digest[..32].into();
    std::fs::write(&plan, newer.to_string()).unwrap();
    messages.add(here, "a newer plan", 3, "convert demo.h5ad half.slaf");
    std::fs::remove_file(&plan).unwrap();
    messages.add(
        here,
        "a plan that is gone",
        3,
        "convert demo.h5ad half.slaf",
    );
    messages.golden("messages_of_inputs", 24);
}

fn names(prefix: &str, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("{prefix}{number}")).collect()
}

/// Incompatible files, and files incompatible with a dataset.
#[test]
fn of_joins() {
    let folder = copies(&["h5ad/demo.h5ad", "h5ad/raw_counts.h5ad"]);
    let here = folder.path();
    let write = |name: &str, prefix: &str, genes: &[String], value: f32| {
        let cells = names(prefix, 0..3);
        let entries: Vec<_> = (0..3)
            .map(|cell| (cell, cell % genes.len(), value))
            .collect();
        write_named(&here.join(name), &cells, genes, &entries);
    };
    let genes = names("g", 0..4);
    write("a.h5ad", "a", &genes, 3.0);
    write("same_cells.h5ad", "a", &genes, 4.0);
    write("fewer_genes.h5ad", "b", &genes[..3], 3.0);
    write("more_genes.h5ad", "b", &names("g", 0..6), 3.0);
    write("other_genes.h5ad", "c", &names("h", 0..4), 3.0);
    write("large.h5ad", "d", &genes, 70_000.0);
    write(
        "twice.h5ad",
        "f",
        &["g0".into(), "g1".into(), "g0".into(), "g3".into()],
        3.0,
    );
    write("column.h5ad", "g", &genes, 3.0);
    add_floats(&here.join("column.h5ad"), "obs/age", &[1.0, 2.0, 3.5]);
    write("text.h5ad", "h", &genes, 3.0);
    add_texts(&here.join("text.h5ad"), "obs/age", 3, |row| {
        format!("{row} years")
    });
    let mut messages = Messages::default();
    let convert = ["convert", "-q", "a.h5ad", "data.slaf"];
    assert_eq!(run_in(here, &convert).code, Some(0));
    for (name, command) in [
        ("missing genes", "convert a.h5ad fewer_genes.h5ad out.slaf"),
        ("extra genes", "convert a.h5ad more_genes.h5ad out.slaf"),
        (
            "nothing shared",
            "convert a.h5ad other_genes.h5ad out.slaf --join inner",
        ),
        ("a name twice", "convert twice.h5ad a.h5ad out.slaf"),
        ("cells twice", "convert a.h5ad same_cells.h5ad out.slaf"),
        ("an input twice", "convert a.h5ad a.h5ad out.slaf"),
        (
            "no key",
            "convert a.h5ad large.h5ad out.slaf --gene-key symbol",
        ),
        (
            "a column that one lacks",
            "convert a.h5ad column.h5ad out.slaf",
        ),
        (
            "columns of other types",
            "convert column.h5ad text.h5ad out.slaf",
        ),
        ("an input that is there already", "append a.h5ad data.slaf"),
        (
            "cells that are there already",
            "append same_cells.h5ad data.slaf",
        ),
        (
            "genes that the dataset lacks",
            "append more_genes.h5ad data.slaf",
        ),
        (
            "nothing shared with the dataset",
            "append other_genes.h5ad data.slaf --join inner",
        ),
        ("values that are too large", "append large.h5ad data.slaf"),
        (
            "a column that the dataset lacks",
            "append column.h5ad data.slaf",
        ),
        (
            "another scale",
            "convert demo.h5ad raw_counts.h5ad out.slaf --join outer --obs-join outer --var-join outer",
        ),
    ] {
        messages.add(here, name, 3, command);
        assert!(!here.join("out.slaf").exists(), "{name}");
    }
    messages.add(
        here,
        "an input that is none of it",
        4,
        "verify data.slaf --against demo.h5ad",
    );
    messages.golden("messages_of_joins", 17);
}

#[test]
fn of_datasets() {
    let folder = copies(&["h5ad/demo.h5ad"]);
    let here = folder.path();
    let mut messages = Messages::default();
    let config = here.join("data.slaf/config.json");
    let anew = || {
        let _ = std::fs::remove_dir_all(here.join("data.slaf"));
        assert_eq!(
            run_in(here, &["convert", "-q", "demo.h5ad", "data.slaf"]).code,
            Some(0)
        );
    };
    messages.add(here, "nothing there", 3, "info none.slaf");
    messages.add(here, "a file", 3, "head demo.h5ad");
    std::fs::create_dir(here.join("other")).unwrap();
    messages.add(here, "no config", 3, "info other");
    anew();
    let edited = |from: &str, to: &str| {
        let text = std::fs::read_to_string(&config).unwrap();
        assert!(text.contains(from), "{from}");
        std::fs::write(&config, text.replacen(from, to, 1)).unwrap();
    };
    edited("{", "");
    messages.add(here, "no JSON", 3, "info data.slaf");
    anew();
    edited("\"array_shape\": [", "\"array_shape\": [ \"many\",");
    messages.add(here, "a shape of words", 3, "verify data.slaf");
    anew();
    edited("\"format_version\": \"0", "\"format_version\": \"7");
    messages.add(here, "a newer format", 3, "info data.slaf");
    anew();
    std::fs::remove_dir_all(here.join("data.slaf/cells.lance")).unwrap();
    messages.add(here, "a table that is gone", 3, "info data.slaf");
    messages.add(
        here,
        "append without a table",
        3,
        "append demo.h5ad data.slaf",
    );
    anew();
    let data = here.join("data.slaf/expression.lance/data");
    let file = std::fs::read_dir(&data)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    messages.add(here, "a file that was cut", 4, "verify data.slaf");
    std::fs::remove_file(&file).unwrap();
    messages.add(here, "a file that is gone", 4, "verify data.slaf");
    anew();
    let lock = FolderLock::acquire(&here.join("data.slaf"), LockPolicy::No).unwrap();
    messages.add(here, "another writer", 75, "append demo.h5ad data.slaf");
    drop(lock);
    messages.golden("messages_of_datasets", 11);
}
