//! What verify must detect, and within what time and memory.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use arrow::datatypes::DataType;
use serde_json::Value;
use slaf::dataset::Dataset;
use slaf::table::{RowReader, RowsAndColumns, TableName};

use crate::support::dataset::{block_on, table};
use crate::support::h5ad_writer::{add_texts, write_csr};
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::{Small, convert};

fn verify(dataset: &Path, flags: &[&str]) -> Run {
    Run::of(slaf(&["verify"]).arg(dataset).args(flags))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn demo(folder: &Path) -> PathBuf {
    let output = folder.join("demo.slaf");
    let input = repository("fixtures/h5ad/demo.h5ad");
    convert(&[input], &output, &[]).succeeded();
    output
}

/// Two inputs with the same genes in different orders, and additional genes in the second.
fn joined(folder: &Path) -> ([PathBuf; 2], [Small; 2], PathBuf) {
    let small = |genes: &[&str], cells: Vec<Vec<(usize, f32)>>| Small {
        genes: genes.iter().map(|gene| gene.to_string()).collect(),
        cells,
    };
    let smalls = [
        small(
            &["GA", "GB", "GC"],
            vec![vec![(0, 1.0), (2, 2.0)], vec![(1, 3.0)]],
        ),
        small(
            &["GC", "GX", "GA", "GB"],
            vec![
                vec![(0, 4.0), (1, 5.0), (3, 6.0)],
                vec![],
                vec![(2, 7.0), (3, 8.0)],
            ],
        ),
    ];
    let inputs = ["a", "b"].map(|name| folder.join(format!("{name}.h5ad")));
    for (input, (small, prefix)) in inputs.iter().zip(smalls.iter().zip(["a", "b"])) {
        small.write(input, prefix);
    }
    let output = folder.join("joined.slaf");
    convert(&inputs, &output, &["--join", "outer"]).succeeded();
    (inputs, smalls, output)
}

// The name of a gene was looked up in the input by its position in the dataset.
#[test]
fn review_d2_a_difference_names_the_gene_of_a_joined_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let (inputs, mut smalls, output) = joined(folder.path());
    let against = ["--against", path(&inputs[0]), path(&inputs[1])];
    let run = verify(&output, &against);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    smalls[1].cells[0][0].1 = 9.0;
    smalls[1].cells[2].remove(0);
    smalls[1].write(&inputs[1], "b");
    let run = verify(&output, &against);
    assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
    for words in [
        "cell b0, gene GC: another value: expected 9, found 4",
        "cell b2, gene GA: a value that the input lacks: expected 0, found 7",
    ] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    assert_eq!(run.stdout.lines().count(), 2, "{}", run.stdout);
}

// Identifiers were opened for each difference, although only ten are reported.
#[test]
fn review_d2_a_file_that_differs_everywhere_comes_to_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    write_csr(&input, 4_000, 100, 25, |entry| (entry % 7 + 1) as f32);
    convert(std::slice::from_ref(&input), &output, &[]).succeeded();
    std::fs::remove_file(&input).unwrap();
    write_csr(&input, 4_000, 100, 25, |entry| (entry % 7 + 2) as f32);
    let run = verify(&output, &["--json", "--against", path(&input)]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(found["problems"], 100_000);
    assert_eq!(found["examples"].as_array().unwrap().len(), 10);
}

// All rows before an input were decoded, with all columns, and held in memory.
#[test]
fn review_d1_of_a_table_only_the_rows_and_columns_that_are_wanted_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path());
    let dataset = Dataset::open(&output).unwrap();
    let all = table(&output, TableName::Expression);
    let read = |wanted: RowsAndColumns<'_>| {
        block_on(async {
            let table = dataset.table(TableName::Expression).await.unwrap();
            let folder = output.join("expression.lance");
            let mut rows = RowReader::of(&table, &folder, wanted).await.unwrap();
            let mut batches = Vec::new();
            while let Some(batch) = rows.next().await.unwrap() {
                batches.push(batch);
            }
            arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
        })
    };
    let found = read(RowsAndColumns {
        columns: Some(&["value", "cell_integer_id"]),
        rows: Some(1000..1234),
    });
    assert_eq!(found.column(0), &all.column(2).slice(1000, 234));
    assert_eq!(found.column(1), &all.column(0).slice(1000, 234));
    assert_eq!(found.num_columns(), 2);
}

// Lance takes time quadratic in the number of columns per batch, and there were also more batches.
#[test]
fn hostile_10_very_many_columns_are_read_in_groups() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    let cells = 400;
    write_csr(&input, cells, 200, 100, |entry| (entry % 7 + 1) as f32);
    for column in 0..300 {
        let text = |row: usize| format!("text {column} of {row}");
        add_texts(&input, &format!("obs/c{column}"), cells, text);
    }
    convert(std::slice::from_ref(&input), &output, &[]).succeeded();
    let dataset = Dataset::open(&output).unwrap();
    block_on(async {
        let table = dataset.table(TableName::Cells).await.unwrap();
        let path = output.join("cells.lance");
        let mut rows = RowReader::over(&table, &path, None).await.unwrap();
        let (mut batches, mut found) = (0, 0);
        while let Some(batch) = rows.next().await.unwrap() {
            assert_eq!(batch.num_columns(), 304);
            let texts = batch.column_by_name("c299").unwrap();
            assert_eq!(texts.data_type(), &DataType::Utf8);
            let texts = arrow::array::AsArray::as_string::<i32>(texts);
            assert_eq!(texts.value(0), format!("text 299 of {found}"));
            (batches, found) = (batches + 1, found + batch.num_rows());
        }
        assert_eq!(found, cells);
        // There were 30 and more for so few rows.
        assert!(batches <= 4, "{batches}");
    });
    let run = verify(&output, &["--against", path(&input)]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

/// Checks what the commands report about a damaged dataset: none of them panics, and verify fails.
fn all_commands_end(dataset: &Path, name: &str) {
    let input = repository("fixtures/h5ad/demo.h5ad");
    let flags = ["--cell-id-prefix", "z_", "--allow-duplicate-source"];
    let runs = [
        ("info", Run::of(slaf(&["info"]).arg(dataset))),
        ("verify", verify(dataset, &[])),
        (
            "append",
            Run::of(slaf(&["append", "-q"]).arg(&input).arg(dataset).args(flags)),
        ),
        (
            "validate",
            Run::of(
                slaf(&["validate"])
                    .arg(&input)
                    .arg("--against")
                    .arg(dataset)
                    .args(flags),
            ),
        ),
    ];
    for (command, run) in runs {
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(!told.contains("panicked"), "{name}, {command}: {told}");
        let codes: &[i32] = match command {
            "verify" => &[4],
            _ => &[1, 3],
        };
        let code = run.code.unwrap_or(-1);
        assert!(codes.contains(&code), "{name}, {command}: {code} {told}");
        assert!(
            code == 0 || told.contains("cells.lance"),
            "{name}, {command}: {told}"
        );
    }
}

fn only_file(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder).unwrap();
    let mut files = files.map(|file| file.unwrap().path());
    files
        .find(|file| file.extension().is_some_and(|ending| ending != "json"))
        .unwrap()
}

// Lance slices manifests and pages by lengths that it reads from them.
#[test]
fn hostile_07_damaged_lance_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path());
    let manifest = only_file(&output.join("cells.lance/_versions"));
    let whole = std::fs::read(&manifest).unwrap();
    let length = whole.len();
    std::fs::write(&manifest, &whole[..length - 100]).unwrap();
    all_commands_end(&output, "a manifest that is cut");
    let mut longer = whole.clone();
    let at = u64::from_le_bytes(whole[length - 16..length - 8].try_into().unwrap()) as usize;
    longer[at..at + 4].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
    std::fs::write(&manifest, longer).unwrap();
    all_commands_end(&output, "a manifest that tells a wrong length");
    for (number, at) in (20..length - 16).step_by(length / 5).enumerate() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        std::fs::write(&manifest, flipped).unwrap();
        let run = verify(&output, &[]);
        assert!(
            [Some(0), Some(3), Some(4)].contains(&run.code) && !run.stderr.contains("panicked"),
            "flip {number}: {:?} {}{}",
            run.code,
            run.stdout,
            run.stderr
        );
    }
    std::fs::write(&manifest, &whole).unwrap();
    let data = only_file(&output.join("cells.lance/data"));
    let whole = std::fs::read(&data).unwrap();
    for at in [10, whole.len() / 2, whole.len() - 60] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x40;
        std::fs::write(&data, flipped).unwrap();
        let run = verify(&output, &[]);
        assert_eq!(run.code, Some(4), "{at}: {}{}", run.stdout, run.stderr);
        let name = data.file_name().unwrap().to_str().unwrap();
        assert!(run.stdout.contains(name), "{at}: {}", run.stdout);
    }
}

// The file names of other programs do not contain a hash of the bytes.
#[test]
fn hostile_07_so_are_those_without_a_hash() {
    let folder = tempfile::tempdir().unwrap();
    let output = demo(folder.path());
    let data = output.join("cells.lance/data");
    let written = only_file(&data);
    let manifest = only_file(&output.join("cells.lance/_versions"));
    // Under a name of the same length, so that the manifest can contain it.
    let name = written.file_name().unwrap().to_str().unwrap().to_string();
    let other = name.replace('-', "_");
    let bytes = std::fs::read(&manifest).unwrap();
    let replaced = replace_all(&bytes, name.as_bytes(), other.as_bytes());
    assert_ne!(bytes, replaced, "the manifest holds the name");
    std::fs::write(&manifest, replaced).unwrap();
    let whole = std::fs::read(&written).unwrap();
    std::fs::remove_file(&written).unwrap();
    let renamed = data.join(&other);
    std::fs::write(&renamed, &whole).unwrap();
    let run = verify(&output, &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let footer = whole.len() - 40;
    // Positions in the footer, then bytes throughout the file.
    let places = (0..40).step_by(3).map(|place| footer + place);
    for at in places.chain((0..footer).step_by(footer / 12)) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0xff;
        std::fs::write(&renamed, flipped).unwrap();
        let run = verify(&output, &[]);
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(!told.contains("panicked"), "{at}: {told}");
        // Some bytes are not significant.
        assert!([Some(0), Some(4)].contains(&run.code), "{at}: {told}");
    }
}

fn replace_all(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to);
        }
    }
    bytes
}

// Nothing recorded what uns.json contained.
#[test]
fn hostile_17_another_uns_is_seen() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let input = repository("fixtures/h5ad/everything.h5ad");
    convert(&[input], &output, &[]).succeeded();
    let run = verify(&output, &[]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    std::fs::write(output.join("uns.json"), "{\"other\": 1}").unwrap();
    let run = verify(&output, &[]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(run.stdout.contains("uns.json: it is not what was written"));
    std::fs::remove_file(output.join("uns.json")).unwrap();
    let run = verify(&output, &[]);
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert!(run.stdout.contains("uns.json: it is missing"));
}

// The sums and row counts in config.json, which an append relies on, were not checked.
#[test]
fn hostile_17_changed_sums_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let input = repository("fixtures/h5ad/everything.h5ad");
    convert(&[input], &output, &[]).succeeded();
    let config = output.join("config.json");
    let whole = std::fs::read(&config).unwrap();
    let json: Value = serde_json::from_slice(&whole).unwrap();
    let number = |pointer: &str| json.pointer(pointer).unwrap().as_f64().unwrap();
    for pointer in [
        "/sums/rows",
        "/sums/sum",
        "/sums/sum_of_squares",
        "/sums/max",
        "/sources/0/rows",
        "/sources/0/layers/0/rows",
    ] {
        let mut changed = json.clone();
        let value = number(pointer) * 2.0 + 1.0;
        *changed.pointer_mut(pointer).unwrap() = if pointer.ends_with("rows") {
            (value as u64).into()
        } else {
            value.into()
        };
        std::fs::write(&config, serde_json::to_vec(&changed).unwrap()).unwrap();
        let run = verify(&output, &[]);
        assert_eq!(run.code, Some(4), "{pointer}: {}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("config.json: "), "{pointer}");
    }
}

/// An append added to whatever sums config.json had, and took over the numbers of rows.
#[test]
fn hostile_17_wrong_sums_are_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let input = repository("fixtures/h5ad/everything.h5ad");
    convert(std::slice::from_ref(&input), &output, &[]).succeeded();
    let config = output.join("config.json");
    let json: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    let command = |name: &str, flags: &[&str]| {
        let mut command = slaf(&[name]);
        let again = ["--allow-duplicate-source", "--allow-duplicate-cells", "-q"];
        match name {
            "append" => command.arg(&input).arg(&output).args(again),
            "validate" => command
                .arg(&input)
                .arg("--against")
                .arg(&output)
                .args(&again[..2]),
            _ => command.arg(&output),
        };
        Run::of(command.args(flags))
    };
    for pointer in [
        "/n_cells",
        "/n_genes",
        "/sums/rows",
        "/sums/sum",
        "/sums/sum_of_squares",
        "/sums/max",
        "/metadata/expression_count",
        "/metadata/expression_stats/mean_value",
        "/sources/0/rows",
        "/sources/0/cells",
        "/sources/0/layers/0/rows",
    ] {
        let mut changed = json.clone();
        let value = changed.pointer_mut(pointer).unwrap();
        *value = match (value.as_u64(), value.as_f64()) {
            // More rows of a layer than its table has.
            (Some(_), _) if pointer.contains("layers") => 1_000_000.into(),
            (Some(number), _) => (number + 1).into(),
            (_, number) => (number.unwrap() * 1.01).into(),
        };
        std::fs::write(&config, serde_json::to_vec(&changed).unwrap()).unwrap();
        let refused = command("append", &[]);
        assert_eq!(refused.code, Some(3), "{pointer}");
        for part in [
            "config.json tells of",
            "slaf verify",
            "slaf adopt",
            "--accept-changes",
        ] {
            assert!(
                refused.stderr.contains(part),
                "{pointer}: {}",
                refused.stderr
            );
        }
        assert_eq!(command("validate", &[]).code, Some(3), "{pointer}");
    }
    // Of the last one, which is what others are.
    command("adopt", &["--accept-changes", "-q"]).succeeded();
    command("append", &[]).succeeded();
    command("verify", &["-q"]).succeeded();
}

/// Runs a command until it reaches a point, and holds it there while `look` runs.
fn held<T>(point: &str, mut command: std::process::Command, look: impl FnOnce() -> T) -> T {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("held");
    let command = command
        .env("SLAF_HOLD_AT", point)
        .env("SLAF_HOLD_FILE", &file);
    let mut child: Child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !file.exists() {
        assert!(child.try_wait().unwrap().is_none(), "{point} is not passed");
        assert!(Instant::now() < deadline, "nothing happens");
        std::thread::sleep(Duration::from_millis(2));
    }
    let seen = look();
    std::fs::remove_file(&file).unwrap();
    let run = Run::from(child.wait_with_output().unwrap());
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    seen
}

// config.json was read, then an append wrote its first record and folder, then the folder was
// listed.
#[test]
fn hostile_02_verify_sees_one_state_whatever_an_append_does() {
    let folder = tempfile::tempdir().unwrap();
    let ([first, second], _, _) = joined(folder.path());
    let output = folder.path().join("grows.slaf");
    for point in [
        "checkpoint-created",
        "data-file-written",
        "after-record",
        "after-expression-commit",
        "after-cells-commit",
        "before-config",
        "after-config",
        "before-cleanup",
        "after-cleanup",
    ] {
        convert(std::slice::from_ref(&second), &output, &["--overwrite"]).succeeded();
        let mut append = slaf(&["append", "-q", "--join", "outer"]);
        append.arg(&first).arg(&output);
        let run = held(point, append, || verify(&output, &[]));
        assert_eq!(run.code, Some(0), "{point}: {}{}", run.stdout, run.stderr);
        let run = verify(&output, &[]);
        assert_eq!(run.code, Some(0), "{point}: {}{}", run.stdout, run.stderr);
    }
    // And at arbitrary moments.
    for _ in 0..6 {
        convert(std::slice::from_ref(&second), &output, &["--overwrite"]).succeeded();
        let mut append = slaf(&["append", "-q", "--join", "outer"]);
        let mut append = append.arg(&first).arg(&output).spawn().unwrap();
        while append.try_wait().unwrap().is_none() {
            let run = verify(&output, &[]);
            assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
        }
        let run = Run::from(append.wait_with_output().unwrap());
        assert_eq!(run.code, Some(0), "{}", run.stderr);
    }
}

/// Two matrices with their own lists of cells, and a list of features in a place where it would not
/// be searched for.
fn matrices(folder: &Path) -> (PathBuf, PathBuf) {
    let (inputs, features) = (folder.join("m"), folder.join("genes.txt"));
    std::fs::create_dir_all(&inputs).unwrap();
    let head = "%%MatrixMarket matrix coordinate integer general\n3 2 3\n";
    for (name, cells, entries) in [
        ("GSM1_x", "x1\nx2\n", "1 1 4\n3 1 5\n2 2 6\n"),
        ("GSM2_y", "y1\ny2\n", "2 1 7\n1 2 8\n3 2 9\n"),
    ] {
        let file = |ending: &str| inputs.join(format!("{name}_{ending}"));
        std::fs::write(file("matrix.mtx"), format!("{head}{entries}")).unwrap();
        std::fs::write(file("barcodes.tsv"), cells).unwrap();
    }
    std::fs::write(&features, "E1\tG1\nE2\tG2\nE3\tG3\n").unwrap();
    (inputs, features)
}

// Only a file with the name of a source was accepted, and the options it was opened with were
// ignored.
#[test]
fn r90_a_folder_is_what_it_was_when_it_was_converted() {
    let folder = tempfile::tempdir().unwrap();
    let (inputs, features) = matrices(folder.path());
    let output = folder.path().join("out.slaf");
    let flags = ["--features", path(&features)];
    convert(std::slice::from_ref(&inputs), &output, &flags).succeeded();
    let run = verify(&output, &["--json", "--against", path(&inputs)]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(found["inputs"], 2);
    let matrix = inputs.join("GSM2_y_matrix.mtx");
    let text = std::fs::read_to_string(&matrix).unwrap();
    std::fs::write(&matrix, text.replace("1 2 8", "1 2 1")).unwrap();
    let run = verify(&output, &["--against", path(&inputs)]);
    assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("cell y2") && run.stdout.contains("expected 1, found 8"),
        "{}",
        run.stdout
    );
}

// Inputs were recognised by their file names.
#[test]
fn r90_an_input_in_another_place_is_known_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let (inputs, _, output) = joined(folder.path());
    // Now each has the name of the other.
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::rename(&inputs[0], elsewhere.join("b.h5ad")).unwrap();
    std::fs::rename(&inputs[1], elsewhere.join("a.h5ad")).unwrap();
    let run = verify(&output, &["--json", "--against", path(&elsewhere)]);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(found["inputs"], 2);
    let stranger = repository("fixtures/h5ad/demo.h5ad");
    verify(&output, &["--against", path(&stranger)]).refused(3);
}
