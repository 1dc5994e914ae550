//! Integration tests, grouped by promise. They form a single binary because linking Lance is slow.

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
mod own_format;
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
