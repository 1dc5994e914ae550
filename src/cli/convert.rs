//! `slaf convert`

use std::path::PathBuf;
use std::time::Instant;

use super::allocator;
use super::arguments::{ConvertArguments, RunArguments, Verbosity};
use super::bars::{Bars, ProgressForm};
use super::reading::{Reading, check_is_no_input, split};
use super::report::Report;
use super::settings::Settings;
use super::signals::{Interrupted, end_when_asked};
use crate::error::Error;
use crate::ingest::{Conversion, OverwritePolicy, ResumePolicy, RunOptions};
use crate::plan::VersionWish;
use crate::progress::Event;
use crate::source::Inputs;
use crate::store::LockPolicy;

/// How a job is run, as it was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    pub earlier: ResumePolicy,
    pub wait: LockPolicy,
    pub json: bool,
}

impl Run {
    /// How a job is run with these settings.
    pub fn options(&self, settings: &Settings) -> RunOptions {
        RunOptions {
            threads: settings.threads,
            memory: settings.memory,
            chunk_cells: settings.chunk_cells,
            earlier: self.earlier,
            wait: self.wait,
            ..RunOptions::default()
        }
    }
}

impl RunArguments {
    pub(super) fn checked(&self) -> Run {
        Run {
            earlier: if self.no_resume {
                ResumePolicy::Discard
            } else {
                ResumePolicy::Resume
            },
            wait: if self.wait {
                LockPolicy::Yes
            } else {
                LockPolicy::No
            },
            json: self.resources.json,
        }
    }
}

/// A checked conversion.
#[derive(Debug)]
pub(super) struct Request {
    reading: Reading,
    output: PathBuf,
    settings: Settings,
    wish: VersionWish,
    existing: OverwritePolicy,
    run: Run,
    verbosity: Verbosity,
}

impl Request {
    /// Checks the raw arguments.
    pub fn check(raw: ConvertArguments, verbosity: Verbosity) -> Result<Self, Error> {
        let mut settings = Settings::gather(&raw.read, &raw.write, &raw.run.resources)?;
        let usage = "slaf convert INPUT… OUTPUT";
        let is_named = raw.output.is_some();
        let (paths, output) = split(raw.paths, raw.output, raw.inputs.is_some(), usage)?;
        if !is_named {
            check_is_no_input(&output, "the output", usage)?;
        }
        settings.plan = raw.joins.apply(settings.plan);
        let wish = raw.joins.version_wish();
        let reading = raw
            .read
            .inputs(&raw.joins, &settings, paths, raw.inputs, Some(&output))?;
        Ok(Request {
            reading,
            output,
            settings,
            wish,
            existing: if raw.overwrite {
                OverwritePolicy::Replace
            } else {
                OverwritePolicy::Refuse
            },
            run: raw.run.checked(),
            verbosity,
        })
    }
}

/// Looks, plans, writes, and tells what was done.
pub(super) fn run(request: &Request) -> Result<(), Error> {
    let started = Instant::now();
    let settings = &request.settings;
    end_when_asked(Interrupted::GoesOn);
    let found = &request.reading.found;
    found.tell(request.verbosity);
    let bars = Bars::new(ProgressForm::of(settings.progress, request.verbosity));
    let mut inputs = Inputs::of_paths(request.reading.inputs.clone());
    let conversion = Conversion {
        plan: settings.plan.clone(),
        versions: request.wish,
        run: RunOptions {
            existing: request.existing,
            ..request.run.options(settings)
        },
    };
    let finished = conversion.write(&mut inputs, &request.output, &shown(&bars))?;
    bars.clear();
    let report = Report::new(&request.output, finished.outcome(), started.elapsed());
    report.print(found, request.run.json, request.verbosity)?;
    // Last of all: until here, a run of the same command would take over.
    Ok(finished.close()?)
}

/// Shows what happens.
pub(super) fn shown(bars: &Bars) -> impl Fn(Event<'_>) + Sync {
    |event| {
        allocator::give_back_between(&event);
        bars.show(event);
    }
}
