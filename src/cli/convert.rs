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
use crate::source::{self, MainMatrix, Names, OpenOptions, RawUse, Selection};
use crate::survey::Survey;

/// A checked conversion.
#[derive(Debug)]
pub(super) struct Request {
    input: PathBuf,
    output: PathBuf,
    open: OpenOptions,
    settings: Settings,
    existing: Existing,
    earlier: Earlier,
    json: bool,
    verbosity: Verbosity,
}

impl Request {
    /// Checks the raw arguments.
    pub fn check(raw: ConvertArguments, verbosity: Verbosity) -> Result<Self, Error> {
        let settings = Settings::gather(&raw)?;
        let mut inputs = raw.paths;
        let output = match raw.output {
            Some(output) => output,
            None if inputs.len() < 2 => {
                return Err(Error::Usage(
                    "an input and an output are needed: slaf convert INPUT OUTPUT".into(),
                ));
            }
            None => inputs.remove(inputs.len() - 1),
        };
        let [input] = <[PathBuf; 1]>::try_from(inputs).map_err(|inputs| {
            Error::Usage(format!(
                "{} inputs were given, but only one can be converted at a time yet",
                inputs.len()
            ))
        })?;
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
        };
        Ok(Request {
            input,
            output,
            open,
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
    let source = source::open(&request.input, &request.open)?;
    let survey = Survey::of(&*source)?;
    let plan = Plan::new(&*source, &request.open, &survey, &settings.plan)?;
    let options = RunOptions {
        threads: settings.threads,
        memory: settings.memory,
        chunk_cells: settings.chunk_cells,
        existing: request.existing,
        earlier: request.earlier,
    };
    let bars = Bars::new(request.verbosity);
    let job = Job::begin(plan, &request.output, options)?;
    let finished = job.run(&*source, &|event: crate::progress::Event<'_>| {
        bars.show(event)
    })?;
    bars.clear();
    let report = Report::new(&request.output, finished.outcome(), started.elapsed());
    report.print(request.json, request.verbosity)?;
    // Last of all: until here, a run of the same command would take over.
    Ok(finished.close()?)
}
