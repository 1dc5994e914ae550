//! HDF5 files. Metadata is read with libhdf5 behind the [`Container`] trait; numbers are read by
//! [`NumberArray`], which reads raw chunks by their file offsets and undoes their filters on the
//! calling thread.

mod array;
mod bitshuffle;
mod cache;
mod container;
mod dense_attributes;
#[allow(unsafe_code, reason = "calls of libhdf5")]
mod ffi;
mod file;
mod heap;
mod library;
mod local_copy;
mod lz4;
mod lzf;
pub(super) mod matrix;
mod memory_gate;
mod messages;
mod pipeline;
mod stored_texts;
mod texts;
mod watchdog;

pub(crate) use array::NumberArray;
pub(crate) use container::{Attribute, Element, Identity, Kind};
pub(crate) use file::Hdf5File;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use pipeline::undo_alone;
pub(crate) use watchdog::Watched;
pub use watchdog::watch;
