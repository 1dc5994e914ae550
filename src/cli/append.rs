//! `slaf append`

use std::path::PathBuf;
use std::time::Instant;

use super::arguments::{AppendArguments, Verbosity, WriteArguments};
use super::bars::{Bars, ProgressForm};
use super::convert::{Run, shown};
use super::looping_files::give_up_on_stuck_files;
use super::reading::{Reading, check_is_no_input, split};
use super::report::Report;
use super::settings::Settings;
use super::signals::{Interrupted, end_when_asked};
use crate::dataset::{ConfigUse, Dataset};
use crate::error::Error;
use crate::ingest::Conversion;
use crate::plan::{VersionWish, Widening};
use crate::source::Inputs;

/// A checked append.
#[derive(Debug)]
pub(super) struct Request {
    reading: Reading,
    dataset: PathBuf,
    settings: Settings,
    wish: VersionWish,
    run: Run,
    verbosity: Verbosity,
}

impl Request {
    /// Checks the raw arguments.
    pub fn check(raw: AppendArguments, verbosity: Verbosity) -> Result<Self, Error> {
        let write = WriteArguments {
            dtypes: None,
            value_type: None,
            compression: None,
            fragment_rows: raw.fragment_rows,
        };
        let mut settings = Settings::gather(&raw.read, &write, &raw.run.resources)?;
        let usage = "slaf append INPUT… DATASET";
        let is_named = raw.output.is_some();
        let (paths, dataset) = split(raw.paths, raw.output, raw.inputs.is_some(), usage)?;
        if !is_named {
            check_is_no_input(&dataset, "the dataset", usage)?;
        }
        settings.plan = raw.joins.apply(settings.plan);
        settings.plan.widening = widening(raw.widen);
        let wish = raw.joins.version_wish();
        let reading = raw
            .read
            .inputs(&raw.joins, &settings, paths, raw.inputs, Some(&dataset))?;
        Ok(Request {
            reading,
            dataset,
            settings,
            wish,
            run: raw.run.checked(),
            verbosity,
        })
    }
}

pub(super) fn widening(allowed: bool) -> Widening {
    if allowed {
        Widening::Allow
    } else {
        Widening::Refuse
    }
}

/// Looks, plans, writes, and tells what was done.
pub(super) fn run(request: &Request) -> Result<(), Error> {
    let started = Instant::now();
    ConfigUse::Change.check(&request.dataset, request.settings.memory)?;
    Dataset::open(&request.dataset)?;
    give_up_on_stuck_files();
    end_when_asked(Interrupted::GoesOn);
    let (settings, found) = (&request.settings, &request.reading.found);
    found.tell(request.verbosity);
    let bars = Bars::new(ProgressForm::of(settings.progress, request.verbosity));
    let mut inputs = Inputs::of_paths(request.reading.inputs.clone());
    let conversion = Conversion {
        plan: settings.plan.clone(),
        versions: request.wish,
        run: request.run.options(settings),
    };
    let finished = conversion.append(&mut inputs, &request.dataset, &shown(&bars))?;
    bars.clear();
    let report = Report::new(&request.dataset, finished.outcome(), started.elapsed());
    report.print(found, request.run.json, request.verbosity)?;
    // Last of all: until here, a run of the same command would take over.
    Ok(finished.close()?)
}
