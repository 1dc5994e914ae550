//! Regression tests: one test per fault that was found, with its cause in a line.
//!
//! The numbers are those of the public reports through which the faults were found (`data/reports`
//! of the shared files), or of the hostile uses (`data/hostile`).

mod adopt;
mod adopt_accept;
mod adopt_everything;
mod adopt_uns;
mod attributes;
mod damaged;
mod duplicates;
mod genes;
mod h5ad;
mod inputs;
mod job;
mod mtx;
mod readers;
mod scale;
mod selection;
mod verify;
