//! The on-disk format of TileDB arrays and groups, in the versions that tiledbsoma has written (18
//! to 22). Facts are taken from TileDB's public `format_spec` and, where it is silent, from
//! libtiledb's behaviour. Anything unknown is refused with an error that names it.

pub(super) mod array;
mod column;
mod commits;
mod condition;
mod cursor;
pub(super) mod datatype;
mod deletes;
mod enumeration;
pub(super) mod fault;
pub(super) mod files;
mod filter;
mod fragment;
pub(super) mod group;
pub(super) mod metadata;
mod names;
mod ranges;
mod rtree;
mod schema;
mod tile;

pub(super) use array::Array;
pub(super) use column::{Cells, ColumnFile, DenseTiles};
pub(super) use deletes::{Life, Lives};
pub(super) use filter::Scratch;
pub(super) use fragment::Fragment;
pub(super) use schema::{Attribute, Schema};

use fault::{Checked, Fault};

/// Supported format versions: those of libtiledb 2.15 to 2.30.
const VERSIONS: std::ops::RangeInclusive<u32> = 18..=22;

/// Refuses unknown versions.
fn check_version(version: u32) -> Checked<u32> {
    if VERSIONS.contains(&version) {
        return Ok(version);
    }
    Err(Fault::unsupported(format!(
        "format version {version} (known are {} to {})",
        VERSIONS.start(),
        VERSIONS.end()
    )))
}

/// Iterates over the int64 values of a tile.
pub(super) fn whole_numbers(bytes: &[u8]) -> impl Iterator<Item = i64> + '_ {
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| i64::from_le_bytes(*bytes))
}
