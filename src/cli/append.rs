//! `slaf append`

use std::path::PathBuf;
use std::time::Instant;

use super::allocator;
use super::arguments::{AppendArguments, Verbosity, WriteArguments};
use super::bars::{Bars, Show};
use super::convert::{Run, give_up_on_stuck_files};
use super::reading::{Reading, check_is_no_input, split, tell_unmatched};
use super::report::Report;
use super::settings::Settings;
use super::signals::{Begun, end_when_asked};
use super::versions::settle_versions;
use crate::dataset::Dataset;
use crate::error::Error;
use crate::ingest::{
    Appendable, Existing, Finished, IngestError, Job, RunOptions, check_apart, check_unlocked,
};
use crate::plan::{Plan, PlanOptions, VersionWish, Widening};
use crate::progress::Event;
use crate::source::Inputs;
use crate::survey::Survey;

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

/// How often a plan is made anew because the dataset has changed meanwhile.
const ATTEMPTS: usize = 10;

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
        let reading = raw.read.inputs(&raw.joins, &settings, paths, raw.inputs)?;
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
    Dataset::open(&request.dataset)?;
    check_unlocked(&request.dataset, request.run.wait)?;
    give_up_on_stuck_files();
    end_when_asked(Begun::GoesOn);
    let found = &request.reading.found;
    found.tell(request.verbosity);
    let show = Show::of(request.settings.progress, request.verbosity);
    let bars = Bars::new(show);
    let mut inputs = Inputs::of_paths(request.reading.inputs.clone());
    let mut surveys = Survey::of_all(&inputs, request.settings.threads)?;
    tell_unmatched(&inputs);
    for folder in [&request.dataset, &request.settings.scratch] {
        check_apart(folder, &inputs)?;
    }
    let mut options = request.settings.plan.clone();
    let dataset = Appendable::open(&request.dataset)?.now;
    settle_versions(
        request.wish,
        &mut inputs,
        &mut surveys,
        &mut options,
        Some(&dataset),
    )?;
    let append = Append {
        request,
        inputs: &inputs,
        surveys: &surveys,
        options: &options,
        bars: &bars,
    };
    let mut attempts = 0;
    let finished = loop {
        attempts += 1;
        match append.attempt() {
            Err(Error::Ingest(IngestError::Moved { .. })) if attempts < ATTEMPTS => {
                tracing::info!("the dataset has changed: planning anew");
            }
            result => break result?,
        }
    };
    let report = Report::new(&request.dataset, finished.outcome(), started.elapsed());
    report.print(found, request.run.json, request.verbosity)?;
    // Last of all: until here, a run of the same command would take over.
    Ok(finished.close()?)
}

struct Append<'a> {
    request: &'a Request,
    inputs: &'a Inputs,
    surveys: &'a [Survey],
    options: &'a PlanOptions,
    bars: &'a Bars,
}

impl Append<'_> {
    /// Goes on with this append where it was begun earlier; else plans it for the dataset as it is.
    fn attempt(&self) -> Result<Finished, Error> {
        let mut appendable = Appendable::open(&self.request.dataset)?;
        appendable.check_rows()?;
        appendable.check_earlier(self.request.run.earlier)?;
        let Appendable { earlier, now, .. } = appendable;
        if let Some((job, before)) = earlier
            && let Ok(plan) = self.plan(&before)
            && plan.job_id() == job
        {
            return self.run(plan);
        }
        self.run(self.plan(&now)?)
    }

    fn plan(&self, dataset: &Dataset) -> Result<Plan, Error> {
        let options = self.options;
        let base = dataset.survey_now(self.surveys, options.gene_key.as_ref())?;
        Ok(Plan::append(self.inputs, self.surveys, options, &base)?)
    }

    fn run(&self, plan: Plan) -> Result<Finished, Error> {
        let settings = &self.request.settings;
        let options = RunOptions {
            threads: settings.threads,
            memory: settings.memory,
            chunk_cells: settings.chunk_cells,
            existing: Existing::Refuse,
            earlier: self.request.run.earlier,
            wait: self.request.run.wait,
        };
        let bars = self.bars;
        let job = Job::begin(plan, &self.request.dataset, options)?;
        let show = |event: Event<'_>| {
            allocator::give_back_between(&event);
            bars.show(event);
        };
        let finished = job.run(self.inputs, &show)?;
        bars.clear();
        Ok(finished)
    }
}
