//! slaf converts single-cell data to **SLAF datasets**: Lance tables that can be queried, appended
//! to and streamed for training.
//!
//! # How a job proceeds
//!
//! Inspect all inputs first, make every decision once, write disjoint shards independently, and
//! make them visible once, at the end. The modules of this crate, in the order in which data passes
//! through them (each uses only modules before it):
//!
//! | module | purpose |
//! |---|---|
//! | [`parallel`] | work by several threads, in order and in bounded memory |
//! | [`remedy`] | what can be done about an error, as data |
//! | [`store`] | file access, durable writes, locks and folder swaps |
//! | [`source`] | chunked readers: one trait, one module per format |
//! | [`survey`] | first pass over each input: sizes, identifiers, a sample of the values |
//! | [`plan`] | every decision of a job, as plain data |
//! | [`chunk`] | chunks are validated, canonicalized, narrowed and converted to COO rows |
//! | [`table`] | schemas, Lance data files and commits of each table |
//! | [`dataset`] | config.json, the checkpoint in it, opening a dataset |
//! | [`progress`] | progress events of a running job |
//! | [`ingest`] | running a plan: shards, checkpoint, commit, recovery |
//! | [`verify`] | checking a dataset, also against its inputs |
//! | [`sink`] | outputs: what consumes a source, one room per format |
//! | [`export`] | a dataset becomes files of other formats |
//! | [`converter`] | converting and appending in a few lines |
//! | [`query`] | SQL over datasets, read-only |
//! | [`reader`] | reading rows, slices and annotations of a dataset |
//! | [`cli`] | the command line, built on the above |
//!
//! See [`Converter`] for a conversion, [`append`] for an append, [`open`] for reading the result, and
//! [`ingest::Job`] for the stages of a conversion one by one.

#![warn(missing_docs)]

/// Sizes of files, matrices and memory are all 64 bits wide, so that conversions between them are
/// lossless.
const _: () = assert!(usize::BITS == 64, "slaf needs a 64-bit machine");

/// Opens a SLAF dataset as an input. The reader is not in [`source`], which does not know about
/// tables, and is passed to it from here.
pub(crate) const OPEN_DATASET: source::OpenInput = dataset::open_as_source;

pub mod chunk;
#[cfg(feature = "cli")]
pub mod cli;
pub mod converter;
pub mod dataset;
pub mod error;
pub mod export;
pub mod failpoint;
pub mod failure;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod ingest;
pub mod parallel;
pub mod plan;
pub mod progress;
pub mod query;
pub mod reader;
pub mod remedy;
pub mod sink;
pub mod source;
pub mod store;
pub mod survey;
pub mod table;
pub mod verify;

pub use converter::{Append, Converter, append};
pub use error::Error;
pub use export::Exporter;
pub use plan::Join;
pub use reader::{Reader, open_reader as open};
