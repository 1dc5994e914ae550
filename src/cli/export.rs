//! `slaf export`

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use indicatif::HumanCount;
use serde::Serialize;

use super::allocator;
use super::arguments::{ExportArguments, ExportFormatArgument, LayoutArgument, Verbosity};
use super::bars::{Bars, ProgressForm};
use super::looping_files::give_up_on_stuck_files;
use super::reading::gene_list;
use super::report::{peak_memory, print};
use super::settings::Settings;
use super::signals::{Interrupted, end_when_asked};
use crate::error::Error;
use crate::export::{Export, ExportFormat, Exported, Metadata, Split};
use crate::ingest::OverwritePolicy;
use crate::progress::Event;
use crate::sink::{MatrixLayout, Resources, TableShape};
use crate::source::{MainMatrix, OpenOptions, Selection};

/// Notes that the summary lists.
const LISTED: usize = 40;

/// Exports a dataset, and tells what was written.
pub(super) fn run(raw: ExportArguments, verbosity: Verbosity) -> Result<(), Error> {
    let started = Instant::now();
    let settings = Settings::of_resources(&raw.resources)?;
    let json = raw.resources.json;
    // Inputs of other formats can be exported, too, and files may be damaged.
    give_up_on_stuck_files();
    allocator::give_back_soon();
    end_when_asked(Interrupted::Nothing);
    let bars = Bars::new(ProgressForm::of(settings.progress, verbosity));
    let (dataset, output) = (raw.dataset.clone(), raw.output.clone());
    let export = export_of(raw, &settings)?;
    let exported = export.write(&dataset, &output, &|event: Event<'_>| bars.show(event))?;
    bars.clear();
    let report = Report {
        seconds: started.elapsed().as_secs_f64(),
        peak_memory: peak_memory(),
        exported: &exported,
    };
    if json {
        let json = serde_json::to_string_pretty(&report).map_err(std::io::Error::from)?;
        return print(&(json + "\n"));
    }
    match verbosity {
        Verbosity::Quiet => Ok(()),
        _ => print(&text(&exported, started.elapsed())),
    }
}

fn export_of(raw: ExportArguments, settings: &Settings) -> Result<Export, Error> {
    Ok(Export {
        open: OpenOptions {
            matrix: match raw.matrix.as_deref() {
                None | Some("X") => MainMatrix::Own,
                Some("raw") => MainMatrix::Raw,
                Some(layer) => MainMatrix::Layer(layer.to_string()),
            },
            selection: Selection {
                skip: raw.skip,
                only: raw.only,
                ..Selection::default()
            },
            cells_where: raw.cells_where,
            limit: raw.limit,
            genes: raw.genes.map(|text| gene_list(&text)).transpose()?,
            ..OpenOptions::default()
        },
        format: raw.to.map(|format| match format {
            ExportFormatArgument::H5ad => ExportFormat::H5ad,
            ExportFormatArgument::TenxH5 => ExportFormat::TenxH5,
            ExportFormatArgument::TenxMtx => ExportFormat::TenxMtx,
            ExportFormatArgument::Parquet => ExportFormat::Parquet,
            ExportFormatArgument::Arrow => ExportFormat::Arrow,
        }),
        layout: match raw.layout {
            LayoutArgument::Csr => MatrixLayout::Csr,
            LayoutArgument::Csc => MatrixLayout::Csc,
        },
        filters: raw.compression,
        metadata: if raw.with_metadata {
            Metadata::Beside
        } else {
            Metadata::LeftOut
        },
        shape: if raw.wide {
            TableShape::Wide
        } else {
            TableShape::Long
        },
        split: Split {
            cells_per_file: raw.cells_per_file,
            by: raw.split_by,
            shard: raw.shard,
        },
        overwrite: if raw.overwrite {
            OverwritePolicy::Replace
        } else {
            OverwritePolicy::Refuse
        },
        resources: Resources {
            memory: settings.memory,
            threads: settings.threads,
            chunk_cells: settings.chunk_cells,
            scratch: settings.scratch.clone(),
        },
    })
}

/// What is told of a finished export.
#[derive(Debug, Serialize)]
struct Report<'a> {
    seconds: f64,
    /// The most memory the process ever had, in bytes, where the system tells.
    peak_memory: Option<u64>,
    #[serde(flatten)]
    exported: &'a Exported,
}

fn text(exported: &Exported, elapsed: Duration) -> String {
    let mut text = format!(
        "{}: {} cells × {} genes, {} non-zeros ({})\n",
        exported.output.display(),
        HumanCount(exported.cells),
        HumanCount(exported.genes),
        HumanCount(exported.nonzeros),
        exported.format,
    );
    let mut line = |label: &str, rest: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {label:<10} {rest}");
    };
    let memory = peak_memory()
        .map(|bytes| format!(", at most {} of memory", ByteSize::b(bytes)))
        .unwrap_or_default();
    let size = ByteSize::b(exported.bytes);
    let seconds = elapsed.as_secs_f64();
    line("cost", format!("{size} written, {seconds:.1} s{memory}"));
    if exported.files != 1 || exported.earlier_files > 0 {
        let earlier = match exported.earlier_files {
            0 => String::new(),
            earlier => format!(", {earlier} of them by an earlier run"),
        };
        line(
            "files",
            format!("{}{earlier}", HumanCount(exported.files as u64)),
        );
    }
    for warning in &exported.warnings {
        line("warning", warning.clone());
    }
    for note in exported.notes.iter().take(LISTED) {
        line("note", format!("{}: {}", note.object, note.reason));
    }
    if exported.notes.len() > LISTED {
        let more = exported.notes.len() - LISTED;
        line("note", format!("and {more} more, which --json lists"));
    }
    text
}
