//! Barcodes (`barcodes.tsv`) and features (`features.tsv`, `genes.tsv`) files next to a matrix.
//!
//! Columns are separated by tabs or, in files named `.csv`, whose first line may be a header, by
//! commas or semicolons.

mod cells;
mod feature_columns;
mod features;
mod name_map;
mod table;

pub(super) use cells::CellList;
pub(super) use features::read_features;
pub(super) use name_map::Meaning;
pub use name_map::NameMap;
