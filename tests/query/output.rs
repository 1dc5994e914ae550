//! Forms of the result.

use std::fs;

use super::{ask, converted};
use crate::support::program::{Run, slaf};

#[test]
fn all_forms_hold_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let demo = converted(here, "h5ad/demo.h5ad", "a.slaf", &[]);
    let sql = "SELECT cell_id, cell_type, percent_mito, n_counts, doublet FROM cells";
    let plain = ask(&demo, sql, &[]).succeeded().stdout;
    assert_eq!(plain.lines().count(), 201, "there is no hidden limit");
    for form in ["tsv", "csv", "json", "jsonl", "parquet", "arrow", "md"] {
        let file = here.join(format!("out.{form}"));
        let run = ask(&demo, sql, &["-o", file.to_str().unwrap()]).succeeded();
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
        let bytes = fs::read(&file).unwrap();
        match form {
            "tsv" => assert_eq!(bytes, plain.as_bytes()),
            "csv" => assert_eq!(bytes, plain.replace('\t', ",").as_bytes()),
            "json" => {
                let rows: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
                assert_eq!(rows.len(), 200);
                assert_eq!(rows[0]["n_counts"], 47);
            }
            "jsonl" => assert_eq!(bytes.split(|byte| *byte == b'\n').count(), 201),
            "md" => assert_eq!(bytes.split(|byte| *byte == b'\n').count(), 203),
            // As tables again.
            "parquet" => {
                let again = format!("SELECT * FROM '{}'", file.display());
                assert_eq!(ask(&demo, &again, &[]).succeeded().stdout, plain);
            }
            _ => {
                let reader =
                    arrow::ipc::reader::FileReader::try_new(fs::File::open(&file).unwrap(), None);
                let rows: usize = reader.unwrap().map(|batch| batch.unwrap().num_rows()).sum();
                assert_eq!(rows, 200);
            }
        }
    }
    assert_eq!(
        ask(&demo, sql, &["-l", "3"])
            .succeeded()
            .stdout
            .lines()
            .count(),
        4
    );
    assert_eq!(
        ask(&demo, "SELECT * FROM cells WHERE false", &["--to", "json"])
            .succeeded()
            .stdout,
        "[]\n"
    );
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let demo = converted(here, "h5ad/demo.h5ad", "a.slaf", &[]);
    let file = here.join("out.tsv");
    let out = file.to_str().unwrap();
    // It fails when rows have been written: for the last cell.
    let fails = "SELECT cell_id, counts(cell_integer_id + CASE WHEN cell_integer_id = 199 THEN 1000 ELSE 0 END) FROM cells";
    ask(&demo, fails, &["-o", out]).refused(1);
    assert!(!file.exists());
    ask(&demo, "SELECT 1 AS a", &["-o", out]).succeeded();
    assert!(
        ask(&demo, "SELECT 2 AS a", &["-o", out])
            .refused(2)
            .stderr
            .contains("--overwrite")
    );
    ask(&demo, fails, &["-o", out, "--overwrite"]).refused(1);
    assert_eq!(fs::read_to_string(&file).unwrap(), "a\n1\n");
    ask(&demo, "SELECT 2 AS a", &["-o", out, "--overwrite"]).succeeded();
    assert_eq!(fs::read_to_string(&file).unwrap(), "a\n2\n");
    ask(
        &demo,
        "SELECT 1 AS a",
        &["-o", here.join("out.xyz").to_str().unwrap()],
    )
    .refused(2);
    ask(&demo, "SELECT 1 AS a", &["-o", "/nowhere/at/all.tsv"]).refused(1);
    let names: Vec<_> = fs::read_dir(here)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn embeddings_and_missing_values_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let all = converted(folder.path(), "h5ad/everything.h5ad", "a.slaf", &[]);
    for form in [
        "tsv", "csv", "json", "jsonl", "parquet", "arrow", "md", "table",
    ] {
        let mut command = slaf(&["query", "--to", form]);
        let output = command
            .arg(&all)
            .arg("SELECT * FROM cells")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{form}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn a_query_is_read_from_standard_input_or_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let demo = converted(folder.path(), "h5ad/demo.h5ad", "a.slaf", &[]);
    let file = folder.path().join("query.sql");
    fs::write(&file, "SELECT count(*)\nFROM cells; -- all").unwrap();
    let mut command = slaf(&["query", "-f"]);
    assert_eq!(
        Run::of(command.arg(&file).arg(&demo)).succeeded().stdout,
        "count(*)\n200\n"
    );
    let mut command = slaf(&["query"]);
    command.arg(&demo).stdin(fs::File::open(&file).unwrap());
    assert_eq!(Run::of(&mut command).succeeded().stdout, "count(*)\n200\n");
    let mut command = slaf(&["query"]);
    Run::of(command.arg(&demo)).refused(2);
}
