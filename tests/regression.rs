//! Faults that were found once, and must not come back: a test for each, with its cause in a line.
//!
//! The numbers are those of the public reports that the faults were found by (`data/reports` of the
//! shared files), or of the hostile uses (`data/hostile`).

mod adopt;
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
