//! The lists beside a matrix: its cells (`barcodes.tsv`) and its features (`features.tsv`,
//! `genes.tsv`).

mod cells;
mod features;

pub(super) use cells::CellList;
pub(super) use features::read_features;
