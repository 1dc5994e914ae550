//! `slaf convert`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::arguments::{ConvertArguments, Verbosity};
use super::bars::Bars;
use super::report::Report;
use super::settings::Settings;
use crate::error::{Error, ExitCode};
use crate::ingest::{Earlier, Existing, Job, RunOptions, check_output};
use crate::plan::Plan;
use crate::source::{self, Inputs, MainMatrix, Names, OpenOptions, RawUse, Selection};
use crate::store::Wait;
use crate::survey::Survey;

/// A checked conversion.
#[derive(Debug)]
pub(super) struct Request {
    inputs: Vec<(PathBuf, OpenOptions)>,
    output: PathBuf,
    settings: Settings,
    existing: Existing,
    earlier: Earlier,
    json: bool,
    verbosity: Verbosity,
}

impl Request {
    /// Checks the raw arguments.
    pub fn check(raw: ConvertArguments, verbosity: Verbosity) -> Result<Self, Error> {
        let mut settings = Settings::gather(&raw)?;
        let mut paths = raw.paths;
        let output = match raw.output {
            Some(output) => output,
            None if paths.len() < 2 && (raw.inputs.is_none() || paths.is_empty()) => {
                return Err(Error::Usage(
                    "an input and an output are needed: slaf convert INPUT… OUTPUT".into(),
                ));
            }
            None => paths.remove(paths.len() - 1),
        };
        let open = OpenOptions {
            format: settings.format,
            memory: settings.memory,
            threads: settings.threads,
            scratch: settings.scratch.clone(),
            measurement: raw.measurement,
            matrix: match raw.matrix.as_deref() {
                None | Some("X") => MainMatrix::Own,
                Some("raw") => MainMatrix::Raw,
                Some(layer) => MainMatrix::Layer(layer.to_string()),
            },
            raw: if raw.raw_as_layer {
                RawUse::Layer
            } else {
                RawUse::LeaveOut
            },
            selection: Selection {
                skip: raw.skip,
                only: raw.only,
            },
            names: if raw.make_unique {
                Names::MadeUnique
            } else {
                Names::AsTheyAre
            },
            genomes: settings.genomes.clone(),
            feature_types: settings.feature_types.clone(),
            gene_id: settings.gene_id,
            barcodes: raw.barcodes,
            features: raw.features,
            ..OpenOptions::default()
        };
        settings.plan = raw.joins.apply(settings.plan);
        let inputs = raw.joins.inputs(paths, raw.inputs.as_deref(), &open)?;
        Ok(Request {
            inputs,
            output,
            settings,
            existing: if raw.overwrite {
                Existing::Replace
            } else {
                Existing::Refuse
            },
            earlier: if raw.no_resume {
                Earlier::Discard
            } else {
                Earlier::Resume
            },
            json: raw.json,
            verbosity,
        })
    }
}

/// Ends the process when a damaged file makes libhdf5 loop. What was recorded is kept, as after any
/// sudden end. `SLAF_PATIENCE` sets the seconds after which that is assumed.
pub(super) fn give_up_on_stuck_files() {
    const PATIENCE: u64 = 120;
    let seconds = std::env::var("SLAF_PATIENCE")
        .ok()
        .and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(PATIENCE).max(1);
    source::watch(Duration::from_secs(seconds), move |place| {
        eprintln!(
            "slaf: error: {place}: reading it does not come to an end (after {seconds} s): the file is damaged, or its disk does not answer"
        );
        std::process::exit(i32::from(ExitCode::Refused as u8));
    });
}

/// Looks, plans, writes, and tells what was done.
pub(super) fn run(request: &Request) -> Result<(), Error> {
    let started = Instant::now();
    let settings = &request.settings;
    check_output(&request.output, request.existing)?;
    give_up_on_stuck_files();
    let inputs = Inputs::of_paths(request.inputs.clone());
    let surveys = Survey::of_all(&inputs, settings.threads)?;
    let plan = Plan::new(&inputs, &surveys, &settings.plan)?;
    drop(surveys);
    let options = RunOptions {
        threads: settings.threads,
        memory: settings.memory,
        chunk_cells: settings.chunk_cells,
        existing: request.existing,
        earlier: request.earlier,
        wait: Wait::No,
    };
    let bars = Bars::new(request.verbosity);
    let job = Job::begin(plan, &request.output, options)?;
    let finished = job.run(&inputs, &|event: crate::progress::Event<'_>| {
        bars.show(event)
    })?;
    bars.clear();
    let report = Report::new(&request.output, finished.outcome(), started.elapsed());
    report.print(request.json, request.verbosity)?;
    // Last of all: until here, a run of the same command would take over.
    Ok(finished.close()?)
}
