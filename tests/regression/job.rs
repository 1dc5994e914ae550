//! Jobs that are interrupted, disturbed or misled.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use serde_json::{Value, json};
use slaf::dataset::Dataset;
use slaf::table::TableName;

use crate::support::dataset::{
    Contents, assert_no_orphans, files_below, fragments, integers, table, tables_of, triplets,
};
use crate::support::h5ad_writer::{add_categories, add_texts, write_csr};
use crate::support::program::{Run, convert, slaf};
use crate::support::repository;

/// Flags that divide `everything` into several shards.
const FLAGS: [&str; 4] = ["--fragment-rows", "10", "--threads", "2"];

fn everything() -> PathBuf {
    repository("fixtures/h5ad/everything.h5ad")
}

/// Result of an uninterrupted run on `everything`.
fn wanted(folder: &Path) -> Contents {
    let output = folder.join("wanted.slaf");
    Run::of(&mut convert(&everything(), &output, &FLAGS)).succeeded();
    Contents::of(&output)
}

/// Starts a conversion of `everything` that is not finished.
fn unfinished(output: &Path) {
    let mut command = convert(&everything(), output, &FLAGS);
    let run = Run::of(command.env("SLAF_FAIL_AT", "after-record:3"));
    assert_eq!(run.code, None, "{}", run.stderr);
}

/// Changes a file of an unfinished conversion.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
}

/// Changes a file and updates its digest accordingly.
fn edit_and_seal(path: &Path, change: impl FnOnce(&mut Value)) {
    edit(path, |value| {
        value.as_object_mut().unwrap().shift_remove("digest");
        change(value);
        let json = serde_json::to_vec(value).unwrap();
        value["digest"] = json!(blake3::hash(&json).to_hex()[..32].to_string());
    });
}

/// Returns the folder of the current job.
fn job_folder(output: &Path) -> PathBuf {
    let config = std::fs::read(output.join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    output.join(config["checkpoint"]["folder"].as_str().unwrap())
}

/// Returns the files of a job's records, in the order of the shards.
fn records(output: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(job_folder(output).join("records")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    // A record that was being written when the process died has no name yet.
    files.retain(|file| !file.file_name().unwrap().to_string_lossy().starts_with('.'));
    files.sort_by_key(|file| number(file));
    files
}

/// The shard of a record.
fn number(record: &Path) -> usize {
    let name = record.file_stem().unwrap().to_string_lossy();
    name.parse().unwrap()
}

/// Returns the rows of all tables, as config.json describes them.
fn tables(output: &Path) -> Vec<(TableName, RecordBatch)> {
    let names = tables_of(output).into_iter();
    names.map(|name| (name, table(output, name))).collect()
}

/// A child process that waits at a point of the program.
pub(super) struct Held {
    child: Child,
    file: PathBuf,
}

impl Held {
    pub(super) fn at(point: &str, command: &mut Command, folder: &Path) -> Self {
        let file = folder.join(format!("held-{point}"));
        let command = command.env("SLAF_HOLD_AT", point);
        let mut child = command.env("SLAF_HOLD_FILE", &file).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        while !file.exists() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{point} is not passed: {ended:?}");
            assert!(Instant::now() < deadline, "nothing happens");
            std::thread::sleep(Duration::from_millis(2));
        }
        Held { child, file }
    }

    pub(super) fn release(self) -> Run {
        std::fs::remove_file(&self.file).unwrap();
        Run::from(self.child.wait_with_output().unwrap())
    }

    fn signal(self, name: &str) -> Run {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &process]).status();
        assert!(sent.unwrap().success());
        Run::from(self.child.wait_with_output().unwrap())
    }
}

/// Modifies the size and time of a file.
fn touch(path: &Path) {
    let mut file = std::fs::File::options().append(true).open(path).unwrap();
    file.write_all(b"\0").unwrap();
}

// Inputs were only checked when the commit began; obs, obsm and uns are read after that.
#[test]
fn hostile_01_an_input_that_changes_during_the_commit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    for point in ["after-genes-commit", "before-cells-commit", "before-uns"] {
        std::fs::copy(everything(), &input).unwrap();
        let held = Held::at(point, &mut convert(&input, &output, &FLAGS), folder.path());
        touch(&input);
        let run = held.release().refused(3);
        assert!(
            run.stderr.contains("changed while it was read"),
            "{}",
            run.stderr
        );
        assert!(
            Dataset::open(&output).is_err(),
            "{point}: it looks complete"
        );
        let again = [&FLAGS[..], &["--no-resume"]].concat();
        Run::of(&mut convert(&input, &output, &again)).succeeded();
        assert_no_orphans(&output);
        std::fs::remove_dir_all(&output).unwrap();
    }
}

// Likewise for an append: what it had made visible is reverted.
#[test]
fn hostile_01_an_append_whose_input_changes_leaves_the_dataset_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    std::fs::copy(everything(), &input).unwrap();
    Run::of(&mut convert(&everything(), &output, &FLAGS)).succeeded();
    let before = tables(&output);
    let append = || {
        let mut command = slaf(&["append", "-q", "--cell-id-prefix", "more-"]);
        command
            .arg("--allow-duplicate-source")
            .arg(&input)
            .arg(&output);
        command
    };
    let held = Held::at("before-cells-commit", &mut append(), folder.path());
    touch(&input);
    let run = held.release().refused(3);
    assert!(
        run.stderr.contains("changed while it was read"),
        "{}",
        run.stderr
    );
    assert_eq!(tables(&output), before);
    Run::of(&mut slaf(&[OsStr::new("verify"), output.as_os_str()])).succeeded();
    Run::of(&mut append()).succeeded();
    assert_ne!(tables(&output), before);
    Run::of(&mut slaf(&[OsStr::new("verify"), output.as_os_str()])).succeeded();
}

// A plan and records in config.json were trusted, whatever the job's digest was.
#[test]
fn hostile_03_a_checkpoint_that_was_edited_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = wanted(folder.path());
    let output = folder.path().join("out.slaf");
    let edits: [fn(&mut Value); 6] = [
        |job| {
            drop(
                job["plan"]["shards"][0]["parts"]
                    .as_array_mut()
                    .unwrap()
                    .remove(0),
            );
        },
        |job| {
            let shards = job["plan"]["shards"].as_array_mut().unwrap();
            shards.insert(1, shards[1].clone());
        },
        |job| job["plan"]["shards"][0]["parts"][0]["input"] = json!(1),
        |job| job["plan"]["inputs"][0]["cells"]["start"] = json!(1u64 << 31),
        |job| job["plan"]["shards"][1]["parts"][0]["rows"]["start"] = json!(0),
        |job| drop(job.as_object_mut().unwrap().remove("digest")),
    ];
    for (number, change) in edits.into_iter().enumerate() {
        unfinished(&output);
        edit(&job_folder(&output).join("plan.json"), change);
        let run = Run::of(&mut convert(&everything(), &output, &FLAGS)).refused(3);
        assert!(
            run.stderr.contains("plan.json") && run.stderr.contains("--no-resume"),
            "{number}: {}",
            run.stderr
        );
        let info = Run::of(&mut slaf(&[OsStr::new("info"), output.as_os_str()]));
        assert!(
            matches!(info.code, Some(0 | 3)),
            "{number}: {}",
            info.stderr
        );
        let again = [&FLAGS[..], &["--no-resume"]].concat();
        Run::of(&mut convert(&everything(), &output, &again)).succeeded();
        assert_eq!(Contents::of(&output), wanted, "{number}");
        assert_no_orphans(&output);
        std::fs::remove_dir_all(&output).unwrap();
    }
}

// Likewise for an append, whose dataset is not changed.
#[test]
fn hostile_03_an_edited_append_is_refused_and_can_be_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    Run::of(&mut convert(&everything(), &output, &FLAGS)).succeeded();
    let before = tables(&output);
    let append = |flags: &[&str]| {
        let mut command = slaf(&["append", "-q", "--cell-id-prefix", "more-"]);
        command.arg("--allow-duplicate-source").arg(everything());
        command.arg(&output).args(flags);
        command
    };
    for point in ["after-record", "before-cells-commit"] {
        let run = Run::of(append(&["--no-resume"]).env("SLAF_FAIL_AT", point));
        assert_eq!(run.code, None, "{}", run.stderr);
        edit(&job_folder(&output).join("plan.json"), |job| {
            job["plan"]["shards"][0]["entries"] = json!(7);
        });
        let run = Run::of(&mut append(&[])).refused(3);
        assert!(run.stderr.contains("--no-resume"), "{}", run.stderr);
        assert_eq!(tables(&output), before, "{point}");
    }
    Run::of(&mut append(&["--no-resume"])).succeeded();
    assert_ne!(tables(&output), before);
    Run::of(&mut slaf(&[OsStr::new("verify"), output.as_os_str()])).succeeded();
}

// Numbers in a record were used as indices without a check (a panic), although the digest may be
// right; and records were stored in config.json, which was rewritten after each shard.
#[test]
fn d7_records_that_cannot_be_believed_are_no_panic_and_their_shards_are_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = wanted(folder.path());
    let output = folder.path().join("out.slaf");
    let edits: [fn(&mut Value); 9] = [
        |record| record["shard"] = json!(1_000_000),
        |record| record["shard"] = json!(record["shard"].as_u64().unwrap() + 1),
        |record| record["parts"][0]["input"] = json!(7),
        |record| record["parts"][0]["matrices"] = json!([]),
        |record| record["parts"] = json!([]),
        |record| record["parts"][0]["matrices"][0]["value_type"] = json!("float64"),
        |record| record["job"] = json!("0123456789abcdef0123456789abcdef"),
        |record| record["record_version"] = json!(1000),
        |record| drop(record.as_object_mut().unwrap().shift_remove("fragments")),
    ];
    let ends_well = |what: &str, records: usize| {
        let mut command = slaf(&["convert", "--json"]);
        command.arg(everything()).arg(&output).args(FLAGS);
        let run = Run::of(&mut command).succeeded();
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        // One of them is not believed.
        assert_eq!(report["resumed_shards"], json!(records - 1), "{what}");
        assert!(run.stderr.contains("written again"), "{what}");
        assert_eq!(Contents::of(&output), wanted, "{what}");
        assert_no_orphans(&output);
        std::fs::remove_dir_all(&output).unwrap();
    };
    for (number, change) in edits.into_iter().enumerate() {
        unfinished(&output);
        let files = records(&output);
        edit_and_seal(&files[1], change);
        ends_well(&format!("edit {number}"), files.len());
    }
    // With the original digest.
    unfinished(&output);
    let files = records(&output);
    edit(&files[0], |record| {
        record["parts"][0]["matrices"][0]["stats"]["sum"] = json!(1000.5);
    });
    ends_well("a sum", files.len());
    let damages: [fn(&Path); 3] = [
        |path| std::fs::write(path, b"").unwrap(),
        |path| {
            let bytes = std::fs::read(path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        },
        |path| std::fs::write(path, b"[\"shard\", 0]").unwrap(),
    ];
    for damage in damages {
        unfinished(&output);
        let files = records(&output);
        damage(&files[2]);
        ends_well("damage", files.len());
    }
    // The record of another shard in its place.
    unfinished(&output);
    let files = records(&output);
    std::fs::copy(&files[0], &files[1]).unwrap();
    ends_well("a record twice", files.len());
    // Under names that no shard has, none is accepted.
    unfinished(&output);
    let files = records(&output);
    for name in ["01.json", "+1.json", "1000000.json", "1.json.bak"] {
        std::fs::copy(&files[1], files[1].with_file_name(name)).unwrap();
    }
    std::fs::remove_file(&files[1]).unwrap();
    Run::of(&mut convert(&everything(), &output, &FLAGS)).succeeded();
    assert_eq!(Contents::of(&output), wanted);
    assert_no_orphans(&output);
}

// The plan and all records were written to config.json after each shard.
#[test]
fn d5_config_json_tells_how_far_a_job_is_and_where_its_records_are() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let mut command = convert(&everything(), &output, &FLAGS);
    let run = Run::of(command.env("SLAF_FAIL_AT", "before-expression-commit"));
    assert_eq!(run.code, None, "{}", run.stderr);
    let config = std::fs::read(output.join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let job = &config["checkpoint"];
    assert_eq!(job["status"], "committing");
    assert_eq!(job["shards_done"], job["shards"]);
    assert_eq!(job["shards"], json!(records(&output).len()));
    assert_eq!(job["entries_done"], job["entries"]);
    assert!(job["rows"].as_u64() > Some(0) && job["fragments"].as_u64() > Some(0));
    assert!(job.get("plan").is_none(), "{job}");
    assert!(job_folder(&output).join("plan.json").is_file());
    let info = Run::of(&mut slaf(&[OsStr::new("info"), output.as_os_str()])).succeeded();
    assert!(info.stdout.contains("at its commit"), "{}", info.stdout);
    assert!(info.stdout.contains("everything.h5ad"), "{}", info.stdout);
}

/// A conversion of `everything` of which all shards are there, and nothing is committed.
fn uncommitted(output: &Path) {
    let mut command = convert(&everything(), output, &FLAGS);
    let run = Run::of(command.env("SLAF_FAIL_AT", "before-expression-commit"));
    assert_eq!(run.code, None, "{}", run.stderr);
}

// Cells, genes and notes were written in the commit, and a run that was killed there began them anew.
#[test]
fn d5_cells_genes_and_notes_are_shards_that_are_believed_or_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = wanted(folder.path());
    let output = folder.path().join("out.slaf");
    let again = |records: usize, resumed: usize, what: &str| {
        let mut command = slaf(&["convert", "--json"]);
        command.arg(everything()).arg(&output).args(FLAGS);
        let run = Run::of(&mut command).succeeded();
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(report["shards"], json!(records), "{what}");
        assert_eq!(report["resumed_shards"], json!(resumed), "{what}");
        assert_eq!(Contents::of(&output), wanted, "{what}");
        assert_no_orphans(&output);
        std::fs::remove_dir_all(&output).unwrap();
    };
    uncommitted(&output);
    let count = records(&output).len();
    again(count, count, "all are kept");
    // Those of genes, of notes and of cells come last.
    let edits: [(usize, fn(&mut Value)); 7] = [
        (3, |genes| genes["counted"] = json!("0123456789abcdef")),
        (3, |genes| {
            genes["files"] = json!({"../../config.json": "0123456789abcdef"});
        }),
        (2, |notes| {
            drop(
                notes["files"]
                    .as_object_mut()
                    .unwrap()
                    .shift_remove("uns.json"),
            );
        }),
        (2, |notes| {
            notes["files"]["categories.json"] = json!("0123456789abcdef");
        }),
        (1, |cells| {
            drop(cells.as_object_mut().unwrap().shift_remove("counted"));
        }),
        (1, |cells| {
            drop(cells.as_object_mut().unwrap().shift_remove("digest"));
        }),
        (1, |cells| cells["shard"] = json!(0)),
    ];
    for (number, (from_end, change)) in edits.into_iter().enumerate() {
        uncommitted(&output);
        let files = records(&output);
        let file = &files[files.len() - from_end];
        match number {
            5 => edit(file, change),
            _ => edit_and_seal(file, change),
        }
        again(count, count - 1, &format!("edit {number}"));
    }
    // Where its rows begin is what the shards of the expression table have counted.
    uncommitted(&output);
    edit_and_seal(records(&output).last().unwrap(), |cells| {
        cells["counted"] = json!("0123456789abcdef");
    });
    again(count, count, "another count");
    for end in [".u64", "categories.json", "uns.json"] {
        uncommitted(&output);
        let folder = job_folder(&output);
        let files = files_below(&folder).into_iter();
        let mut file = files.filter(|file| file.ends_with(end) && !file.starts_with("contents"));
        std::fs::write(folder.join(file.next_back().unwrap()), b"short").unwrap();
        again(count, count - 1, end);
    }
}

// Cells come in several shards; entries that are zero make no rows, whatever indptr says of them.
#[test]
fn d5_cells_of_several_shards_begin_where_their_rows_do() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    for zeros in [false, true] {
        write_csr(&input, 1200, 200, 30, |entry| {
            if zeros && entry % 5 == 3 {
                0.0
            } else {
                (entry % 9 + 1) as f32
            }
        });
        for threads in ["1", "3"] {
            let flags = [
                "--fragment-rows",
                "400",
                "--threads",
                threads,
                "--overwrite",
            ];
            Run::of(&mut convert(&input, &output, &flags)).succeeded();
            assert_eq!(fragments(&output, TableName::Cells), [400; 3]);
            let cells = table(&output, TableName::Cells);
            let starts = integers(cells.column_by_name("cell_start_index").unwrap());
            let rows = triplets(&output);
            let mut next = 0;
            for (cell, &start) in starts.iter().enumerate() {
                assert_eq!(start, next as i64, "cell {cell}");
                while rows.get(next).is_some_and(|row| row.0 == cell as u64) {
                    next += 1;
                }
            }
            assert_eq!(next, rows.len());
            let verify = [OsStr::new("verify"), output.as_os_str()];
            Run::of(&mut slaf(&verify)).succeeded();
            assert_no_orphans(&output);
        }
    }
}

// A job that an earlier version did not finish.
#[test]
fn d5_records_in_config_json_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = wanted(folder.path());
    let output = folder.path().join("out.slaf");
    unfinished(&output);
    let plan = std::fs::read(job_folder(&output).join("plan.json")).unwrap();
    let plan: Value = serde_json::from_slice(&plan).unwrap();
    edit(&output.join("config.json"), |config| {
        config["checkpoint"] = plan;
        config["checkpoint"]["shards"] = json!([]);
    });
    let run = Run::of(&mut convert(&everything(), &output, &FLAGS)).refused(3);
    assert!(
        run.stderr.contains("older slaf") && run.stderr.contains("--no-resume"),
        "{}",
        run.stderr
    );
    let again = [&FLAGS[..], &["--no-resume"]].concat();
    Run::of(&mut convert(&everything(), &output, &again)).succeeded();
    assert_eq!(Contents::of(&output), wanted);
    assert_no_orphans(&output);
}

// A job whose folder or plan is missing, with or without records.
#[test]
fn d5_a_job_whose_plan_is_missing_is_refused_or_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = wanted(folder.path());
    let output = folder.path().join("out.slaf");
    unfinished(&output);
    std::fs::remove_file(job_folder(&output).join("plan.json")).unwrap();
    let run = Run::of(&mut convert(&everything(), &output, &FLAGS)).refused(3);
    assert!(
        run.stderr.contains("plan.json") && run.stderr.contains("--no-resume"),
        "{}",
        run.stderr
    );
    std::fs::remove_dir_all(&output).unwrap();
    // Nothing was written, so another job need not discard it.
    let mut command = convert(&everything(), &output, &["--fragment-rows", "99"]);
    let run = Run::of(command.env("SLAF_FAIL_AT", "checkpoint-created"));
    assert_eq!(run.code, None, "{}", run.stderr);
    Run::of(&mut convert(&everything(), &output, &FLAGS)).succeeded();
    assert_eq!(Contents::of(&output), wanted);
    assert_no_orphans(&output);
}

// Versions were written but never compared.
#[test]
fn d7_what_a_newer_slaf_wrote_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    unfinished(&output);
    edit_and_seal(&job_folder(&output).join("plan.json"), |job| {
        job["plan"]["plan_version"] = json!(1000);
    });
    let run = Run::of(&mut convert(&everything(), &output, &FLAGS)).refused(3);
    assert!(run.stderr.contains("newer slaf"), "{}", run.stderr);
    std::fs::remove_dir_all(&output).unwrap();
    Run::of(&mut convert(&everything(), &output, &FLAGS)).succeeded();
    edit(&output.join("config.json"), |config| {
        config["format_version"] = json!("0.10");
    });
    for command in ["info", "verify"] {
        let run = Run::of(&mut slaf(&[OsStr::new(command), output.as_os_str()])).refused(3);
        assert!(run.stderr.contains("newer slaf"), "{}", run.stderr);
    }
}

// Count files were decoded whatever they contained: a panic, or an allocation of petabytes.
#[test]
fn hostile_08_a_shard_whose_files_are_damaged_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = wanted(folder.path());
    let output = folder.path().join("out.slaf");
    let file = |end: &str| {
        let files = files_below(&output).into_iter();
        let mut files: Vec<String> = files.filter(|file| file.ends_with(end)).collect();
        files.sort();
        output.join(&files[0])
    };
    for (end, byte) in [
        ("counts-0.arrow", 5),
        ("counts-0.arrow", 70),
        ("counts-0.arrow", 300),
    ] {
        unfinished(&output);
        let path = file(end);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[byte] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        Run::of(&mut convert(&everything(), &output, &FLAGS)).succeeded();
        assert_eq!(Contents::of(&output), wanted, "{end} at {byte}");
        assert_no_orphans(&output);
        std::fs::remove_dir_all(&output).unwrap();
    }
    for damage in [
        |path: &Path| std::fs::remove_file(path).unwrap(),
        |path: &Path| std::fs::write(path, b"short").unwrap(),
    ] {
        for end in ["counts-1.arrow", ".lance"] {
            unfinished(&output);
            damage(&file(end));
            Run::of(&mut convert(&everything(), &output, &FLAGS)).succeeded();
            assert_eq!(Contents::of(&output), wanted, "{end}");
            assert_no_orphans(&output);
            std::fs::remove_dir_all(&output).unwrap();
        }
    }
    // All shards are written and only the commit is missing: their counts are checked again.
    let run =
        Run::of(convert(&everything(), &output, &FLAGS).env("SLAF_FAIL_AT", "before-cells-commit"));
    assert_eq!(run.code, None, "{}", run.stderr);
    std::fs::write(file("counts-0.arrow"), b"ARROW1\0\0").unwrap();
    Run::of(&mut convert(&everything(), &output, &FLAGS)).succeeded();
    assert_eq!(Contents::of(&output), wanted);
    assert_no_orphans(&output);
}

/// Returns the peak memory of a conversion in bytes; `None` if the system does not report it.
fn peak(input: &Path, output: &Path, flags: &[&str]) -> Option<u64> {
    let summary = output.with_extension("json");
    let mut command = slaf(&["convert", "--json"]);
    command.arg(input).arg(output).args(flags);
    // The output contains all categories, which is more than a pipe holds.
    command.stdout(std::fs::File::create(&summary).unwrap());
    Run::of(&mut command).succeeded();
    let report: Value = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    let peak = report["peak_memory"].as_u64();
    println!("{} MiB with {flags:?}", peak.unwrap_or(0) >> 20);
    peak
}

const MIB: u64 = 1 << 20;

// Frames were first read in blocks of 1,024 rows, however long their strings were.
#[test]
fn hostile_05_long_texts_stay_within_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    let cells = 300;
    write_csr(&input, cells, 400, 150, |_| 1.0);
    let text = |row: usize| {
        char::from(b'a' + (row % 26) as u8)
            .to_string()
            .repeat(1 << 20)
    };
    add_texts(&input, "obs/t", cells, text);
    if let Some(peak) = peak(&input, &output, &["--memory", "256MiB", "--threads", "2"]) {
        assert!(peak <= 282 * MIB, "{peak} bytes");
    }
}

// A string in uns was only checked against the memory limit after it had been read.
#[test]
fn hostile_05_one_long_text_is_left_out_or_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    write_csr(&input, 300, 400, 150, |_| 1.0);
    add_texts(&input, "uns/log", 1, |_| "x".repeat(200 << 20));
    let flags = ["--memory", "256MiB", "--threads", "2"];
    if let Some(peak) = peak(&input, &output, &flags) {
        assert!(peak <= 282 * MIB, "{peak} bytes");
    }
    let uns = std::fs::read_to_string(output.join("uns.json")).unwrap_or_default();
    assert!(!uns.contains("log"));
    std::fs::remove_dir_all(&output).unwrap();
    add_texts(&input, "obs/t", 300, |row| {
        "x".repeat(if row == 7 { 100 << 20 } else { 1 })
    });
    let run = Run::of(&mut convert(&input, &output, &flags)).refused(3);
    assert!(
        run.stderr.contains("obs") && run.stderr.contains("--memory"),
        "{}",
        run.stderr
    );
    assert!(!output.exists());
}

// Categories were held as individual strings, in three copies, while config.json was written.
#[test]
fn hostile_05_many_categories_stay_within_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    let cells = 200_000;
    write_csr(&input, cells, 20, 1, |_| 1.0);
    let name = |row: usize| format!("a long category name number {row} of column");
    for column in ["k0", "k1", "k2", "k3"] {
        add_categories(&input, &format!("obs/{column}"), cells, name);
    }
    if let Some(peak) = peak(&input, &output, &["--memory", "384MiB", "--threads", "2"]) {
        assert!(peak <= 422 * MIB, "{peak} bytes");
    }
    let config = Dataset::open(&output).unwrap().config().clone();
    let categories = config.obs_dtypes["k3"].categories.as_ref().unwrap();
    assert_eq!(categories.len(), cells);
    assert_eq!(categories.iter().nth(cells - 1), Some(&*name(cells - 1)));
}

// Per-thread buffers were not taken into account.
#[test]
fn hostile_05_many_threads_stay_within_the_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    write_csr(&input, 40_000, 3_000, 300, |entry| (entry % 11 + 1) as f32);
    let flags = [
        "--memory",
        "512MiB",
        "--threads",
        "128",
        "--fragment-rows",
        "1000000",
    ];
    if let Some(peak) = peak(&input, &output, &flags) {
        assert!(peak <= 563 * MIB, "{peak} bytes");
    }
}

// The link was replaced by a folder, and the dataset it referred to stayed where it was.
#[cfg(unix)]
#[test]
fn hostile_14_what_is_behind_a_link_is_replaced_not_the_link() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("disk/real"), folder.path().join("out"));
    std::fs::create_dir_all(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let small = repository("fixtures/h5ad/csr_gzip.h5ad");
    Run::of(&mut convert(&small, &link, &[])).succeeded();
    assert!(link.is_symlink());
    let wanted = wanted(folder.path());
    let flags = [&FLAGS[..], &["--overwrite"]].concat();
    Run::of(&mut convert(&everything(), &link, &flags)).succeeded();
    assert!(link.is_symlink());
    assert_eq!(Contents::of(&real), wanted);
    assert_no_orphans(&real);
    let beside = std::fs::read_dir(folder.path().join("disk"))
        .unwrap()
        .count();
    assert_eq!(beside, 1, "something is left beside it");
}

// A folder next to the output had a name longer than the system allows.
#[test]
fn hostile_15_names_may_be_as_long_as_the_system_allows() {
    let folder = tempfile::tempdir().unwrap();
    let small = repository("fixtures/h5ad/csr_gzip.h5ad");
    for length in [190, 200, 201, 247, 255] {
        let output = folder.path().join("x".repeat(length - 5) + ".slaf");
        Run::of(&mut convert(&small, &output, &[])).succeeded();
        Run::of(&mut convert(&small, &output, &["--overwrite"])).succeeded();
        assert_no_orphans(&output);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);
    let output = folder.path().join("x".repeat(256));
    Run::of(&mut convert(&small, &output, &[])).refused(1);
}

/// Returns whether processes that this one starts ignore a signal.
fn is_ignored(signal: &str) -> bool {
    let trap = format!("trap 'exit 7' {signal}; kill -s {signal} $$");
    let status = Command::new("sh").args(["-c", &trap]).status();
    status.unwrap().code() != Some(7)
}

// A signal ended the process without a message.
#[cfg(unix)]
#[test]
fn a_signal_ends_with_a_word_and_the_same_command_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = wanted(folder.path());
    let output = folder.path().join("out.slaf");
    let mut signals = vec![("TERM", 143)];
    // A shell makes what it runs in the background ignore SIGINT, and so does slaf then.
    if is_ignored("INT") {
        eprintln!("LEFT OUT: SIGINT, which is ignored here");
    } else {
        signals.push(("INT", 130));
    }
    for (signal, code) in signals {
        for point in ["after-record", "after-expression-commit", "before-config"] {
            let mut command = convert(&everything(), &output, &FLAGS);
            let run = Held::at(point, &mut command, folder.path()).signal(signal);
            assert_eq!(run.code, Some(code), "{}", run.stderr);
            assert!(
                run.stderr.contains("the same command goes on"),
                "{}",
                run.stderr
            );
            std::fs::remove_file(folder.path().join(format!("held-{point}"))).unwrap();
            Run::of(&mut convert(&everything(), &output, &FLAGS)).succeeded();
            assert_eq!(Contents::of(&output), wanted, "{signal} at {point}");
            assert_no_orphans(&output);
            std::fs::remove_dir_all(&output).unwrap();
        }
    }
}

// Without a terminal, nothing was reported for hours.
#[test]
fn progress_without_a_terminal_is_told_in_lines() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let held = |flags: &[&str]| {
        let mut command = slaf(&["convert"]);
        command
            .arg(everything())
            .arg(&output)
            .args(FLAGS)
            .args(flags);
        command.env("SLAF_PROGRESS_SECONDS", "0.02");
        let held = Held::at("after-record:3", &mut command, folder.path());
        std::thread::sleep(Duration::from_millis(300));
        let run = held.release().succeeded();
        std::fs::remove_dir_all(&output).unwrap();
        run.stderr
    };
    for flags in [&[][..], &["--progress", "lines"]] {
        let lines = held(flags);
        let paced = |line: &&str| line.contains("converting") && line.contains(" a second, ");
        let line = lines.lines().find(paced);
        let line = line.unwrap_or_else(|| panic!("no line in {lines}"));
        assert!(
            line.contains(" a second, ") && line.ends_with(" left"),
            "{line}"
        );
    }
    let lines = held(&["--progress", "json"]);
    let objects = lines.lines().filter(|line| line.starts_with('{'));
    let objects: Vec<Value> = objects
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for phase in ["surveying", "converting", "committing"] {
        let found = objects.iter().any(|object| object["phase"] == phase);
        assert!(found, "{phase} is not in {lines}");
    }
    assert!(objects.iter().all(|object| object["event"] == "progress"));
    let paced = |object: &&Value| object["per_second"].as_f64() > Some(0.0);
    let paced = objects.iter().find(paced).expect("a rate");
    assert!(paced["percent"].as_f64() > Some(0.0), "{paced}");
    for flags in [&["--progress", "none"][..], &["-q"]] {
        let lines = held(flags);
        assert!(!lines.contains("converting"), "{lines}");
    }
}

// Options that selected nothing were accepted silently.
#[test]
fn patterns_that_choose_nothing_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let run = |command: &str, flags: &[&str]| {
        let mut run = slaf(&[command]);
        run.arg(everything()).args(flags);
        if command == "convert" {
            run.arg(&output).arg("--overwrite");
        }
        Run::of(&mut run).succeeded().stderr
    };
    for command in ["convert", "validate"] {
        let said = run(
            command,
            &["--skip", "obsm:X_pac", "--only", "uns:nothing_like_it"],
        );
        assert!(
            said.contains("--skip obsm:X_pac chooses nothing: obsm has "),
            "{said}"
        );
        assert!(
            said.contains("--only uns:nothing_like_it chooses nothing: uns has "),
            "{said}"
        );
        let said = run(command, &["--skip", "obsm:X_*", "--skip", "uns"]);
        assert!(!said.contains("chooses nothing"), "{said}");
    }
}
