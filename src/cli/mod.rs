//! The command line: raw arguments become a checked request, and each command has a file.

mod adopt;
#[allow(unsafe_code, reason = "calls of the allocator's C interface")]
mod allocator;
mod append;
mod arguments;
mod bars;
mod columns;
mod convert;
mod export;
mod found;
mod head;
mod info;
mod input_info;
mod joins;
mod looping_files;
mod output_form;
mod pseudobulk;
mod query;
mod query_shell;
mod reading;
mod report;
mod settings;
mod shell;
mod signals;
mod terminal;
mod validate;
mod verify;
mod words;

use clap::Parser;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use arguments::Arguments;
use arguments::{Command, Verbosity};

use crate::error::Error;

/// Parses the command line; `--help`, `--version` and mistakes end the process.
pub fn parse() -> Arguments {
    Arguments::parse()
}

/// Sends log messages to standard error, as many as were asked for.
pub fn start_log(arguments: &Arguments) {
    let level = match arguments.verbosity() {
        Verbosity::Quiet => LevelFilter::ERROR,
        Verbosity::Normal => LevelFilter::WARN,
        Verbosity::Verbose => LevelFilter::INFO,
        Verbosity::Debug => LevelFilter::DEBUG,
    };
    let colours = std::env::var_os("NO_COLOR").is_none()
        && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .without_time();
    let targets = Targets::new()
        .with_default(LevelFilter::ERROR)
        .with_target("slaf", level);
    // A second call in one process (in tests) keeps the first log.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(targets)
        .try_init();
}

/// Runs a command.
pub fn run(arguments: Arguments) -> Result<(), Error> {
    crate::remedy::speak(&words::Flags);
    let verbosity = arguments.verbosity();
    allocator::take_small_pages();
    match arguments.command {
        Command::Convert(raw) => convert::run(&convert::Request::check(*raw, verbosity)?),
        Command::Append(raw) => append::run(&append::Request::check(*raw, verbosity)?),
        Command::Adopt(raw) => adopt::run(&raw, verbosity),
        Command::Validate(raw) => validate::run(*raw, verbosity),
        Command::Info(raw) => info::run(&raw),
        Command::Head(raw) => head::run(&raw),
        Command::Columns(raw) => columns::run(&raw),
        Command::Pseudobulk(raw) => pseudobulk::run(*raw),
        Command::Query(raw) => query::run(*raw),
        Command::Export(raw) => export::run(*raw, verbosity),
        Command::Verify(raw) => verify::run(&raw, verbosity),
        Command::Completions { shell } => shell::completions(shell),
        Command::Man => shell::man(),
    }
}
