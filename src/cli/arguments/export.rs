//! Arguments of `slaf export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ResourceArguments;
use crate::export::Shard;
use crate::sink::Filters;
use crate::source::Pattern;

const EXAMPLES: &str = "\
Examples:
  slaf export atlas.slaf -o atlas.h5ad
  slaf export atlas.slaf -o blood.h5ad --where \"tissue = 'blood'\" --skip obsp
  slaf export atlas.slaf -o markers.h5ad --genes CD3E,CD8A,MS4A1 --layout csc
  slaf export atlas.slaf -o counts --to 10x-mtx --with-metadata
  slaf export atlas.slaf -o parts/ --split-by donor --cells-per-file 10000 --shard 2/20";

/// The output appears when it is complete: an export that fails or is killed leaves nothing under its
/// name. Columns, categories, types and names are those of the inputs that the dataset was made from,
/// as far as the format holds them; the summary names the rest.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct ExportArguments {
    /// The dataset, a folder
    pub dataset: PathBuf,

    /// The output
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,

    /// The format of the output [default: as its name ends]
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub to: Option<ExportFormatArgument>,

    /// Replace an existing output, which stays as it is until the new one is complete
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,

    /// How X and layers of an h5ad file are stored: by cell, or by gene
    #[arg(
        long,
        value_name = "HOW",
        default_value = "csr",
        help_heading = "Output"
    )]
    pub layout: LayoutArgument,

    /// In tables, write a row for each cell and a column for each gene, for few genes (--genes)
    #[arg(long, help_heading = "Output")]
    pub wide: bool,

    /// Compression of HDF5 files: none, gzip or gzip:LEVEL. Bytes are shuffled before, so that higher
    /// levels gain little
    #[arg(
        long,
        env = "SLAF_EXPORT_COMPRESSION",
        value_name = "HOW",
        default_value = "gzip:1",
        help_heading = "Output"
    )]
    pub compression: Filters,

    /// Write files of so many cells at most: OUT is a folder with part-00000.h5ad, part-00001.h5ad … and,
    /// when all are there, manifest.tsv. Killed and run again, the command goes on by file
    #[arg(long, value_name = "N", help_heading = "Parts", value_parser = clap::value_parser!(u64).range(1..))]
    pub cells_per_file: Option<u64>,

    /// Write a file, or several, for each value of a column of obs
    #[arg(long, value_name = "COLUMN", help_heading = "Parts")]
    pub split_by: Option<String>,

    /// Write only the files of one worker of several, which run at the same time, on any machines
    #[arg(
        long,
        value_name = "I/N",
        default_value = "1/1",
        help_heading = "Parts"
    )]
    pub shard: Shard,

    /// Beside 10x files, write the columns of obs to metadata.tsv, and embeddings
    #[arg(long, help_heading = "Output")]
    pub with_metadata: bool,

    /// The matrix that becomes X: X, or the name of a layer [default: X]
    #[arg(long, value_name = "MATRIX", help_heading = "Input")]
    pub matrix: Option<String>,

    /// Leave out a part of the dataset, or of it what has this name (* stands for any text): obs, var,
    /// layers, obsm, varm, obsp, varp, uns
    #[arg(long, value_name = "PART[:NAME]", help_heading = "Input")]
    pub skip: Vec<Pattern>,

    /// Of a part, export only what has this name; may be given more than once
    #[arg(long, value_name = "PART:NAME", help_heading = "Input")]
    pub only: Vec<Pattern>,

    /// Take only cells that satisfy a condition in SQL on the columns of obs and cell_id, such as
    /// "tissue = 'blood' AND n_genes > 200"
    #[arg(long = "where", value_name = "CONDITION", help_heading = "Input")]
    pub cells_where: Option<String>,

    /// Take only these genes: their names with commas between, or a file with one a line
    #[arg(long, value_name = "FILE|LIST", help_heading = "Input")]
    pub genes: Option<String>,

    /// Take so many cells at most, from the first on (of those that satisfy --where)
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub limit: Option<u64>,

    #[command(flatten)]
    pub resources: ResourceArguments,
}

/// `--to`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ExportFormatArgument {
    /// AnnData in HDF5, for anndata 0.8 and later
    H5ad,
    /// 10x Genomics in HDF5, as Cell Ranger writes it since version 3; counts only
    #[value(name = "10x-h5")]
    TenxH5,
    /// A folder with matrix.mtx.gz, barcodes.tsv.gz and features.tsv.gz; counts only
    #[value(name = "10x-mtx")]
    TenxMtx,
    /// A table of X: a row for each non-zero, with cell_id, gene_id and value, or (--wide) for each cell
    Parquet,
    /// Likewise, as an Arrow IPC file (Feather)
    Arrow,
}

/// `--layout`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LayoutArgument {
    Csr,
    Csc,
}
