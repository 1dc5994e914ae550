//! Writing HDF5: groups, attributes, texts, and arrays whose chunks are compressed on any thread and
//! handed to libhdf5 as they are stored.

mod array;
#[allow(unsafe_code, reason = "calls of libhdf5")]
mod ffi;
mod filters;
mod place;
mod texts;

pub(in crate::sink) use array::{ArrayOptions, ArrayWriter};
pub(in crate::sink) use ffi::{Element, Headers};
pub use filters::Filters;
pub(in crate::sink) use place::{Group, Hdf5Writer};
pub(in crate::sink) use texts::TextsWriter;
