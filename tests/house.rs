//! Promise: the house stays in order. Rooms use only rooms before them, and what is built in may be.

use std::path::Path;
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use crate::support::repository;

/// In the order in which data passes them. What lies below all of them comes first.
const ROOMS: [&str; 20] = [
    "failure",
    "failpoint",
    "parallel",
    "remedy",
    "store",
    "source",
    "survey",
    "plan",
    "chunk",
    "table",
    "dataset",
    "progress",
    "sink",
    "ingest",
    "verify",
    "export",
    "query",
    "converter",
    "reader",
    "cli",
];

fn rust_files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn rooms_use_only_rooms_before_them() {
    let source = repository("src");
    let mut files = Vec::new();
    rust_files(&source, &mut files);
    let used = Regex::new(r"\bcrate::([a-z_]+)").unwrap();
    let (mut seen, mut wrong) = (0, Vec::new());
    for file in files {
        let name = file.strip_prefix(&source).unwrap();
        let room = name.iter().next().unwrap().to_str().unwrap();
        let room = room.trim_end_matches(".rs");
        let Some(own) = ROOMS.iter().position(|other| *other == room) else {
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        // Examples show the whole, and so may tests.
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for found in used.captures_iter(line) {
                seen += 1;
                let other = ROOMS.iter().position(|other| *other == &found[1]);
                if other.is_some_and(|other| other > own) {
                    wrong.push(format!("{}: {}", name.display(), line.trim()));
                }
            }
        }
    }
    assert!(seen > 500, "only {seen} uses were looked at");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a licence in SPDX's words is one of those that are accepted.
fn is_accepted(expression: &str, accepted: &[&str]) -> bool {
    // Cargo took `/` for `OR` once.
    let text = expression.replace('/', " OR ").replace(['(', ')'], " ");
    let terms = text.split(" AND ").map(|term| term.split(" OR "));
    // Where both are there, a parenthesis holds what is to choose from.
    terms
        .into_iter()
        .all(|mut choice| choice.any(|licence| accepted.contains(&licence.trim())))
}

#[test]
fn licences_are_read_as_they_are_meant() {
    let accepted = ["MIT", "Apache-2.0 WITH LLVM-exception"];
    for (expression, wanted) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("MIT/Apache-2.0", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND MIT", true),
        ("(GPL-3.0 OR LGPL-3.0) AND MIT", false),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
    ] {
        assert_eq!(is_accepted(expression, &accepted), wanted, "{expression}");
    }
}

/// `1.94` is `[1, 94, 0]`.
fn version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap());
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[test]
fn what_is_built_in_may_be() {
    let text = std::fs::read_to_string(repository("deny.toml")).unwrap();
    let rules: toml::Table = text.parse().unwrap();
    let list = |part: &str, key: &str| rules[part][key].as_array().unwrap().clone();
    let accepted = list("licenses", "allow");
    let accepted: Vec<&str> = accepted
        .iter()
        .map(|licence| licence.as_str().unwrap())
        .collect();
    let clarified = list("licenses", "clarify");
    let banned = list("bans", "deny");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--offline", "--format-version=1"]);
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let output = cargo.current_dir(repository("")).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100);
    let mut wrong = Vec::new();
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let needed = package["rust_version"].as_str().map_or([0; 3], version);
        if needed > ours {
            wrong.push(format!(
                "{name} needs Rust {needed:?}, and we promise {ours:?}"
            ));
        }
        let told = clarified
            .iter()
            .find(|told| told["crate"].as_str() == Some(name));
        let licence = match told {
            Some(told) => told["expression"].as_str(),
            None => package["license"].as_str(),
        };
        if !licence.is_some_and(|licence| is_accepted(licence, &accepted)) {
            wrong.push(format!("{name}: the licence {licence:?}"));
        }
        if banned.iter().any(|ban| ban["crate"].as_str() == Some(name)) {
            wrong.push(format!("{name} is banned"));
        }
        let from = package["source"].as_str();
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        if from != Some(registry) && name != env!("CARGO_PKG_NAME") {
            wrong.push(format!("{name} comes from {from:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
