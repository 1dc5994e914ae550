//! What was found where inputs were looked for, and what was passed over there.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::arguments::Verbosity;
use crate::source::{Discovered, PassedOver};

/// Lines of one kind that are told, unless all are asked for.
const TOLD: usize = 200;

/// What was found in folders and archives.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Those that were searched, each with its inputs.
    searched: Vec<(PathBuf, Vec<PathBuf>)>,
    passed_over: Vec<PassedOver>,
}

/// A result, with what was passed over on the way to it.
#[derive(Serialize)]
pub(super) struct Noted<'a, T> {
    #[serde(flatten)]
    what: &'a T,
    /// What looks like an input, and was not read.
    passed_over: &'a [PassedOver],
}

impl Found {
    /// Adds what a path holds.
    pub fn add(&mut self, path: &Path, discovered: Discovered) {
        let Discovered {
            inputs,
            passed_over,
        } = discovered;
        if inputs != [path] || !passed_over.is_empty() {
            self.searched.push((path.to_path_buf(), inputs));
        }
        self.passed_over.extend(passed_over);
    }

    /// A result that is printed together with what was passed over.
    pub fn told<'a, T>(&'a self, what: &'a T) -> Noted<'a, T> {
        Noted {
            what,
            passed_over: &self.passed_over,
        }
    }

    /// Tells on standard error what was found.
    pub fn tell(&self, verbosity: Verbosity) {
        let most = match verbosity {
            Verbosity::Quiet => return,
            Verbosity::Normal => TOLD,
            Verbosity::Verbose | Verbosity::Debug => usize::MAX,
        };
        // Whoever does not listen misses nothing that matters.
        let _ = std::io::stderr().write_all(self.text(most).as_bytes());
    }

    fn text(&self, most: usize) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        for (path, inputs) in &self.searched {
            let many = match inputs.len() {
                1 => "1 input".to_string(),
                more => format!("{more} inputs"),
            };
            let _ = writeln!(text, "slaf: {} holds {many}:", path.display());
            for input in inputs.iter().take(most) {
                let _ = writeln!(text, "slaf:   {}", input.display());
            }
            left(&mut text, inputs.len(), most);
        }
        for PassedOver { path, reason } in self.passed_over.iter().take(most) {
            let _ = writeln!(text, "slaf: passed over {}: {reason}", path.display());
        }
        left(&mut text, self.passed_over.len(), most);
        text
    }
}

fn left(text: &mut String, count: usize, most: usize) {
    if count > most {
        let _ = writeln!(
            text,
            "slaf:   and {} more (--verbose tells all)",
            count - most
        );
    }
}
