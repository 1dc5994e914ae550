//! Determines which groups of a file are matrices.

use crate::remedy::{Remedy, Setting};
use crate::source::features::options::GENOME;
use crate::source::hdf5::{Hdf5File, Kind as Object};
use crate::source::{Note, OpenOptions, SourceError};

/// What an HDF5 file is in terms of 10x formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Matrix,
    /// Molecules (`molecule_info`), from which Cell Ranger derives counts.
    Molecules,
    Other,
}

/// Datasets of a compressed matrix.
const PARTS: [&str; 3] = ["data", "indices", "indptr"];

/// The group of files from version 3 on.
const MATRIX: &str = "matrix";

/// The groups to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Groups {
    /// Version 3 and later.
    Matrix,
    /// Version 2: one group per genome, named after it.
    Genomes(Vec<String>),
}

impl Groups {
    /// Names of the groups.
    pub fn names(&self) -> Vec<String> {
        match self {
            Groups::Matrix => vec![MATRIX.into()],
            Groups::Genomes(names) => names.clone(),
        }
    }

    /// Name of the matrix in messages.
    pub fn object(&self) -> String {
        self.names().join(" + ")
    }
}

/// Determines what an HDF5 file is from its contents.
pub(super) fn kind_of(file: &Hdf5File) -> Result<Kind, SourceError> {
    for object in ["X", "obs", "var", "mod"] {
        if file.kind(object)? != Object::Missing {
            return Ok(Kind::Other);
        }
    }
    let names = file.members("")?;
    let has = |name: &str| names.iter().any(|member| member == name);
    if has("umi") && (has("barcode") || has("barcode_idx")) {
        return Ok(Kind::Molecules);
    }
    // A group of this name that holds less is a matrix that is damaged.
    if file.kind(MATRIX)? == Object::Group || !genomes(file)?.is_empty() {
        return Ok(Kind::Matrix);
    }
    Ok(Kind::Other)
}

/// Whether a group contains at least two datasets of a compressed matrix. A group that lacks the
/// third one is damaged rather than another format.
fn is_matrix(file: &Hdf5File, group: &str) -> Result<bool, SourceError> {
    if file.kind(group)? != Object::Group {
        return Ok(false);
    }
    let names = file.members(group)?;
    let there = PARTS
        .iter()
        .filter(|part| names.iter().any(|name| name == *part));
    Ok(there.count() >= 2)
}

/// Returns the groups of a version 2 file, sorted.
fn genomes(file: &Hdf5File) -> Result<Vec<String>, SourceError> {
    let mut names = file.members("")?;
    names.sort();
    let mut genomes = Vec::new();
    for name in names {
        if is_matrix(file, &name)? {
            genomes.push(name);
        }
    }
    Ok(genomes)
}

/// Determines the groups to read.
pub(super) fn matrices(file: &Hdf5File, options: &OpenOptions) -> Result<Groups, SourceError> {
    if is_matrix(file, MATRIX)? {
        return Ok(Groups::Matrix);
    }
    let place = file.place("");
    let genomes = genomes(file)?;
    if genomes.is_empty() {
        return Err(place.unsupported(
            "a file without a group that holds data, indices and indptr",
            "give a matrix that Cell Ranger wrote, such as filtered_feature_bc_matrix.h5",
        ));
    }
    let asked = options.own.texts(&GENOME);
    for wanted in asked {
        if !genomes.contains(wanted) {
            return Err(place.refuses(
                Setting::of(GENOME.name, wanted),
                "the file does not have this genome",
                Remedy::Choose {
                    option: GENOME.name,
                    from: genomes,
                },
            ));
        }
    }
    let chosen: Vec<String> = genomes
        .iter()
        .filter(|genome| asked.is_empty() || asked.contains(genome))
        .cloned()
        .collect();
    Ok(Groups::Genomes(chosen))
}

/// Lists what a file contains apart from what is read.
pub(super) fn unread(file: &Hdf5File, groups: &Groups) -> Result<Vec<Note>, SourceError> {
    const KNOWN: [&str; 10] = [
        "data",
        "indices",
        "indptr",
        "shape",
        "barcodes",
        "features",
        "genes",
        "gene_names",
        "filtered_barcodes",
        "_all_tag_keys",
    ];
    let mut notes = Vec::new();
    let chosen = groups.names();
    let mut names = file.members("")?;
    names.sort();
    for name in names.into_iter().filter(|name| !chosen.contains(name)) {
        let reason = match (groups, is_matrix(file, &name)?) {
            (Groups::Genomes(genomes), true) => {
                format!("another genome than {}", genomes.join(", "))
            }
            _ => "it is no part of the matrix".into(),
        };
        notes.push(Note::new(name, reason));
    }
    for group in chosen {
        let mut names = file.members(&group)?;
        names.sort();
        for name in names.iter().filter(|name| !KNOWN.contains(&name.as_str())) {
            notes.push(Note::new(
                format!("{group}/{name}"),
                "its meaning is not known",
            ));
        }
    }
    Ok(notes)
}
