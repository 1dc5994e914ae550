//! The lists beside a matrix: its cells (`barcodes.tsv`) and its features (`features.tsv`,
//! `genes.tsv`).
//!
//! Columns are separated by tabs; in files called `.csv`, whose first line may be a heading, by commas
//! or semicolons.

mod cells;
mod features;
mod table;

pub(super) use cells::CellList;
pub(super) use features::read_features;
