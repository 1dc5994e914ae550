//! Arguments that formats declare.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

use crate::source::{Format, Formats, OptionKind, OptionScope, OptionSpec, OptionValue};

/// The names of formats.
pub(super) fn names() -> impl TypedValueParser<Value = Format> {
    let formats = Formats::default();
    let names = formats.iter().map(|format| {
        let name = PossibleValue::new(format.name());
        match format.about() {
            "" => name,
            about => name.help(about),
        }
    });
    PossibleValuesParser::new(names.collect::<Vec<_>>()).map(Format::from)
}

/// What was given on the command line, or in variables, for options that only some formats have.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct FormatArguments(pub Vec<(&'static OptionSpec, OptionValue)>);

fn argument(spec: &'static OptionSpec) -> Arg {
    let argument = Arg::new(spec.name)
        .long(spec.name)
        .value_name(spec.value_name)
        .help_heading(spec.heading)
        .help(spec.help);
    let argument = match spec.kind {
        OptionKind::Text => argument,
        OptionKind::Texts => argument.action(ArgAction::Append).value_delimiter(','),
        OptionKind::Choice { values, .. } => argument.value_parser(values.to_vec()),
        OptionKind::File => argument.value_parser(value_parser!(PathBuf)),
    };
    match spec.scope {
        OptionScope::Command => argument,
        OptionScope::Settings => argument.env(format!(
            "SLAF_{}",
            spec.name.replace('-', "_").to_uppercase()
        )),
    }
}

fn value(spec: &OptionSpec, matches: &ArgMatches) -> Result<Option<OptionValue>, Error> {
    Ok(match spec.kind {
        OptionKind::Text | OptionKind::Choice { .. } => matches
            .get_one::<String>(spec.name)
            .cloned()
            .map(OptionValue::One),
        OptionKind::Texts => {
            let texts = matches.get_many::<String>(spec.name);
            texts.map(|texts| OptionValue::Several(texts.cloned().collect()))
        }
        OptionKind::File => match matches.get_one::<PathBuf>(spec.name).cloned() {
            None => None,
            Some(path) => {
                let text = OsString::from(path).into_string();
                let text = text.map_err(|path| {
                    let (name, path) = (spec.name, path.display());
                    let problem = format!("--{name}: the path {path} is not UTF-8; rename it\n");
                    Error::raw(ErrorKind::InvalidUtf8, problem)
                })?;
                Some(OptionValue::One(text))
            }
        },
    })
}

impl FromArgMatches for FormatArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut given = Vec::new();
        for spec in Formats::default().options() {
            given.extend(value(spec, matches)?.map(|value| (spec, value)));
        }
        Ok(FormatArguments(given))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for FormatArguments {
    fn augment_args(command: Command) -> Command {
        command.args(Formats::default().options().into_iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
