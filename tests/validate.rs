//! Promise: what would be refused or lost is reported before anything is written.

use serde_json::Value;

use crate::support::h5ad_writer::write_named;
use crate::support::program::{Run, slaf};
use crate::support::small::convert;

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect()
}

#[test]
fn the_join_is_told_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let [a, b, dataset] = ["a.h5ad", "b.h5ad", "data.slaf"].map(|name| folder.path().join(name));
    write_named(&a, &names("c", 4), &names("g", 3), &[(0, 0, 1.0)]);
    let other: Vec<String> = ["g1", "new"].map(String::from).to_vec();
    write_named(&b, &names("c", 2), &other, &[(0, 1, 70_000.0)]);
    let validate = |flags: &[&str]| {
        let run = Run::of(slaf(&["validate", "--json"]).args([&a, &b]).args(flags));
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        (run, report)
    };
    let (run, report) = validate(&[]);
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    let of_b = &report["inputs"][1];
    let genes = &of_b["genes"];
    let found = ["genes", "shared", "missing", "extra"].map(|key| genes[key].as_u64().unwrap());
    assert_eq!(found, [2, 1, 2, 1]);
    assert_eq!(genes["extra_examples"][0], "new");
    assert_eq!(of_b["known_cells"], 2);
    assert_eq!(of_b["value_type"], "uint32");
    assert!(
        report["refusal"].as_str().unwrap().contains("c0"),
        "{report}"
    );
    let (_, report) = validate(&["--allow-duplicate-cells"]);
    assert!(
        report["refusal"].as_str().unwrap().contains("--join outer"),
        "{report}"
    );
    let (run, report) = validate(&["--allow-duplicate-cells", "--join", "outer"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(report["result"], serde_json::json!([6, 4]));
    assert_eq!(report["value_type"], "uint32");

    convert(std::slice::from_ref(&a), &dataset, &[]).succeeded();
    let mut command = slaf(&["validate"]);
    command.arg(&b).arg("--against").arg(&dataset);
    let run = Run::of(command.args(["--cell-id-prefix", "b", "--join", "outer"]));
    assert_eq!(run.code, Some(3), "{}", run.stdout);
    assert!(run.stderr.contains("--widen"), "{}", run.stderr);
    assert!(
        run.stdout.contains("extra genes such as new"),
        "{}",
        run.stdout
    );
    let run = Run::of(command.arg("--widen"));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stdout.contains("together 6 cells × 4 genes"),
        "{}",
        run.stdout
    );
}
