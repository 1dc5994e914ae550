//! `slaf validate`

use std::fmt::Write as _;

use indicatif::HumanCount;

use super::append::widening;
use super::arguments::{ValidateArguments, Verbosity};
use super::bars::{Bars, Show};
use super::convert::give_up_on_stuck_files;
use super::reading::{Reading, tell_unmatched};
use super::report::print;
use super::settings::Settings;
use super::signals::{Begun, end_when_asked};
use super::versions::settle_versions;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::plan::{Comparison, GeneJoin};
use crate::source::Inputs;
use crate::survey::Survey;

/// Looks at all inputs and tells how they go together.
pub(super) fn run(raw: ValidateArguments, verbosity: Verbosity) -> Result<(), Error> {
    let mut settings = Settings::gather(&raw.read, &raw.write, &raw.resources)?;
    settings.plan = raw.joins.apply(settings.plan);
    settings.plan.widening = widening(raw.widen);
    if raw.paths.is_empty() && raw.inputs.is_none() {
        return Err(Error::Usage(
            "an input is needed: slaf validate INPUT… [--against DATASET]".into(),
        ));
    }
    let Reading { inputs, found } = raw
        .read
        .inputs(&raw.joins, &settings, raw.paths, raw.inputs)?;
    give_up_on_stuck_files();
    end_when_asked(Begun::Nothing);
    found.tell(verbosity);
    let bars = Bars::new(Show::of(settings.progress, verbosity));
    // What is no dataset is told before inputs are read.
    let against = raw.against.as_deref().map(Dataset::open).transpose()?;
    let mut inputs = Inputs::of_paths(inputs);
    let mut surveys = Survey::of_all(&inputs, settings.threads)?;
    let options = &mut settings.plan;
    let dataset = against.as_ref();
    settle_versions(
        raw.joins.version_wish(),
        &mut inputs,
        &mut surveys,
        options,
        dataset,
    )?;
    tell_unmatched(&inputs);
    let base = match against {
        None => None,
        Some(dataset) => {
            let key = settings.plan.gene_key.as_ref();
            Some(dataset.survey_now(&surveys, key)?)
        }
    };
    let comparison = Comparison::new(&inputs, &surveys, &settings.plan, base.as_ref())?;
    bars.clear();
    if raw.resources.json {
        let json =
            serde_json::to_string_pretty(&found.told(&comparison)).map_err(std::io::Error::from)?;
        print(&(json + "\n"))?;
    } else if verbosity != Verbosity::Quiet {
        print(&text(&comparison))?;
    }
    match comparison.refusal {
        None => Ok(()),
        Some(refusal) => Err(Error::NotJoinable { refusal }),
    }
}

/// A table with a line for each input, then what is to be told of each.
fn text(comparison: &Comparison) -> String {
    const HEAD: [&str; 9] = [
        "input", "cells", "known", "genes", "shared", "missing", "extra", "values", "entries",
    ];
    let count = |number: u64| HumanCount(number).to_string();
    let mut rows = vec![HEAD.map(String::from)];
    for input in &comparison.inputs {
        let genes = &input.genes;
        let unknown = || "?".to_string();
        rows.push([
            input.source_file.clone(),
            count(input.cells),
            count(input.known_cells),
            count(genes.genes),
            count(genes.shared),
            count(genes.missing),
            count(genes.extra),
            input.value_type.map_or_else(unknown, |t| t.to_string()),
            input.entries.map_or_else(unknown, count),
        ]);
    }
    let widths: [usize; 9] = std::array::from_fn(|column| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    for input in &comparison.inputs {
        let mut line = |what: String| {
            let _ = writeln!(text, "{}: {what}", input.source_file);
        };
        let GeneJoin {
            missing_examples,
            extra_examples,
            ..
        } = &input.genes;
        for (what, names) in [
            ("missing genes such as", missing_examples),
            ("extra genes such as", extra_examples),
            ("lacks the columns", &input.missing_columns),
            ("has more columns:", &input.extra_columns),
        ] {
            if !names.is_empty() {
                line(format!("{what} {}", names.join(", ")));
            }
        }
        for clash in &input.clashes {
            line(format!(
                "{} is {}, elsewhere {}",
                clash.column, clash.found, clash.expected
            ));
        }
        if input.genes.dropped > 0 {
            let dropped = count(input.genes.dropped);
            line(format!(
                "{dropped} genes would be left out with their values"
            ));
        }
        for warning in &input.warnings {
            line(format!("warning: {warning}"));
        }
        if input.repeated_cells > 0 {
            let repeated = count(input.repeated_cells);
            line(format!("{repeated} cells have the name of an earlier one"));
        }
    }
    let _ = writeln!(text, "genes are joined by {}", comparison.gene_key);
    for proposal in &comparison.proposals {
        let _ = writeln!(text, "with {proposal}");
    }
    if let Some([cells, genes]) = comparison.result {
        let values = comparison.value_type.map(|t| format!(", values as {t}"));
        let _ = writeln!(
            text,
            "together {} cells × {} genes{}",
            count(cells),
            count(genes),
            values.unwrap_or_default()
        );
    }
    text
}
