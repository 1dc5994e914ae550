//! Text files, plain or gzip-compressed, on disk or in a tar archive, read sequentially; and
//! detection of what a file is from its first bytes.

mod archive;
mod content;
mod file;
mod gunzip;
mod lines;
mod listing;

pub(super) use content::{Content, HDF5_SIGNATURE, START};
pub(super) use file::{TextFile, first_bytes};
pub(super) use lines::Lines;
pub(super) use listing::holder_of;
