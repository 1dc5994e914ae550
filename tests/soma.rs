//! Promise: TileDB-SOMA experiments are read as tiledbsoma reads them, array by array.
//!
//! Its results are stored in soma_answers.json, which python/soma_answers.py regenerates.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use slaf::source::{MainMatrix, OpenOptions, RawUse, Selection};
use slaf::table::TableName;

use crate::support::dataset::{same, table, texts, triplets};
use crate::support::expectation::Expectation;
use crate::support::program::{Run, convert};
use crate::support::soma::{found, unpack};
use crate::support::{repository, shared};

/// What tiledbsoma reads.
fn answers() -> Map<String, Value> {
    serde_json::from_str(include_str!("soma_answers.json")).unwrap()
}

/// Returns the folder of an experiment, unpacked if it is an archive.
fn experiment(path: &Path, unpacked: &Path) -> PathBuf {
    if path.is_dir() {
        return path.to_path_buf();
    }
    let target = unpacked.join(path.file_name().unwrap());
    unpack(path, &target);
    // Some archives contain the folder, others its contents.
    let inner = target.join(
        path.file_name()
            .unwrap()
            .to_string_lossy()
            .trim_end_matches(".tar.gz"),
    );
    if inner.is_dir() { inner } else { target }
}

/// Returns the differences between what was found and what tiledbsoma reads.
fn differences(found: &Value, answer: &Value, raw: bool) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: String, found: &Value, wanted: &Value| {
        if found != wanted {
            differences.push(format!("{what}: {found}, not {wanted}"));
        }
    };
    let var = if raw { "raw_var" } else { "var" };
    for (mine, theirs) in [("obs", "obs"), ("var", var)] {
        let (found, wanted) = (&found[mine], &answer[theirs]);
        compare(format!("rows of {theirs}"), &found["rows"], &wanted["rows"]);
        compare(format!("names of {theirs}"), &found["ids"], &wanted["ids"]);
        let columns = |value: &Value| value["columns"].as_array().unwrap().clone();
        let (found, wanted) = (columns(found), columns(wanted));
        compare(
            format!("columns of {theirs}"),
            &found.len().into(),
            &wanted.len().into(),
        );
        for (found, wanted) in found.iter().zip(&wanted) {
            compare(format!("column of {theirs}"), found, wanted);
        }
    }
    for (name, matrix) in found["matrices"].as_object().unwrap() {
        compare(name.clone(), matrix, &answer["matrices"][name]);
    }
    for (name, embedding) in found["embeddings"].as_object().unwrap() {
        compare(name.clone(), embedding, &answer["embeddings"][name]);
    }
    compare("uns".into(), &found["uns"], &answer["uns"]);
    differences
}

#[test]
fn every_array_is_what_tiledbsoma_reads() {
    let unpacked = tempfile::tempdir().unwrap();
    let mut failures = Vec::new();
    let mut arrays = 0;
    for (name, answer) in answers() {
        let Some(path) = shared(&format!("data/{name}")) else {
            return;
        };
        let path = experiment(&path, unpacked.path());
        let own = OpenOptions::default();
        let raw = OpenOptions {
            matrix: MainMatrix::Raw,
            ..OpenOptions::default()
        };
        let has_raw = answer.get("raw_var").is_some();
        let mut seen = 0;
        for (options, raw) in [(own, false), (raw, true)] {
            if raw && !has_raw {
                continue;
            }
            match found(&path, &options) {
                Ok(found) => {
                    seen += ["matrices", "embeddings"]
                        .map(|part| found[part].as_object().unwrap().len())
                        .iter()
                        .sum::<usize>();
                    let differences = differences(&found, &answer, raw);
                    failures.extend(
                        differences
                            .iter()
                            .map(|difference| format!("{name}: {difference}")),
                    );
                }
                Err(error) => failures.push(format!("{name}: {error}")),
            }
        }
        println!("{name}: {seen} arrays");
        arrays += seen;
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(arrays > 150, "only {arrays} arrays");
}

#[test]
fn the_raw_matrix_as_a_layer() {
    let Some(path) = shared("data/soma/tiledbsoma-1.11.4_pbmc68k_2025") else {
        return;
    };
    let options = OpenOptions {
        raw: RawUse::Layer,
        ..OpenOptions::default()
    };
    let found = found(&path, &options).unwrap();
    let answer = &answers()["soma/tiledbsoma-1.11.4_pbmc68k_2025"];
    let raw = &found["matrices"]["ms/raw/X/data"];
    assert_eq!(raw, &answer["matrices"]["ms/raw/X/data"]);
}

/// Returns all files in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// A small random number generator (xorshift), so that failures are reproducible.
struct TypedVec(u64);

impl TypedVec {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

/// Damages bytes in one of the ways in which files get damaged.
fn damage(bytes: &mut Vec<u8>, numbers: &mut TypedVec) {
    let at = numbers.below(bytes.len());
    match numbers.below(5) {
        _ if bytes.is_empty() => bytes.push(7),
        0 => bytes[at] ^= 1 << numbers.below(8),
        1 => bytes[at] = [0, 1, 0x7f, 0xff][numbers.below(4)],
        2 => bytes.truncate(at),
        3 => {
            bytes.insert(at, 0x80);
        }
        _ => {
            let end = (at + 8).min(bytes.len());
            let fill = [0, 0xff][numbers.below(2)];
            bytes[at..end].fill(fill);
        }
    }
}

/// Reading damaged experiments always terminates; damaged checksums result in an error.
#[test]
fn damaged_files_end_in_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions {
        memory: 64 << 20,
        ..OpenOptions::default()
    };
    let (mut refused, mut read) = (0, 0);
    for (seed, name) in [
        "columns",
        "deleted_rewritten",
        "deleted_consolidated",
        "filters_census",
        "filters_more",
        "dense",
        "everything",
    ]
    .iter()
    .enumerate()
    {
        let target = folder.path().join(name);
        unpack(
            &repository(&format!("fixtures/soma/{name}.tar.gz")),
            &target,
        );
        let sound = found(&target, &options).unwrap();
        let all = files(&target);
        let mut numbers = TypedVec(0x9e37_79b9_7f4a_7c15 + seed as u64);
        for round in 0..150 {
            let file = &all[numbers.below(all.len())];
            let bytes = std::fs::read(file).unwrap();
            let mut damaged = bytes.clone();
            damage(&mut damaged, &mut numbers);
            std::fs::write(file, &damaged).unwrap();
            let result = found(&target, &options);
            // The tiles of the matrix have checksums here.
            let is_matrix = file.to_string_lossy().contains("/RNA/X/data/__fragments/");
            let has_checksum = *name == "filters_more"
                && is_matrix
                && file
                    .file_name()
                    .is_some_and(|name| name == "d0.tdb" || name == "d1.tdb");
            match result {
                Ok(found) => {
                    read += 1;
                    assert!(
                        !has_checksum || found == sound,
                        "{name}, round {round}: {}",
                        file.display()
                    );
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().len() < 1000, "{error}");
                }
            }
            std::fs::write(file, &bytes).unwrap();
        }
        assert_eq!(found(&target, &options).unwrap(), sound);
    }
    println!("{refused} refused, {read} read");
    assert!(refused > read);
}

/// Every file of an experiment, truncated or removed.
#[test]
fn files_cut_short_are_an_error_or_whole() {
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions::default();
    for name in ["deleted", "everything"] {
        let target = folder.path().join(name);
        unpack(
            &repository(&format!("fixtures/soma/{name}.tar.gz")),
            &target,
        );
        let sound = found(&target, &options).unwrap();
        for file in files(&target) {
            let bytes = std::fs::read(&file).unwrap();
            let relative = file.strip_prefix(&target).unwrap().display().to_string();
            // What is not committed does not exist, and metadata contains more than needed.
            let optional = [
                "/__commits/",
                "__meta/",
                "__group/",
                "__tiledb_group.tdb",
                "/__fragment_meta/",
            ];
            for part in 0..4 {
                if bytes.is_empty() {
                    continue;
                }
                std::fs::write(&file, &bytes[..bytes.len() * part / 4]).unwrap();
                if let Ok(found) = found(&target, &options) {
                    assert_eq!(found, sound, "{name}: {relative} cut to {part}/4");
                }
            }
            std::fs::remove_file(&file).unwrap();
            if let Ok(found) = found(&target, &options)
                && !optional.iter().any(|part| relative.contains(part))
            {
                assert_eq!(found, sound, "{name}: without {relative}");
            }
            std::fs::write(&file, &bytes).unwrap();
        }
    }
}

/// The same AnnData as h5ad and as an experiment.
#[test]
fn the_same_as_its_h5ad() {
    for (experiment_name, h5ad) in [
        ("soma_variants/rich.soma.tar.gz", "soma_variants/rich.h5ad"),
        (
            "soma_variants/old_2.1.2.soma.tar.gz",
            "soma_variants/old.h5ad",
        ),
        (
            "soma_variants/old_1.15.7.soma.tar.gz",
            "soma_variants/old.h5ad",
        ),
        (
            "soma/tiledbsoma-2.3.0_x-csc",
            "h5ad/soma_pbmc-small-x-csc.h5ad",
        ),
        (
            "soma/tiledbsoma-2.3.0_anndataR_example",
            "h5ad/anndataR_example.h5ad",
        ),
        (
            "soma/tiledbsoma-1.17.1_mouse_val",
            "h5ad/transcriptformer_mouse_val.h5ad",
        ),
    ] {
        let (Some(experiment_path), Some(h5ad)) = (
            shared(&format!("data/{experiment_name}")),
            shared(&format!("data/{h5ad}")),
        ) else {
            continue;
        };
        let unpacked = tempfile::tempdir().unwrap();
        let path = experiment(&experiment_path, unpacked.path());
        let options = OpenOptions::default();
        let (of_soma, of_h5ad) = (
            found(&path, &options).unwrap(),
            found(&h5ad, &options).unwrap(),
        );
        println!("{experiment_name}");
        let mut differences = Vec::new();
        for part in ["obs", "var"] {
            for what in ["rows", "ids"] {
                assert_eq!(of_soma[part][what], of_h5ad[part][what], "{part} {what}");
            }
            let columns = |value: &Value| value[part]["columns"].as_array().unwrap().clone();
            for (a, b) in columns(&of_soma).iter().zip(columns(&of_h5ad)) {
                let known = [&a, &&b].map(|column| column[1].as_str().unwrap_or_default());
                let known = match known {
                    // anndata converted strings to categoricals in its file, after the experiment
                    // was written.
                    ["utf8", "categorical"] => true,
                    // tiledbsoma drops the categories of a column that only has missing values.
                    ["categorical", "categorical"] => a[0] == "allcat_na",
                    // A nullable column without missing values equals a plain numeric one.
                    [plain, nullable] => {
                        nullable.strip_prefix("nullable ") == Some(plain) && a[2] == b[2]
                    }
                };
                if *a != b && !known {
                    differences.push(format!("{part}: {a}, not {b}"));
                }
            }
        }
        let in_h5ad = |name: &str| match name.strip_prefix("ms/RNA/X/") {
            Some("data") => "X".to_string(),
            Some(layer) => format!("layers/{layer}"),
            None => name.trim_start_matches("ms/RNA/").to_string(),
        };
        for (name, matrix) in of_soma["matrices"].as_object().unwrap() {
            let other = &of_h5ad["matrices"][in_h5ad(name)];
            if matrix != other {
                differences.push(format!("{name}: {matrix}, not {other}"));
            }
        }
        for (name, embedding) in of_soma["embeddings"].as_object().unwrap() {
            let other = &of_h5ad["embeddings"][name];
            if embedding != other {
                differences.push(format!("{name}: {embedding}, not {other}"));
            }
        }
        assert_eq!(differences, Vec::<String>::new(), "{experiment_name}");
    }
}

/// Anything that is not an experiment, is packed, or is stored elsewhere is refused by name. The
/// Census has no layer "data" and no cell names.
#[test]
fn the_layers_of_the_census_are_chosen_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = folder.path().join("census");
    unpack(&repository("fixtures/soma/census.tar.gz"), &experiment);
    let output = folder.path().join("out.slaf");
    let run = Run::of(&mut convert(&experiment, &output, &[])).refused(3);
    let told = "--matrix one of: normalized, raw";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    let mut sums = Vec::new();
    for layer in ["raw", "normalized"] {
        let flags = ["--matrix", layer, "--overwrite"];
        Run::of(&mut convert(&experiment, &output, &flags)).succeeded();
        let rows = triplets(&output);
        sums.push(rows.iter().map(|(_, _, value)| value).sum::<f64>());
        let cells = table(&output, TableName::Cells);
        let ids = texts(cells.column_by_name("cell_id").unwrap());
        assert_eq!(ids[29].as_deref(), Some("29"));
        let genes = table(&output, TableName::Genes);
        let ids = texts(genes.column_by_name("gene_id").unwrap());
        assert_eq!(ids[19].as_deref(), Some("g19"));
    }
    assert_eq!(sums[0], 8.0 * sums[1]);
}

#[test]
fn what_is_no_experiment_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("everything");
    unpack(&repository("fixtures/soma/everything.tar.gz"), &target);
    let packed = repository("fixtures/soma/everything.tar.gz");
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut cases: Vec<(PathBuf, &[&str], &str)> = vec![
        (packed, &[], "unpack it first"),
        (target.join("obs"), &[], "SOMADataFrame"),
        (target.join("ms"), &[], "SOMACollection"),
        (target.join("ms/RNA"), &[], "SOMAMeasurement"),
        (target.join("ms/RNA/X/data"), &[], "SOMASparseNDArray"),
        (empty, &[], "no SOMA experiment"),
        ("tiledb://namespace/experiment".into(), &[], "tiledb://"),
        ("s3://bucket/experiment".into(), &[], "s3://"),
        (target.clone(), &["--measurement", "ATAC"], "one of: RNA"),
        (
            target.clone(),
            &["--matrix", "scaled"],
            "one of: data, raw_counts",
        ),
        (
            target.clone(),
            &["--matrix", "raw"],
            "no measurement \"raw\"",
        ),
        (
            target.join("obs"),
            &["--format", "soma"],
            "name the folder of its SOMAExperiment",
        ),
    ];
    if let Some(shared) = shared("data/soma_tar") {
        for file in [
            "nonstandard-dataframe-without-shapes.tgz",
            "soco-pbmc3k_processed-obs_220fc8.tar.gz",
            "soma-dataframe-pbmc3k-processed-obs_ff4716.tar.gz",
            "soma-exp-pbmc-small_e51d7c.tar.gz",
        ] {
            cases.push((shared.join(file), &[], "unpack it first"));
        }
        let old = folder.path().join("old");
        unpack(
            &shared.join("soco-pbmc3k_processed-obs_220fc8.tar.gz"),
            &old,
        );
        // Written before tiledbsoma 1.2.
        cases.push((old.join("obs"), &[], "format version 16"));
    }
    for (input, flags, reason) in cases {
        let run = Run::of(&mut convert(&input, &folder.path().join("out.slaf"), flags)).refused(3);
        assert!(
            run.stderr.contains(reason),
            "{}: {}",
            input.display(),
            run.stderr
        );
    }
}

/// Unknown elements of the format are refused by name, with a workaround.
#[test]
fn what_is_not_known_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("experiment");
    unpack(&repository("fixtures/soma/plain_counts.tar.gz"), &target);
    let commits = target.join("ms/RNA/X/data/__commits");
    let commit = files(&commits).remove(0);
    let fragment = commit.file_stem().unwrap().to_string_lossy().into_owned();
    let check = |name: &str, bytes: &[u8], reason: &str| {
        let file = commits.join(name);
        std::fs::write(&file, bytes).unwrap();
        let error = found(&target, &OpenOptions::default())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(reason) && error.contains("tiledbsoma"),
            "{name}: {error}"
        );
        std::fs::remove_file(&file).unwrap();
    };
    check(&format!("{fragment}.upd"), b"", "an update condition");
    check("__1_1_ab_22.xyz", b"", "a file of an unknown kind");
    check(
        "__1_1_ab_22.con",
        b"x/__commits/__1_1_ab_22.new\n",
        "of an unknown kind",
    );
    // A fragment of the next version of the format.
    let fragments = target.join("ms/RNA/X/data/__fragments");
    let metadata = fragments.join(&fragment).join("__fragment_metadata.tdb");
    let mut bytes = std::fs::read(&metadata).unwrap();
    let footer =
        bytes.len() - 8 - u64::from_le_bytes(bytes[bytes.len() - 8..].try_into().unwrap()) as usize;
    bytes[footer] = 23;
    std::fs::write(&metadata, &bytes).unwrap();
    let error = found(&target, &OpenOptions::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("format version 23"), "{error}");
}

/// Selection of measurement, matrix and parts.
#[test]
fn measurements_and_layers_can_be_chosen() {
    let Some(path) = shared("data/soma/tiledbsoma-2.3.0_two_measurements") else {
        return;
    };
    let options = OpenOptions::default()
        .with("measurement", "protein")
        .unwrap();
    let found = found(&path, &options).unwrap();
    assert_eq!(found["matrices"]["ms/protein/X/data"][1], 39897);
    let source = slaf::source::open(&path, &OpenOptions::default()).unwrap();
    let left_out: Vec<&str> = source
        .description()
        .left_out
        .iter()
        .map(|note| note.object.as_str())
        .collect();
    assert_eq!(left_out, ["ms/protein"]);
    let target = tempfile::tempdir().unwrap();
    let target = target.path().join("everything");
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    unpack(&repository("fixtures/soma/everything.tar.gz"), &target);
    let options = OpenOptions {
        matrix: MainMatrix::Layer("raw_counts".into()),
        selection: Selection {
            skip: vec!["obsm".parse().unwrap(), "uns:title".parse().unwrap()],
            ..Default::default()
        },
        ..OpenOptions::default()
    };
    let source = slaf::source::open(&target, &options).unwrap();
    let description = source.description();
    assert_eq!(description.x.object, "ms/RNA/X/raw_counts");
    let layers: Vec<&str> = description
        .layers
        .iter()
        .map(|layer| layer.name.key())
        .collect();
    assert_eq!((layers, description.obsm.len()), (vec!["data"], 0));
    assert!(
        description
            .left_out
            .iter()
            .any(|note| note.object == "ms/RNA/obsm/X_pca")
    );
    let uns = source.uns().unwrap();
    assert!(
        uns.left_out
            .iter()
            .any(|note| note.object == "ms/RNA/uns/title")
    );
    assert_eq!(
        uns.values.keys().collect::<Vec<_>>(),
        ["inner", "list", "n", "words"]
    );
}

/// Conversions by the program, from the folder of an experiment to the dataset.
#[test]
fn conversions_hold_what_the_experiment_does() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "plain_counts",
        "rewritten_consolidated",
        "deleted_consolidated",
        "duplicates",
        "dense",
        "everything",
        "no_matrix",
    ] {
        let fixture = repository(&format!("fixtures/soma/{name}.tar.gz"));
        let target = folder.path().join(name);
        unpack(&fixture, &target);
        let output = folder.path().join(format!("{name}.slaf"));
        Run::of(&mut convert(&target, &output, &[])).succeeded();
        let expected = Expectation::beside(&fixture);
        let (found, wanted) = (triplets(&output), expected.triplets());
        assert!(same(&found, &wanted), "{name}");
        let cells = texts(
            table(&output, TableName::Cells)
                .column_by_name("cell_id")
                .unwrap(),
        );
        let wanted: Vec<_> = expected.cells().into_iter().map(Some).collect();
        assert_eq!(cells, wanted, "{name}");
    }
}
