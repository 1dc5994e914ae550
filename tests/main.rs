//! Integration tests, by promise. One binary: linking Lance is the slow part.

mod append;
mod append_atomic;
mod append_reference;
mod conformance;
mod golden;
mod interop;
mod known_cells;
mod layouts;
mod memory;
mod narrowing;
mod parts;
mod real_files;
mod refusal;
mod regression;
mod reports;
mod resume;
mod settings;
mod several;
mod slaf_input;
mod soma;
mod subset;
mod support;
mod tenx;
mod validate;
mod verify;
