//! The summary at the end of a conversion.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;
use indicatif::HumanCount;
use serde::Serialize;

use super::arguments::Verbosity;
use super::found::Found;
use crate::dataset::SourceNote;
use crate::error::Error;
use crate::ingest::Outcome;
use crate::survey::Repeats;

/// What is told of a finished conversion.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    output: &'a Path,
    seconds: f64,
    /// The most memory the process ever had, in bytes, where the system tells.
    peak_memory: Option<u64>,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

impl<'a> Report<'a> {
    pub fn new(output: &'a Path, outcome: &'a Outcome, elapsed: Duration) -> Self {
        Report {
            output,
            seconds: elapsed.as_secs_f64(),
            peak_memory: peak_memory(),
            outcome,
        }
    }

    /// Prints to standard output.
    pub fn print(&self, found: &Found, json: bool, verbosity: Verbosity) -> Result<(), Error> {
        if json {
            let json = serde_json::to_string_pretty(&found.told(self));
            return print(&(json.map_err(std::io::Error::from)? + "\n"));
        }
        if verbosity == Verbosity::Quiet {
            return Ok(());
        }
        print(&self.text())
    }

    /// What this job read; what others told before is in config.json.
    fn of_job(&self) -> Vec<&SourceNote> {
        let dataset = &self.outcome.dataset;
        let job = dataset.jobs.last();
        let sources = dataset.sources.iter();
        sources
            .filter(|source| source.job.as_ref() == job)
            .collect()
    }

    fn text(&self) -> String {
        let dataset = &self.outcome.dataset;
        let stats = &dataset.metadata.expression_stats;
        let mut text = format!(
            "{}: {} cells × {} genes, {} non-zeros (density {:.2} %)\n",
            self.output.display(),
            HumanCount(dataset.n_cells),
            HumanCount(dataset.n_genes),
            HumanCount(dataset.metadata.expression_count),
            dataset.metadata.density * 100.0,
        );
        let mut line = |label: &str, rest: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {label:<10} {rest}");
        };
        if let Some(appended) = &self.outcome.appended {
            let rewritten: Vec<&str> = appended.rewritten.iter().map(|t| t.key()).collect();
            let genes = match appended.genes {
                0 => String::new(),
                genes => format!(" and {} genes", HumanCount(genes)),
            };
            let (cells, rows) = (HumanCount(appended.cells), HumanCount(appended.rows));
            line(
                "appended",
                format!("{cells} cells{genes}, {rows} non-zeros"),
            );
            if !rewritten.is_empty() {
                line("rewritten", rewritten.join(", "));
            }
            for adopted in &appended.adopted {
                line("adopted", adopted.clone());
            }
            for repaired in &appended.repaired {
                line("repaired", repaired.clone());
            }
        }
        if let Some(value) = &dataset.value {
            line(
                "values",
                format!(
                    "{}, {} (the input has {}); {} to {}, mean {:.4}",
                    value.r#type,
                    value.reason,
                    value.stored,
                    stats.min_value,
                    stats.max_value,
                    stats.mean_value
                ),
            );
        }
        for (label, scale) in scales(&self.of_job()) {
            line(label, scale);
        }
        if stats.non_finite > 0 {
            line(
                "note",
                format!(
                    "{} values are NaN or infinite",
                    HumanCount(stats.non_finite)
                ),
            );
        }
        let memory = self
            .peak_memory
            .map(|bytes| format!(", at most {} of memory", ByteSize::b(bytes)));
        line(
            "cost",
            format!(
                "{} read, {} written in {} expression fragments, {:.1} s{}",
                ByteSize::b(self.outcome.bytes_in),
                ByteSize::b(self.outcome.bytes_out),
                self.outcome.fragments,
                self.seconds,
                memory.unwrap_or_default()
            ),
        );
        if self.outcome.resumed_shards > 0 {
            line(
                "resumed",
                format!(
                    "{} of {} shards came from an earlier run",
                    self.outcome.resumed_shards, self.outcome.shards
                ),
            );
        }
        for (label, keys) in [
            ("layers", &dataset.layers),
            ("obsm", &dataset.obsm),
            ("varm", &dataset.varm),
            ("obsp", &dataset.obsp),
            ("varp", &dataset.varp),
        ] {
            if let Some(keys) = keys {
                let name = |name: &String| match (label, keys.dimensions.get(name)) {
                    ("obsm" | "varm", Some(width)) => format!("{name} ({width})"),
                    _ => name.clone(),
                };
                line(
                    label,
                    keys.available
                        .iter()
                        .map(name)
                        .collect::<Vec<_>>()
                        .join(", "),
                );
            }
        }
        let sources = self.of_job();
        for source in &sources {
            if let Some(genes) = joined_genes(source) {
                line("genes", genes);
            }
            let canonicalized = &source.canonicalized;
            let notes = [
                (canonicalized.zeros, "stored zeros were dropped"),
                (
                    canonicalized.merged,
                    "duplicate entries were added to another of the same cell and gene",
                ),
                (
                    canonicalized.sorted_cells,
                    "cells had their genes out of order and were sorted",
                ),
            ];
            for (count, what) in notes.into_iter().filter(|(count, _)| *count > 0) {
                line("canonical", format!("{} {what}", HumanCount(count)));
            }
            for (repeats, what) in [
                (&source.repeated_cells, "cells"),
                (&source.repeated_genes, "genes"),
            ] {
                if let Repeats {
                    count: 1..,
                    example: Some(example),
                } = repeats
                {
                    line(
                        "note",
                        format!(
                            "{} {what} have the name of an earlier one, such as {example:?}",
                            HumanCount(repeats.count)
                        ),
                    );
                }
            }
        }
        for note in &dataset.column_notes {
            if note.column != note.written_as {
                let part = note.part.name();
                line(
                    "renamed",
                    format!("{part}/{} is the column {}", note.column, note.written_as),
                );
            }
        }
        for converted in sources.iter().flat_map(|source| &source.converted) {
            line(
                "converted",
                format!("{} ({})", converted.object, converted.reason),
            );
        }
        for left_out in sources.iter().flat_map(|source| &source.left_out) {
            line(
                "left out",
                format!("{} ({})", left_out.object, left_out.reason),
            );
        }
        for warning in sources.iter().flat_map(|source| &source.warnings) {
            line("warning", warning.clone());
        }
        text
    }
}

/// How the genes of an input went together with those of the others.
fn joined_genes(source: &SourceNote) -> Option<String> {
    let join = source.gene_join.as_ref()?;
    if join.extra == 0 && join.missing == 0 {
        return None;
    }
    let all = HumanCount(join.genes);
    let shared = HumanCount(join.shared);
    let mut text = format!("{}: {shared} of {all} are shared", source.source_file);
    if join.dropped > 0 {
        let values = HumanCount(source.canonicalized.dropped);
        text += &format!(
            "; {} are left out with their {values} values",
            HumanCount(join.dropped)
        );
    } else if join.extra > 0 {
        text += &format!("; {} are added", HumanCount(join.extra));
    }
    Some(text)
}

/// On what scale values are: once for all sources, or for each where they differ.
fn scales(sources: &[&SourceNote]) -> Vec<(&'static str, String)> {
    let of = |source: &SourceNote| {
        let layers = source.layers.iter();
        let layers = layers.filter_map(|layer| Some((layer.object.clone(), layer.scale?)));
        let main = source.scale.map(|scale| (source.matrix.clone(), scale));
        let all = main.into_iter().chain(layers);
        all.map(|(object, scale)| format!("{object} is {scale}"))
            .collect::<Vec<_>>()
    };
    let all: Vec<Vec<String>> = sources.iter().map(|source| of(source)).collect();
    if all.windows(2).all(|pair| pair[0] == pair[1]) {
        let first = all.into_iter().next().unwrap_or_default();
        return first.into_iter().map(|scale| ("scale", scale)).collect();
    }
    let named = sources.iter().zip(all);
    named
        .flat_map(|(source, scales)| {
            let scales = scales.into_iter();
            scales.map(|scale| ("scale", format!("{}: {scale}", source.source_file)))
        })
        .collect()
}

/// Prints; a reader that has gone away, such as `head`, is no failure.
pub(super) fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// The high-water mark of the process's memory.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}
