//! The arguments of commands that look into a dataset.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ToArgument;

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
