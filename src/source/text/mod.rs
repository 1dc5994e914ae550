//! Text files, plain or gzip-compressed, on their own or in a tar archive, read from beginning to
//! end.

mod archive;
mod file;
mod gunzip;
mod lines;

pub(super) use file::{TextFile, first_bytes};
pub(super) use lines::Lines;
