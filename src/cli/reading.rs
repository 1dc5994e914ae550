//! What of the inputs is read, by the arguments.

use std::path::{Path, PathBuf};

use super::arguments::{JoinArguments, ReadArguments};
use super::settings::Settings;
use crate::error::Error;
use crate::source::{Inputs, MainMatrix, Names, OpenOptions, RawUse, Selection};

/// The inputs, each with what of it is read.
pub(super) type Reading = Vec<(PathBuf, OpenOptions)>;

impl ReadArguments {
    /// All inputs: those that were given, and those of a list.
    pub fn inputs(
        self,
        joins: &JoinArguments,
        settings: &Settings,
        paths: Vec<PathBuf>,
        list: Option<PathBuf>,
    ) -> Result<Reading, Error> {
        let open = OpenOptions {
            format: settings.format,
            memory: settings.memory,
            threads: settings.threads,
            scratch: settings.scratch.clone(),
            measurement: self.measurement,
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
            genomes: settings.genomes.clone(),
            feature_types: settings.feature_types.clone(),
            gene_id: settings.gene_id,
            barcodes: self.barcodes,
            features: self.features,
            orientation: self.orientation.map(Into::into),
            cells_where: self.cells_where,
            limit: self.limit,
            genes: self.genes.map(|text| gene_list(&text)).transpose()?,
            ..OpenOptions::default()
        };
        let one_list = open.barcodes.is_some();
        let inputs = joins.inputs(paths, list.as_deref(), &open)?;
        if one_list && inputs.len() > 1 {
            return Err(Error::Usage(format!(
                "--barcodes lists the cells of one matrix, but there are {} inputs; convert them one by one, or put a list beside each",
                inputs.len()
            )));
        }
        Ok(inputs)
    }
}

/// The genes of a file, one a line, or of a list.
fn gene_list(text: &str) -> Result<Vec<String>, Error> {
    let separators: &[char] = match Path::new(text).is_file() {
        true => &['\n', '\r'],
        false => &[','],
    };
    let listed = match Path::new(text).is_file() {
        true => std::fs::read_to_string(text)
            .map_err(|error| Error::Usage(format!("--genes: cannot read {text}: {error}")))?,
        false => text.to_string(),
    };
    let names = listed.split(separators).map(str::trim);
    let names: Vec<String> = names
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect();
    match names.is_empty() {
        true => Err(Error::Usage(format!("--genes {text:?} names no gene"))),
        false => Ok(names),
    }
}

/// Says which of `--skip` and `--only` chose nothing of all inputs, once they were surveyed.
pub(super) fn tell_unmatched(inputs: &Inputs) {
    if inputs.is_empty() {
        return;
    }
    for unmatched in inputs.options(0).selection.unmatched() {
        tracing::warn!("{unmatched}");
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
