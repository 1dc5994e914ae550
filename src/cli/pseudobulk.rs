//! `slaf pseudobulk`

use super::allocator;
use super::arguments::PseudobulkArguments;
use super::output_form::OutputForm;
use super::settings::{enough_memory, threads_or_all};
use super::signals::{Interrupted, end_when_asked};
use crate::error::Error;
use crate::ingest::IngestError;
use crate::query::{OutputFormat, PseudobulkRequest, Resources, SumsLayout, pseudobulk};
use crate::table::runtime;

/// Sums groups of cells, and writes the sums.
pub(super) fn run(arguments: PseudobulkArguments) -> Result<(), Error> {
    let form = OutputForm::of(arguments.to, arguments.output, arguments.overwrite)?;
    let resources = Resources {
        memory: enough_memory(arguments.resources.memory)?,
        threads: threads_or_all(arguments.resources.threads),
        scratch: std::env::temp_dir(),
    };
    let request = PseudobulkRequest {
        by: arguments.by,
        layer: arguments.layer,
    };
    allocator::spare(resources.memory);
    end_when_asked(Interrupted::Nothing);
    let runtime = runtime(resources.threads).map_err(|source| IngestError::Threads { source })?;
    let sums = runtime.block_on(pseudobulk(&arguments.dataset, &request, &resources))?;
    let layout = match form.format {
        OutputFormat::Tsv | OutputFormat::Csv | OutputFormat::Table | OutputFormat::Md => {
            SumsLayout::Wide
        }
        OutputFormat::Json | OutputFormat::Jsonl | OutputFormat::Parquet | OutputFormat::Arrow => {
            SumsLayout::Long
        }
    };
    form.write(&sums.schema(layout), sums.rows(layout), None)
}
