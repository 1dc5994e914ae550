//! The lists beside a matrix: its cells (`barcodes.tsv`) and its features (`features.tsv`,
//! `genes.tsv`).
//!
//! Columns are separated by tabs; in files called `.csv`, whose first line may be a heading, by commas
//! or semicolons.

mod cells;
mod features;
mod name_map;
mod table;

pub(super) use cells::CellList;
pub(super) use features::read_features;
pub(super) use name_map::Meaning;
pub use name_map::NameMap;
