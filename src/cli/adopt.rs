//! `slaf adopt`

use std::fmt::Write as _;

use serde::Serialize;

use super::allocator;
use super::arguments::{AdoptArguments, ProgressArgument, Verbosity};
use super::bars::{Bars, ProgressForm};
use super::report::print;
use super::settings::{enough_memory, threads_or_all};
use crate::dataset::{ConfigUse, Dataset, TableChange, UnsChange};
use crate::error::Error;
use crate::ingest::{
    Appendable, Appended, IngestError, Job, OverwritePolicy, ResumePolicy, RunOptions,
    check_unlocked,
};
use crate::plan::{KnownValues, Plan, PlanOptions};
use crate::progress::Event;
use crate::source::Inputs;
use crate::store::LockPolicy;

/// How often it is begun anew because the dataset has changed meanwhile.
const ATTEMPTS: usize = 10;

/// What is told of an adoption.
#[derive(Serialize)]
struct Adopted<'a> {
    dataset: &'a std::path::Path,
    /// What other programs had done.
    changes: Vec<TableChange>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uns: Option<UnsChange>,
    /// What was done about it; nothing where nothing was to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    adopted: Option<Appended>,
}

/// Describes a dataset as other programs have left it.
pub(super) fn run(arguments: &AdoptArguments, verbosity: Verbosity) -> Result<(), Error> {
    allocator::give_back_soon();
    let memory = enough_memory(arguments.memory)?;
    ConfigUse::Change.check(&arguments.dataset, memory)?;
    Dataset::open(&arguments.dataset)?;
    let wait = if arguments.wait {
        LockPolicy::Yes
    } else {
        LockPolicy::No
    };
    check_unlocked(&arguments.dataset, wait)?;
    let options = RunOptions {
        threads: threads_or_all(arguments.threads),
        memory,
        chunk_cells: u64::MAX,
        existing: OverwritePolicy::Refuse,
        earlier: if arguments.no_resume {
            ResumePolicy::Discard
        } else {
            ResumePolicy::Resume
        },
        wait,
    };
    let mut attempts = 0;
    let adopted = loop {
        attempts += 1;
        match attempt(arguments, &options, verbosity) {
            Err(Error::Ingest(IngestError::Moved { .. })) if attempts < ATTEMPTS => {
                tracing::info!("the dataset has changed: beginning anew");
            }
            result => break result?,
        }
    };
    if arguments.json {
        let json = serde_json::to_string_pretty(&adopted).map_err(std::io::Error::from)?;
        print(&(json + "\n"))?;
    } else if verbosity != Verbosity::Quiet {
        print(&text(&adopted))?;
    }
    Ok(())
}

fn attempt<'a>(
    arguments: &'a AdoptArguments,
    options: &RunOptions,
    verbosity: Verbosity,
) -> Result<Adopted<'a>, Error> {
    let known = if arguments.accept_changes {
        KnownValues::Accept
    } else {
        KnownValues::Keep
    };
    let mut appendable = Appendable::open(&arguments.dataset)?;
    match known {
        KnownValues::Accept => appendable.accept()?,
        KnownValues::Keep => appendable.check_rows()?,
    }
    let plan = |dataset: &Dataset| -> Result<Plan, Error> {
        let base = dataset.survey_now(&[], None)?;
        let rows = PlanOptions::default().fragment_rows;
        let uns = dataset.config().uns_xxh3.clone();
        Ok(Plan::adopt(&base, known, uns, rows))
    };
    let Appendable {
        earlier,
        now,
        changes,
        ..
    } = appendable;
    let earlier = earlier.and_then(|(job, before)| {
        let plan = plan(&before).ok()?;
        (plan.job_id() == job).then_some(plan)
    });
    let nothing = changes.is_empty() && now.config().is_described();
    let plan = match earlier {
        Some(plan) => plan,
        None if nothing && known == KnownValues::Keep => {
            return Ok(Adopted {
                dataset: &arguments.dataset,
                changes: changes.tables,
                uns: changes.uns,
                adopted: None,
            });
        }
        None => plan(&now)?,
    };
    let bars = Bars::new(ProgressForm::of(ProgressArgument::Auto, verbosity));
    let inputs = Inputs::of_paths([]);
    let job = Job::begin(plan, &arguments.dataset, options.clone())?;
    let finished = job.run(&inputs, &|event: Event<'_>| bars.show(event))?;
    bars.clear();
    let adopted = finished.outcome().appended.clone();
    finished.close()?;
    Ok(Adopted {
        dataset: &arguments.dataset,
        changes: changes.tables,
        uns: changes.uns,
        adopted,
    })
}

fn text(adopted: &Adopted<'_>) -> String {
    let mut text = String::new();
    let dataset = adopted.dataset.display();
    // Writing to a string cannot fail.
    let Some(done) = &adopted.adopted else {
        let _ = writeln!(
            text,
            "{dataset}: everything is described, nothing is to be adopted"
        );
        return text;
    };
    let _ = writeln!(text, "{dataset}: described as it is");
    let tables = adopted.changes.iter().map(TableChange::to_string);
    for change in tables.chain(adopted.uns.iter().map(UnsChange::to_string)) {
        let _ = writeln!(text, "  adopted    {change}");
    }
    for table in &done.rewritten {
        let _ = writeln!(text, "  rewritten  {}", table.key());
    }
    for repaired in &done.repaired {
        let _ = writeln!(text, "  repaired   {repaired}");
    }
    text
}
