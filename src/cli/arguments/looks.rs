//! The arguments of commands that look into a dataset.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ReadingResources, ToArgument};

/// A table whose first rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum HeadTable {
    Cells,
    Genes,
    Expression,
    Layers,
}

impl HeadTable {
    /// Its name in queries.
    pub fn name(self) -> &'static str {
        match self {
            HeadTable::Cells => "cells",
            HeadTable::Genes => "genes",
            HeadTable::Expression => "expression",
            HeadTable::Layers => "layers",
        }
    }
}

#[derive(Debug, Args)]
pub(in crate::cli) struct HeadArguments {
    /// The dataset, a folder
    pub dataset: PathBuf,

    /// The table
    #[arg(default_value = "cells")]
    pub table: HeadTable,

    /// Rows that are shown
    #[arg(short = 'n', long, value_name = "N", default_value = "10")]
    pub rows: usize,

    /// Form of the result [default: a table on a terminal, and tsv on a pipe]
    #[arg(long, value_name = "FORM")]
    pub to: Option<ToArgument>,
}

/// Type, missing and different values, range and most frequent values of each column of cells and genes.
/// Of columns with very many different values, these are not counted.
#[derive(Debug, Args)]
pub(in crate::cli) struct ColumnsArguments {
    /// The dataset, a folder
    pub dataset: PathBuf,

    /// Form of the result [default: a table on a terminal, and tsv on a pipe]
    #[arg(long, value_name = "FORM")]
    pub to: Option<ToArgument>,
}

/// Cells with the same values in all columns are a group; a missing value is one like any other. As tsv
/// or csv, a row is a group, with a column for each gene; in other forms, a row is a group and a gene.
/// Sums of whole numbers are exact.
#[derive(Debug, Args)]
pub(in crate::cli) struct PseudobulkArguments {
    /// The dataset, a folder
    pub dataset: PathBuf,

    /// Columns of cells that make the groups, as donor,cell_type
    #[arg(long, value_name = "COLUMNS", required = true, value_delimiter = ',')]
    pub by: Vec<String>,

    /// Sum a layer instead of X
    #[arg(long, value_name = "NAME")]
    pub layer: Option<String>,

    /// Write the sums to a file, which is there as a whole or not at all
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,

    /// Form of the result [default: by the ending of the file; else a table on a terminal, and tsv on a
    /// pipe]
    #[arg(long, value_name = "FORM", help_heading = "Output")]
    pub to: Option<ToArgument>,

    #[command(flatten)]
    pub resources: ReadingResources,
}
