//! SOMA objects: what their metadata says that groups and arrays are.

use super::files::Folder;
use super::tiledb::group::{self, Group};
use super::tiledb::metadata::{self, Metadata};
use super::tiledb::{Array, array};
use crate::source::SourceError;

/// The metadata that names the kind of an object.
const KIND: &str = "soma_object_type";

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Experiment,
    /// A measurement, or a collection of anything.
    Collection,
    DataFrame,
    SparseArray,
    DenseArray,
    /// Anything else: a scene, images, what a later version may bring.
    Other,
    /// No group and no array.
    Missing,
}

/// Whether a folder is a group or an array of TileDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    Group,
    Array,
    None,
}

/// What lies in a folder.
pub(super) fn storage(folder: &Folder) -> Result<Storage, SourceError> {
    let names = folder.list()?;
    let has = |mark: &str| names.iter().any(|name| name == mark);
    Ok(if has(group::MARK) {
        Storage::Group
    } else if has(array::MARK) {
        Storage::Array
    } else {
        Storage::None
    })
}

/// What an object's metadata says that it is, as it says it.
pub(super) fn declared(metadata: &Metadata) -> Option<&str> {
    metadata.get(KIND)?.text()
}

/// What an object is.
pub(super) fn kind(folder: &Folder) -> Result<Kind, SourceError> {
    if storage(folder)? == Storage::None {
        return Ok(Kind::Missing);
    }
    Ok(match declared(&metadata::read(folder)?) {
        Some("SOMAExperiment") => Kind::Experiment,
        Some("SOMAMeasurement" | "SOMACollection") => Kind::Collection,
        Some("SOMADataFrame") => Kind::DataFrame,
        Some("SOMASparseNDArray") => Kind::SparseArray,
        Some("SOMADenseNDArray") => Kind::DenseArray,
        _ => Kind::Other,
    })
}

/// Opens a group that must be there.
pub(super) fn group(folder: &Folder) -> Result<Group, SourceError> {
    match storage(folder)? {
        Storage::Group => Group::open(folder),
        Storage::Array => Err(folder
            .place()
            .damaged("it is an array where a group is expected")),
        Storage::None => Err(missing(folder)),
    }
}

/// Opens an array that must be there.
pub(super) fn array(folder: &Folder) -> Result<Array, SourceError> {
    match storage(folder)? {
        Storage::Array => Array::open(folder),
        Storage::Group => Err(folder
            .place()
            .damaged("it is a group where an array is expected")),
        Storage::None => Err(missing(folder)),
    }
}

/// The error for a member that is not where its group says.
pub(super) fn missing(folder: &Folder) -> SourceError {
    folder.place().damaged(
        "it is missing: its group names it, but there is nothing in its place \
         (was the experiment moved without its members?)",
    )
}

/// Metadata that a user gave, rather than tiledbsoma.
pub(super) fn user_metadata(metadata: &Metadata) -> impl Iterator<Item = &String> {
    metadata.keys().filter(|name| {
        !name.starts_with("soma_") && *name != "dataset_type" && *name != "tiledbsoma_version"
    })
}
