//! slaf turns single-cell data into **SLAF datasets**: Lance tables that can be queried, appended
//! to and streamed for training.
//!
//! # The line that every job follows
//!
//! Look at everything first, decide everything once, write disjoint pieces independently, make
//! them visible once. The rooms of this crate, in the order in which data passes them (a room uses
//! only rooms before it):
//!
//! | room | what it is for |
//! |---|---|
//! | [`store`] | reading files, durable writes, locks and swaps of folders |
//! | [`source`] | the chunked readers: one trait, one folder a format |
//! | [`survey`] | one look at each input: sizes, identifiers, a sample of the values |
//! | [`plan`] | every decision of a job, as plain data |
//! | [`chunk`] | chunks checked, canonicalized, narrowed and expanded into rows |
//! | [`table`] | schemas and Lance data files of each table, and their commits |
//! | [`dataset`] | config.json, the checkpoint in it, opening a dataset |
//! | [`progress`] | what a job tells while it runs |
//! | [`ingest`] | running a plan: shards, checkpoint, commit, recovery |
//! | [`converter`] | converting and appending in a few lines |
//! | [`verify`] | reading a dataset again, and its inputs, and comparing |
//! | [`cli`] | the command line, which uses nothing but the above |
//!
//! See [`ingest::Job`] for a conversion from end to end and [`dataset::Dataset`] for reading the
//! result.

/// Sizes of files, of matrices and of memory are all 64 bits wide: converting between them loses
/// nothing.
const _: () = assert!(usize::BITS == 64, "slaf needs a 64-bit machine");

/// How a SLAF dataset is opened as an input. Its reader is above [`source`], which knows of no tables,
/// and asks for it here.
pub(crate) const OPEN_DATASET: source::OpenInput = dataset::open_as_source;

pub mod chunk;
#[cfg(feature = "cli")]
pub mod cli;
pub mod converter;
pub mod dataset;
pub mod error;
pub mod failpoint;
pub mod ingest;
pub mod plan;
pub mod progress;
pub mod source;
pub mod store;
pub mod survey;
pub mod table;
pub mod verify;

pub use converter::{Append, Converter, append};
pub use error::Error;
pub use plan::Join;
