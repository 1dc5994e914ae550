//! `slaf info`

use std::fmt::Write as _;

use bytesize::ByteSize;
use indicatif::HumanCount;

use super::arguments::InfoArguments;
use super::input_info;
use super::report::print;
use super::settings::enough_memory;
use crate::dataset::{CONFIG, ConfigUse, Info, SourceNote, Status, content_digest};
use crate::error::Error;
use crate::ingest::IngestError;
use crate::plan::Dtypes;
use crate::table::runtime;

/// Describes a dataset.
pub(super) fn run(arguments: &InfoArguments) -> Result<(), Error> {
    let path = &arguments.dataset;
    ConfigUse::Read.check(path, enough_memory(arguments.memory)?)?;
    let runtime = runtime(1).map_err(|source| IngestError::Threads { source })?;
    if arguments.digest {
        let refusal = || {
            format!(
                "{} has no digests, because another program wrote it last; slaf adopt describes it",
                path.display()
            )
        };
        let digest = runtime.block_on(content_digest(path))?;
        let digest = digest.ok_or_else(|| Error::NotJoinable { refusal: refusal() })?;
        return print(&(digest + "\n"));
    }
    if path.is_file() || path.is_dir() && !path.join(CONFIG).exists() {
        return input_info::run(path, arguments.json);
    }
    let info = runtime.block_on(Info::of(&arguments.dataset))?;
    if arguments.json {
        return print(&(serde_json::to_string_pretty(&info).map_err(std::io::Error::from)? + "\n"));
    }
    print(&text(&info))
}

/// On what scale the values of a source are, where it is told.
fn scales(source: &SourceNote) -> String {
    let layers = source.layers.iter();
    let layers = layers.filter_map(|layer| Some(format!("{} is {}", layer.object, layer.scale?)));
    let main = source.scale.map(|scale| scale.to_string());
    main.into_iter()
        .chain(layers)
        .map(|scale| format!("; {scale}"))
        .collect()
}

fn text(info: &Info) -> String {
    let mut text = String::new();
    let mut line = |label: &str, rest: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label:<12} {rest}");
    };
    line("dataset", info.path.display().to_string());
    if let Some(progress) = &info.in_progress {
        let what = if info.complete {
            "append"
        } else {
            "conversion"
        };
        let state = match progress.status {
            Status::Writing => "in progress",
            Status::Committing => "in progress, at its commit",
        };
        line(
            "state",
            format!(
                "{what} {state} since {}: {} of {} shards, {} of {} non-zeros (run the same command again to finish it)",
                progress.started,
                progress.shards_done,
                progress.shards,
                HumanCount(progress.entries_done),
                HumanCount(progress.entries)
            ),
        );
        for input in &progress.inputs {
            line("input", input.display().to_string());
        }
    }
    line(
        "shape",
        format!(
            "{} cells × {} genes",
            HumanCount(info.cells),
            HumanCount(info.genes)
        ),
    );
    if !info.complete {
        return text;
    }
    line(
        "non-zeros",
        format!(
            "{} (density {:.2} %)",
            HumanCount(info.non_zeros),
            info.density * 100.0
        ),
    );
    line(
        "values",
        format!(
            "{} to {}, mean {:.4}, standard deviation {:.4}",
            info.min_value, info.max_value, info.mean_value, info.std_value
        ),
    );
    if let Some(dtypes) = info.dtypes {
        let kind = match dtypes {
            Dtypes::Narrow => {
                "narrow (slafdb's SQL and lazy AnnData cannot filter these; convert with --dtypes signed for them)"
            }
            Dtypes::Signed => "signed",
        };
        line("dtypes", kind.into());
    }
    if let Some(writer) = &info.writer {
        line(
            "written by",
            format!(
                "{writer}, {}",
                info.created_at.as_deref().unwrap_or("time unknown")
            ),
        );
    }
    for table in &info.tables {
        line(
            &table.name,
            format!(
                "{} rows, {} fragments, {}, version {}",
                HumanCount(table.rows),
                table.fragments,
                ByteSize::b(table.bytes),
                table.version
            ),
        );
        const SHOWN: usize = 12;
        let mut columns: Vec<String> = table
            .columns
            .iter()
            .take(SHOWN)
            .map(|(name, data_type)| format!("{name} {data_type}"))
            .collect();
        if table.columns.len() > SHOWN {
            columns.push(format!("and {} more", table.columns.len() - SHOWN));
        }
        line("", columns.join(", "));
    }
    let tables = info.undescribed.iter().map(|change| change.to_string());
    let adopted = "slaf adopt describes it, and so does the next append";
    for change in tables {
        line("undescribed", format!("{change} ({adopted})"));
    }
    if let Some(uns) = &info.undescribed_uns {
        let what = match uns.problem {
            None => adopted,
            Some(_) => "slaf adopt --accept-changes takes it as it is",
        };
        line("undescribed", format!("{uns} ({what})"));
    }
    for source in &info.sources {
        line(
            "source",
            format!(
                "{}: {} cells, {} non-zeros{}",
                source.source_file,
                HumanCount(source.cells),
                HumanCount(source.rows),
                scales(source)
            ),
        );
    }
    text
}
