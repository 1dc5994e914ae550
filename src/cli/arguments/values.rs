//! Values of arguments.

use clap::ValueEnum;
use serde::Deserialize;

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
    /// Leave them out of the later input: all inputs are read once more for it, first of all
    Drop,
}
