//! Promise: the cases in public reports of other tools' users are handled correctly here, or
//! refused with a helpful message. Each case in `data/reports` states what is expected
//! (`want.json`).

use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use regex::Regex;
use serde_json::Value;
use slaf::dataset::Dataset;
use slaf::table::TableName;

use crate::support::dataset::{rows, table, texts};
use crate::support::program::{Run, slaf};
use crate::support::shared;

/// A case and its commands, as listed in the index.
struct Case {
    name: String,
    commands: Vec<Vec<String>>,
}

fn cases(folder: &Path) -> Vec<Case> {
    let index = std::fs::read_to_string(folder.join("INDEX.md")).unwrap();
    let mut cases = Vec::new();
    for line in index.lines().filter(|line| line.starts_with("| ")) {
        let name = line[2..].split(" | ").next().unwrap().trim().to_string();
        let commands: Vec<Vec<String>> = line
            .split('`')
            .filter_map(|piece| piece.strip_prefix("slaf "))
            .map(|command| command.split_whitespace().map(str::to_string).collect())
            .collect();
        if !commands.is_empty() {
            cases.push(Case { name, commands });
        }
    }
    assert!(cases.len() >= 20, "the index lists its cases");
    cases
}

#[test]
fn every_case_gives_what_it_must() {
    let Some(folder) = shared("data/reports") else {
        return;
    };
    let mut failures = Vec::new();
    for case in cases(&folder) {
        let want = std::fs::read_to_string(folder.join(&case.name).join("want.json")).unwrap();
        let want: Value = serde_json::from_str(&want).unwrap();
        failures.extend(case.run(&folder.join(&case.name), &want));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

impl Case {
    fn run(&self, folder: &Path, want: &Value) -> Vec<String> {
        let work = tempfile::tempdir().unwrap();
        let mut failures = Vec::new();
        for (number, command) in self.commands.iter().enumerate() {
            let place = |word: &String| match word.strip_prefix("OUT") {
                Some(rest) => work
                    .path()
                    .join(format!("out{rest}.slaf"))
                    .display()
                    .to_string(),
                None => word.replace("IN/", &format!("{}/", folder.display())),
            };
            let arguments: Vec<String> = command.iter().map(place).collect();
            let output = PathBuf::from(arguments.last().unwrap());
            let run = Run::of(&mut slaf(&arguments));
            let last = number + 1 == self.commands.len();
            let found = match want.get("steps") {
                Some(steps) => {
                    let code = Value::from(run.code);
                    let mut problems = Vec::new();
                    if code != steps[number] {
                        problems.push(format!("exit {code}, not {}", steps[number]));
                    }
                    if last {
                        let whole = Run {
                            code: Some(0),
                            ..run
                        };
                        problems.extend(checked(&whole, &want["final"], &output));
                    }
                    problems
                }
                None => {
                    let key = ["", "second", "third", "fourth"][number];
                    let want = if key.is_empty() { want } else { &want[key] };
                    assert!(want.is_object(), "{}: no {key}", self.name);
                    checked(&run, want, &output)
                }
            };
            let said = |problem| format!("{} ({}): {problem}", self.name, number + 1);
            failures.extend(found.into_iter().map(said));
        }
        failures
    }
}

/// Returns the deviations of a run from what is expected.
fn checked(run: &Run, want: &Value, output: &Path) -> Vec<String> {
    let said = format!("{}{}", run.stdout, run.stderr);
    let mut problems = Vec::new();
    let mut must_say = |patterns: Option<&Value>| {
        for pattern in patterns.and_then(Value::as_array).into_iter().flatten() {
            let pattern = pattern.as_str().unwrap();
            if !Regex::new(pattern).unwrap().is_match(&said) {
                problems.push(format!("does not say {pattern:?}: {said}"));
            }
        }
    };
    must_say(want.get("says"));
    let code = run.code.unwrap_or(-1);
    if let Some(words) = want.get("refused") {
        must_say(Some(words));
        if code != 3 {
            problems.push(format!("exit {code}, not 3: {said}"));
        }
        return problems;
    }
    let refused_well = want.get("or_refused").is_some_and(|pattern| {
        code == 3
            && Regex::new(pattern.as_str().unwrap())
                .unwrap()
                .is_match(&said)
    });
    let allowed: Vec<i64> = match &want["rc"] {
        Value::Array(codes) => codes.iter().filter_map(Value::as_i64).collect(),
        code => code.as_i64().into_iter().collect(),
    };
    if code == 0 {
        must_say(want.get("says_if_ok"));
        must_say(want.get("note_must"));
    } else {
        must_say(want.get("says_if_bad"));
    }
    if let Some(text) = want.get("bad_text").and_then(Value::as_str)
        && said.contains(text)
    {
        problems.push(format!("says {text:?}: {said}"));
    }
    if !refused_well && !allowed.contains(&i64::from(code)) {
        problems.push(format!("exit {code}, not {allowed:?}: {said}"));
    }
    if code == 0 {
        problems.extend(contents(output, want));
    } else if output.join("config.json").exists()
        && Dataset::open(output).is_ok()
        && want.get("steps").is_none()
    {
        problems.push("was refused, and left a dataset".into());
    }
    problems
}

/// Returns the deviations of a dataset from what is expected.
fn contents(output: &Path, want: &Value) -> Vec<String> {
    let either = |key: &str| want.get(key).or_else(|| want.get(format!("{key}_if_ok")));
    let ids =
        |name: TableName, column: &str| texts(table(output, name).column_by_name(column).unwrap());
    let (cells, genes) = (
        ids(TableName::Cells, "cell_id"),
        ids(TableName::Genes, "gene_id"),
    );
    let mut problems = Vec::new();
    let mut compare = |what: &str, found: Value, wanted: &Value| {
        if !equal(&found, wanted) {
            problems.push(format!("{what} is {found}, not {wanted}"));
        }
    };
    if let Some(wanted) = either("cells") {
        compare("cells", cells.clone().into(), wanted);
    }
    if let Some(wanted) = either("genes") {
        compare("genes", genes.clone().into(), wanted);
    }
    let shape = [cells.len(), genes.len()];
    if let Some(wanted) = either("shape") {
        compare("the shape", shape.to_vec().into(), wanted);
    }
    let of_rows = |rows: &[(u64, u64, f64)]| {
        let mut matrix = vec![vec![0.0; shape[1]]; shape[0]];
        for &(cell, gene, value) in rows {
            matrix[cell as usize][gene as usize] = value;
        }
        matrix
    };
    let expression = rows(&table(output, TableName::Expression));
    if let Some(wanted) = either("X") {
        compare("X", of_rows(&expression).into(), wanted);
    }
    if let Some(wanted) = want.get("first_eight_by_id") {
        // A gene with several names is a single gene, wherever its values are.
        let batch = table(output, TableName::Genes);
        let of = texts(batch.column_by_name("gene_ids").unwrap());
        let mut known: Vec<&Option<String>> = of.iter().filter(|id| id.is_some()).collect();
        known.sort();
        known.dedup();
        let mut matrix = vec![vec![0.0; known.len()]; 8];
        for &(cell, gene, value) in expression.iter().filter(|row| row.0 < 8) {
            let id = known
                .iter()
                .position(|id| **id == of[gene as usize])
                .unwrap();
            matrix[cell as usize][id] += value;
        }
        compare("X by identifier", matrix.into(), wanted);
    }
    for (key, part, name) in [
        ("obs", "obs", TableName::Cells),
        ("var", "var", TableName::Genes),
    ] {
        for (column, wanted) in want
            .get(key)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            match column_of(output, part, name, column) {
                Some(found) => compare(&format!("{key}[{column:?}]"), json(&found), wanted),
                None => compare(&format!("{key}[{column:?}]"), Value::Null, wanted),
            }
        }
    }
    for (name, wanted) in want
        .get("obsm")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let found = column_of(output, "obsm", TableName::Cells, name).unwrap();
        let lists = found.as_fixed_size_list();
        let rows: Vec<Value> = (0..lists.len())
            .map(|row| json(&lists.value(row)))
            .collect();
        compare(&format!("obsm[{name:?}]"), rows.into(), wanted);
    }
    for (name, wanted) in want
        .get("layers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let layers = table(output, TableName::Layers);
        let values = layers.column_by_name(name).unwrap();
        let entries = crate::support::dataset::integers(layers.column(0)).into_iter();
        let entries = entries.zip(crate::support::dataset::integers(layers.column(1)));
        let entries = entries.zip(json(values).as_array().unwrap().clone());
        let entries: Vec<(u64, u64, f64)> = entries
            .filter_map(|((cell, gene), value)| Some((cell as u64, gene as u64, value.as_f64()?)))
            .collect();
        compare(
            &format!("layers[{name:?}]"),
            of_rows(&entries).into(),
            wanted,
        );
    }
    if let Some(wanted) = want.get("uns_sub").and_then(Value::as_object) {
        let uns = std::fs::read_to_string(output.join("uns.json")).unwrap();
        let uns: Value = serde_json::from_str(&uns).unwrap();
        for (key, wanted) in wanted {
            compare(&format!("uns[{key:?}]"), uns[key].clone(), wanted);
        }
    }
    problems
}

/// Returns a column by the name that it has in the input.
fn column_of(output: &Path, part: &str, name: TableName, column: &str) -> Option<ArrayRef> {
    let config = std::fs::read_to_string(output.join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    let notes = config["column_notes"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let renamed = notes
        .iter()
        .find(|note| note["part"] == part && note["column"] == column);
    let written_as = renamed.map_or(column, |note| note["written_as"].as_str().unwrap());
    table(output, name).column_by_name(written_as).cloned()
}

/// Whether two values are equal; 1.0 equals 1.
fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(l, r)| equal(l, r))
        }
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

/// Converts a column to the form of `want.json`: numbers, strings, null.
fn json(column: &ArrayRef) -> Value {
    if let Ok(text) = cast(column, &DataType::Utf8)
        && !column.data_type().is_numeric()
    {
        return texts(&text).into();
    }
    let numbers = cast(column, &DataType::Float64).unwrap();
    numbers.as_primitive::<Float64Type>().iter().collect()
}
