//! `slaf validate`

use std::fmt::Write as _;

use indicatif::HumanCount;
use serde::Serialize;

use super::append::widening;
use super::arguments::{ValidateArguments, Verbosity};
use super::bars::{Bars, ProgressForm};
use super::looping_files::give_up_on_stuck_files;
use super::reading::Reading;
use super::report::print;
use super::settings::Settings;
use super::signals::{Interrupted, end_when_asked};
use crate::dataset::{ConfigUse, Dataset};
use crate::error::Error;
use crate::ingest::{Appendable, DuplicateCounts, IngestError, settle_versions, tell_unmatched};
use crate::plan::{Comparison, GeneJoin, Plan, SameCounts};
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
    let against = raw.against.as_deref();
    let Reading { inputs, found } = raw
        .read
        .inputs(&raw.joins, &settings, raw.paths, raw.inputs, against)?;
    give_up_on_stuck_files();
    end_when_asked(Interrupted::Nothing);
    found.tell(verbosity);
    let bars = Bars::new(ProgressForm::of(settings.progress, verbosity));
    // What is no dataset is told before inputs are read.
    if let Some(dataset) = &raw.against {
        ConfigUse::Change.check(dataset, settings.memory)?;
    }
    let against = raw.against.as_deref().map(Dataset::open).transpose()?;
    let against = match against {
        None => None,
        Some(dataset) => {
            let mut appendable = Appendable::open(dataset.path())?;
            appendable.check_rows()?;
            Some(appendable.now)
        }
    };
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
    let base = match &against {
        None => None,
        Some(dataset) => {
            let key = settings.plan.gene_key.as_ref();
            Some(dataset.survey_now(&surveys, key)?)
        }
    };
    let with = against.as_ref().zip(base.as_ref());
    let left_out = DuplicateCounts::leave_out(
        &mut inputs,
        &mut surveys,
        &settings.plan,
        with,
        settings.threads,
    );
    let mut duplicate_counts = match left_out {
        Ok(left_out) => left_out,
        // Why no plan can be made is told below.
        Err(IngestError::Plan(_)) => Vec::new(),
        Err(other) => return Err(other.into()),
    };
    let mut comparison = Comparison::new(&inputs, &surveys, &settings.plan, base.as_ref())?;
    let same_counts = settings.plan.same_counts;
    let joined = surveys.len() > 1 || against.is_some();
    if comparison.refusal.is_none() && joined && same_counts != SameCounts::Drop {
        let plan = match &base {
            None => Plan::new(&inputs, &surveys, &settings.plan)?,
            Some(base) => Plan::append(&inputs, &surveys, &settings.plan, base)?,
        };
        duplicate_counts =
            DuplicateCounts::among(&inputs, &plan, against.as_ref(), settings.threads)?;
        if let Some(found) = duplicate_counts.first()
            && same_counts == SameCounts::Refuse
        {
            comparison.result = None;
            comparison.refusal = Some(format!("{}: {found}", found.path.display()));
        }
    }
    bars.clear();
    let report = Report {
        comparison: &comparison,
        duplicate_counts: &duplicate_counts,
        same_counts,
    };
    if raw.resources.json {
        let json =
            serde_json::to_string_pretty(&found.told(&report)).map_err(std::io::Error::from)?;
        print(&(json + "\n"))?;
    } else if verbosity != Verbosity::Quiet {
        print(&text(&report))?;
    }
    match comparison.refusal {
        None => Ok(()),
        Some(refusal) => Err(Error::NotJoinable { refusal }),
    }
}

/// What is printed.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    comparison: &'a Comparison,
    /// Cells that are there under other names.
    duplicate_counts: &'a [DuplicateCounts],
    /// What would be done about them.
    #[serde(skip)]
    same_counts: SameCounts,
}

/// A table with a line for each input, then what is to be told of each.
fn text(report: &Report<'_>) -> String {
    let comparison = report.comparison;
    const HEAD: [&str; 10] = [
        "input", "cells", "known", "genes", "shared", "missing", "extra", "values", "entries",
        "scale",
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
            input.scale.to_string(),
        ]);
    }
    let widths: [usize; 10] = std::array::from_fn(|column| {
        let lengths = rows.iter().map(|row| row[column].chars().count());
        lengths.max().unwrap_or(0)
    });
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).enumerate();
        let cells = cells.map(|(column, (cell, width))| match column {
            0 | 9 => format!("{cell:<width$}"),
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
        for (layer, scale) in &input.layer_scales {
            line(format!("{layer} is {scale}"));
        }
        for warning in &input.warnings {
            line(format!("warning: {warning}"));
        }
        if input.repeated_cells > 0 {
            let repeated = count(input.repeated_cells);
            line(format!("{repeated} cells have the name of an earlier one"));
        }
    }
    for found in report.duplicate_counts {
        let input = &comparison.inputs[found.input].source_file;
        let said = match report.same_counts {
            SameCounts::Warn | SameCounts::Refuse => "warning",
            SameCounts::Drop => "left out",
        };
        let _ = writeln!(text, "{input}: {said}: {found}");
    }
    let _ = writeln!(text, "genes are joined by {}", comparison.gene_key);
    if !report.duplicate_counts.is_empty() && report.same_counts == SameCounts::Warn {
        let _ = writeln!(
            text,
            "with --duplicate-counts drop: cells whose counts are there already would be left out"
        );
    }
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
