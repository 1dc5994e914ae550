//! What of the inputs is read, by the arguments.

use std::path::{Path, PathBuf};

use super::arguments::{JoinArguments, ReadArguments};
use super::found::Found;
use super::looping_files::give_up_on_stuck_files;
use super::settings::Settings;
use crate::error::Error;
use crate::source::{MainMatrix, Names, OpenOptions, RawUse, Selection, detect, inputs_of};
use crate::store::read_text;

/// The inputs.
#[derive(Debug)]
pub(super) struct Reading {
    /// Each with what of it is read.
    pub inputs: Vec<(PathBuf, OpenOptions)>,
    /// What was found where they were looked for.
    pub found: Found,
}

impl ReadArguments {
    /// All inputs: those that were given, and those of a list. An output that lies among those which
    /// are found is none.
    pub fn inputs(
        self,
        joins: &JoinArguments,
        settings: &Settings,
        paths: Vec<PathBuf>,
        list: Option<PathBuf>,
        output: Option<&Path>,
    ) -> Result<Reading, Error> {
        let open = OpenOptions {
            format: settings.format.clone(),
            own: settings.own.clone(),
            memory: settings.memory,
            threads: settings.threads,
            scratch: settings.scratch.clone(),
            matrix: match self.matrix.as_deref() {
                None | Some("X") => MainMatrix::Own,
                Some("raw") => MainMatrix::Raw,
                Some(layer) => MainMatrix::Layer(layer.to_string()),
            },
            raw: if self.raw_as_layer {
                RawUse::Layer
            } else {
                RawUse::LeaveOut
            },
            selection: Selection {
                skip: self.skip,
                only: self.only,
                ..Selection::default()
            },
            names: if self.make_unique {
                Names::MadeUnique
            } else {
                Names::AsTheyAre
            },
            cells_where: self.cells_where,
            limit: self.limit,
            genes: self.genes.map(|text| gene_list(&text)).transpose()?,
            ..OpenOptions::default()
        };
        let specs = open.formats.options().into_iter();
        let one_input = specs.filter(|spec| open.own.has(spec));
        let one_input = one_input
            .map(|spec| (spec.name, spec.one_input))
            .find_map(|(name, one)| Some((name, one?)));
        // Files are looked into to find inputs.
        give_up_on_stuck_files();
        let reading = joins.inputs(paths, list.as_deref(), &open, output)?;
        if let Some((flag, [why, help])) = one_input
            && reading.inputs.len() > 1
        {
            let count = reading.inputs.len();
            let problem = format!("--{flag} {why}, but there are {count} inputs; {help}");
            return Err(Error::Usage(problem));
        }
        Ok(reading)
    }
}

/// Bytes of a list of genes, at most.
const LONGEST_LIST: u64 = 64 << 20;

/// The genes of a file, one a line, or of a list.
pub(super) fn gene_list(text: &str) -> Result<Vec<String>, Error> {
    let path = Path::new(text);
    // A folder may be called like a gene.
    let is_list = !path.exists() || path.is_dir();
    let (separators, listed): (&[char], String) = if is_list {
        (&[','], text.to_string())
    } else {
        let listed = read_text(path, LONGEST_LIST);
        let listed = listed
            .map_err(|error| Error::Usage(format!("--genes: cannot read {text}: {error}")))?;
        (&['\n', '\r'], listed)
    };
    let names = listed.split(separators).map(str::trim);
    let names: Vec<String> = names
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect();
    if names.is_empty() {
        Err(Error::Usage(format!("--genes {text:?} names no gene")))
    } else {
        Ok(names)
    }
}

/// Refuses an input where an output is wanted, of which there is none: the last of several inputs.
pub(super) fn check_is_no_input(output: &Path, wanted: &str, usage: &str) -> Result<(), Error> {
    // A dataset, complete or not.
    if output.join("config.json").exists() || !output.exists() {
        return Ok(());
    }
    give_up_on_stuck_files();
    let is_input = if output.is_dir() {
        inputs_of(output).is_ok()
    } else {
        // An archive of several inputs has no format.
        detect(output).is_ok() || inputs_of(output).is_ok_and(|all| all.len() > 1)
    };
    if !is_input {
        Ok(())
    } else {
        Err(Error::Usage(format!(
            "{} is an input, not {wanted}, which comes last and is missing: {usage}, or name it with -o",
            output.display()
        )))
    }
}

/// Splits paths into inputs and what they become, which is the last, unless it is named.
pub(super) fn split(
    mut paths: Vec<PathBuf>,
    output: Option<PathBuf>,
    has_list: bool,
    usage: &str,
) -> Result<(Vec<PathBuf>, PathBuf), Error> {
    let output = match output {
        Some(output) => output,
        None if paths.len() < 2 && (!has_list || paths.is_empty()) => {
            return Err(Error::Usage(format!(
                "an input and an output are needed: {usage}"
            )));
        }
        None => paths.remove(paths.len() - 1),
    };
    Ok((paths, output))
}
