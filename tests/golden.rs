//! Compares files and messages with stored copies, so that a change to any of them is noticed and
//! intended.
//!
//! `INSTA_UPDATE=always cargo test --locked --test promises golden` rewrites the files in
//! tests/snapshots; differences then show up in `git diff` and in review.

mod committed;
mod config;
mod hashes;
mod inputs;
mod messages;
mod pages;

use std::path::Path;

use regex::{Captures, Regex};

use crate::support::program::{Run, slaf};
use crate::support::repository;

/// Compares a text with the file of this name in tests/snapshots.
fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(repository("tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Runs the program in a folder on one thread, so that the order of events is always the same.
fn run_in(folder: &Path, arguments: &[&str]) -> Run {
    let mut command = slaf(arguments);
    command.current_dir(folder).env_remove("COLUMNS");
    command.env("SLAF_THREADS", "1").env("NO_COLOR", "1");
    Run::of(&mut command)
}

/// Removes from a text what differs between runs: folders, times, random file names, resource
/// usage, and the version of this program.
fn redacted(text: &str, folder: &Path) -> String {
    let rules = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?", "TIME"),
        (
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "UUID",
        ),
        // Lance writes column metadata in arbitrary order, so that the bytes differ as well.
        (r"-[0-9a-f]{32}-[0-9a-f]{16}\.lance", "-UUID-XXH3.lance"),
        (r"-[0-9a-f]{32}\.lance", "-UUID.lance"),
        (r"(?:[\w.-]*/)*[\w.-]+\.rs:\d+:\d+", "PLACE"),
        (r"(?m)^  cost .*$", "  cost COST"),
        (r#""seconds": [0-9.e-]+"#, r#""seconds": SECONDS"#),
        (r#""(peak_memory|bytes_read)": \d+"#, r#""${1}": BYTES"#),
    ];
    let mut text = text.replace(&*folder.to_string_lossy(), "FOLDER");
    for (pattern, name) in rules {
        text = Regex::new(pattern)
            .unwrap()
            .replace_all(&text, name)
            .into_owned();
    }
    let version = regex::escape(env!("CARGO_PKG_VERSION"));
    let version = Regex::new(&format!(r#"(slaf |"version": "){version}"#)).unwrap();
    let version = version.replace_all(&text, |found: &Captures<'_>| {
        format!("{}VERSION", &found[1])
    });
    version.into_owned()
}

/// Returns all output of a run as a user would see it.
fn told(arguments: &[&str], run: &Run, folder: &Path) -> String {
    let mut text = format!("$ slaf {}\n", arguments.join(" "));
    text.push_str(&run.stdout);
    text.push_str(&run.stderr);
    text.push_str(&format!("(exit code {})\n", run.code.unwrap_or(-1)));
    redacted(&text, folder)
}

/// Runs a command that must end with this exit code and returns all of its output.
fn command(folder: &Path, code: i32, arguments: &[&str]) -> String {
    let run = run_in(folder, arguments);
    assert_eq!(
        run.code,
        Some(code),
        "{arguments:?}: {}{}",
        run.stdout,
        run.stderr
    );
    told(arguments, &run, folder)
}
