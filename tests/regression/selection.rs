//! Conditions on cells, and selection of an input's contents.

use std::path::{Path, PathBuf};

use slaf::table::TableName;

use crate::support::dataset::{table, texts};
use crate::support::h5ad_writer::{add_floats, add_texts, write_named};
use crate::support::small::convert;

/// Four cells with the columns n (1, missing, 3, 4), zero, and orig.ident.
fn input(folder: &Path) -> PathBuf {
    let path = folder.join("in.h5ad");
    let names = |prefix: &str| (0..4).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
    let entries: Vec<_> = (0..4).map(|cell| (cell, cell, 1.0)).collect();
    write_named(&path, &names("c"), &names("g"), &entries);
    add_floats(&path, "obs/n", &[1.0, f64::NAN, 3.0, 4.0]);
    add_floats(&path, "obs/zero", &[0.0; 4]);
    add_texts(&path, "obs/orig.ident", 4, |cell| {
        ["a", "b", "a", "b"][cell].into()
    });
    path
}

/// Returns the names of the cells that fulfil a condition.
fn kept(condition: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    convert(&[input(folder.path())], &output, &["--where", condition]).succeeded();
    let cells = table(&output, TableName::Cells);
    let ids = texts(cells.column_by_name("cell_id").unwrap());
    ids.into_iter().map(Option::unwrap).collect()
}

/// Returns the message with which a condition is refused.
fn refused(condition: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let run = convert(&[input(folder.path())], &output, &["--where", condition]).refused(3);
    assert!(!output.exists());
    run.stderr
}

/// 307. DataFusion orders NaN above all numbers, so that a missing number was greater than any
///      other.
#[test]
fn r307_what_is_missing_is_not_greater() {
    assert_eq!(kept("n > 2"), ["c2", "c3"]);
    assert_eq!(kept("NOT n <= 2"), ["c2", "c3"]);
    assert_eq!(kept("n <> 3"), ["c0", "c3"]);
    assert_eq!(kept("n BETWEEN 2 AND 100"), ["c2", "c3"]);
    assert_eq!(kept("n IS NULL"), ["c1"]);
    assert_eq!(kept("isnan(n)"), ["c1"]);
    assert_eq!(kept("nanvl(n, 7) > 3.5"), ["c1", "c3"]);
    // NaN that results from a calculation is missing as well.
    assert_eq!(kept("zero / zero > 1 OR n = 1"), ["c0"]);
    assert_eq!(kept("sqrt(0 - n) > 1 OR n = 1"), ["c0"]);
    assert_eq!(kept("CAST('NaN' AS DOUBLE) > n"), [""; 0]);
}

/// Hostile use 09. A chain of ORs was a tree as deep as it was long, and overflowed the stack.
#[test]
fn hostile_09_long_conditions() {
    let names: Vec<String> = (0..6000).map(|i| format!("cell_id = 'x{i}'")).collect();
    assert_eq!(
        kept(&format!("{} OR cell_id = 'c2'", names.join(" OR "))),
        ["c2"]
    );
    let nots: Vec<String> = (0..3000).map(|i| format!("cell_id <> 'x{i}'")).collect();
    assert_eq!(kept(&format!("{} AND n = 1", nots.join(" AND "))), ["c0"]);
    let sum = vec!["n"; 20_000].join(" + ");
    assert!(refused(&format!("{sum} > 1")).contains("within each other"));
    let deep = format!("{}n > 1{}", "(".repeat(20_000), ")".repeat(20_000));
    assert!(refused(&deep).contains("within each other"));
}

/// Hostile use 11. A condition with random() or now() selected other cells when it was evaluated
/// again.
#[test]
fn hostile_11_conditions_give_the_same_each_time() {
    for function in ["random()", "now()", "current_date()", "uuid()"] {
        let name = function.trim_end_matches("()");
        let message = refused(&format!("{function} IS NOT NULL"));
        assert!(
            message.contains(name) && message.contains("same each time"),
            "{message}"
        );
    }
    assert_eq!(kept("arrow_cast(n, 'Int64') = 3"), ["c2"]);
}

/// Hostile use 18.6. Strings of more than 2 GiB made Arrow panic.
#[test]
fn hostile_18_texts_of_a_condition_are_bounded() {
    assert!(refused("length(repeat(cell_id, 1000000)) > 1").contains("repeat()"));
    assert!(refused("lpad(cell_id, 1000000000) = ''").contains("lpad()"));
    let longer = "replace(".repeat(9) + "cell_id" + &", 'c', 'cccccccccc')".repeat(9);
    assert!(refused(&format!("{longer} = ''")).contains("too long"));
    assert_eq!(kept("replace(cell_id, 'c', '') || '!' = '2!'"), ["c2"]);
}

/// Names with dots had to be quoted, although they are written like this in the input.
#[test]
fn names_may_be_written_as_the_input_has_them() {
    assert_eq!(kept("orig.ident = 'a' AND n > 1"), ["c2"]);
    assert_eq!(kept("\"orig.ident\" = 'b'"), ["c1", "c3"]);
    assert!(refused("orig.idents = 'b'").contains("orig.ident"));
}

/// What followed AS was silently ignored.
#[test]
fn nothing_may_follow_a_condition() {
    assert!(refused("n > 2 AS x").contains("should end"));
    refused("n > 2; n > 3");
}
