//! Values of arguments.

use clap::ValueEnum;
use serde::Deserialize;

use crate::source::Orientation;

#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum FormatArgument {
    H5ad,
    /// 10x Genomics in HDF5
    #[value(name = "10x-h5")]
    #[serde(rename = "10x-h5")]
    TenxH5,
    /// Matrix Market with lists of cells and features
    #[value(name = "10x-mtx")]
    #[serde(rename = "10x-mtx")]
    TenxMtx,
    /// A TileDB-SOMA experiment, a folder
    Soma,
    /// A SLAF dataset, a folder
    Slaf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum ProgressArgument {
    /// A bar on a terminal, lines elsewhere
    Auto,
    Bar,
    /// A line every 30 seconds
    Lines,
    /// Likewise, each a JSON object
    Json,
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum GeneIdArgument {
    Symbol,
    Ensembl,
}

#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum DtypesArgument {
    Narrow,
    Signed,
}

#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum ValueTypeArgument {
    Auto,
    Uint16,
    Uint32,
    Float32,
    Float64,
}

#[derive(Debug, Clone, Copy, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::cli) enum CompressionArgument {
    Auto,
    None,
    Lz4,
    Zstd,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum OrientationArgument {
    CellsByGenes,
    GenesByCells,
}

impl From<OrientationArgument> for Orientation {
    fn from(argument: OrientationArgument) -> Self {
        match argument {
            OrientationArgument::CellsByGenes => Orientation::CellsByGenes,
            OrientationArgument::GenesByCells => Orientation::GenesByCells,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum GeneIdVersionArgument {
    Auto,
    Strip,
    Keep,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum JoinArgument {
    Exact,
    Outer,
    Inner,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum DuplicateCountsArgument {
    /// Take them, and say so
    Warn,
    /// Refuse the input
    Refuse,
}
