//! SOMA objects: the types of groups and arrays according to their metadata.

use super::tiledb::files::Folder;
use super::tiledb::group::{self, Group};
use super::tiledb::metadata::{self, Metadata};
use super::tiledb::{Array, array};
use crate::source::SourceError;

/// Metadata key for the type of an object.
const KIND: &str = "soma_object_type";

/// Type of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Experiment,
    /// A measurement, or any other collection.
    Collection,
    DataFrame,
    SparseArray,
    DenseArray,
    /// Anything else: a scene, images, or something a later version introduces.
    Other,
    /// Neither a group nor an array.
    Missing,
}

/// Whether a folder is a TileDB group or array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    Group,
    Array,
    None,
}

/// Returns what a folder contains.
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

/// Returns the type that the metadata of an object declares.
pub(super) fn declared(metadata: &Metadata) -> Option<&str> {
    metadata.get(KIND)?.text()
}

/// Returns the type of an object.
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

/// Opens a group that must exist.
pub(super) fn group(folder: &Folder) -> Result<Group, SourceError> {
    match storage(folder)? {
        Storage::Group => Group::open(folder),
        Storage::Array => Err(folder
            .place()
            .damaged("it is an array where a group is expected")),
        Storage::None => Err(missing(folder)),
    }
}

/// Opens an array that must exist.
pub(super) fn array(folder: &Folder) -> Result<Array, SourceError> {
    match storage(folder)? {
        Storage::Array => Array::open(folder),
        Storage::Group => Err(folder
            .place()
            .damaged("it is a group where an array is expected")),
        Storage::None => Err(missing(folder)),
    }
}

/// Error for a member that does not exist although its group names it.
pub(super) fn missing(folder: &Folder) -> SourceError {
    folder.place().damaged(
        "it is missing: its group names it, but there is nothing in its place \
         (was the experiment moved without its members?)",
    )
}

/// Returns the metadata that comes from users rather than from tiledbsoma.
pub(super) fn user_metadata(metadata: &Metadata) -> impl Iterator<Item = &String> {
    metadata.keys().filter(|name| {
        !name.starts_with("soma_") && *name != "dataset_type" && *name != "tiledbsoma_version"
    })
}
