//! Arguments that several commands have.

use std::path::PathBuf;

use clap::Args;

use super::formats::{self, FormatArguments};
use super::values::{
    CompressionArgument, DtypesArgument, DuplicateCountsArgument, GeneIdVersionArgument,
    JoinArgument, ProgressArgument, ValueTypeArgument,
};
use crate::source::{Format, Pattern};

/// What of the inputs is read.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReadArguments {
    /// The format of the input [default: found out from its content]
    #[arg(long, env = "SLAF_FORMAT", help_heading = "Input", value_parser = formats::names())]
    pub format: Option<Format>,

    /// Options that only some formats have, as these declare them.
    #[command(flatten)]
    pub own: FormatArguments,

    /// The matrix that becomes the expression table: X, raw (with the genes of raw) or the name of a
    /// layer; X of a SOMA experiment is its layer "data", or the only one [default: X]
    #[arg(
        long,
        value_name = "MATRIX",
        env = "SLAF_MATRIX",
        help_heading = "Input"
    )]
    pub matrix: Option<String>,

    /// Keep the raw matrix as the layer "raw", where it has the genes of X
    #[arg(long, help_heading = "Input")]
    pub raw_as_layer: bool,

    /// Leave out a part of the input, or of it what has this name (* stands for any text): obs, var,
    /// layers, obsm, varm, obsp, varp, uns
    #[arg(long, value_name = "PART[:NAME]", help_heading = "Input")]
    pub skip: Vec<Pattern>,

    /// Of a part, convert only what has this name; may be given more than once
    #[arg(long, value_name = "PART:NAME", help_heading = "Input")]
    pub only: Vec<Pattern>,

    /// Take only cells that satisfy a condition in SQL on the columns of obs and cell_id, such as
    /// "tissue = 'blood' AND n_genes > 200"
    #[arg(long = "where", value_name = "CONDITION", help_heading = "Input")]
    pub cells_where: Option<String>,

    /// Take only these genes: their names with commas between, or a file with one a line
    #[arg(long, value_name = "FILE|LIST", help_heading = "Input")]
    pub genes: Option<String>,

    /// Take so many cells of each input at most, from the first on (of those that satisfy --where)
    #[arg(long, value_name = "N", help_heading = "Input")]
    pub limit: Option<u64>,

    /// Give cells (and genes) whose name an earlier one has a name of their own: NAME-1, NAME-2 …
    #[arg(long, help_heading = "Input")]
    pub make_unique: bool,
}

/// How a dataset is written.
#[derive(Debug, Args)]
pub(in crate::cli) struct WriteArguments {
    /// Types of the expression table. "narrow": unsigned integers as narrow as they can be, for the
    /// least memory. "signed": int32 identifiers and float32 values; choose it for slafdb, whose SQL
    /// and lazy AnnData cannot filter unsigned columns
    #[arg(long, env = "SLAF_DTYPES", help_heading = "Output")]
    pub dtypes: Option<DtypesArgument>,

    /// Type of the values. "auto" takes the narrowest that holds every value exactly; a value that
    /// does not fit a forced type is refused
    #[arg(long, env = "SLAF_VALUE_TYPE", help_heading = "Output")]
    pub value_type: Option<ValueTypeArgument>,

    /// Compression of the expression table. "auto" is none for narrow types, which Lance bit-packs,
    /// and zstd for signed ones
    #[arg(long, env = "SLAF_COMPRESSION", help_heading = "Output")]
    pub compression: Option<CompressionArgument>,

    /// Rows of a fragment at most. More fragments mix better in slafdb's training loader, but its
    /// lazy AnnData is right for one fragment only
    #[arg(long, env = "SLAF_FRAGMENT_ROWS", help_heading = "Output", value_parser = clap::value_parser!(u64).range(1..))]
    pub fragment_rows: Option<u64>,
}

/// How a job is run.
#[derive(Debug, Args)]
pub(in crate::cli) struct RunArguments {
    /// Discard the unfinished work of an earlier run instead of going on with it
    #[arg(long)]
    pub no_resume: bool,

    /// Wait while another process is writing the dataset, instead of failing at once
    #[arg(long)]
    pub wait: bool,

    #[command(flatten)]
    pub resources: ResourceArguments,
}

/// What the program may use, and how it tells.
#[derive(Debug, Args)]
pub(in crate::cli) struct ResourceArguments {
    /// Cells of a chunk at most; the memory sets a limit of its own
    #[arg(long, env = "SLAF_CHUNK_SIZE", help_heading = "Resources")]
    pub chunk_size: Option<u64>,

    /// Memory that the conversion may take, such as 512MiB or 2G
    #[arg(long, env = "SLAF_MEMORY", help_heading = "Resources")]
    pub memory: Option<bytesize::ByteSize>,

    /// Threads in all; 0 is one for each processor
    #[arg(short = '@', long, env = "SLAF_THREADS", help_heading = "Resources")]
    pub threads: Option<usize>,

    /// Folder for temporary files, which HDF5 files in archives and matrices sorted by gene need: the
    /// size of the file, or about 12 bytes for each
    /// non-zero [default: the system's]
    #[arg(long, env = "SLAF_SCRATCH_DIR", help_heading = "Resources")]
    pub scratch_dir: Option<PathBuf>,

    /// How progress is shown on standard error [default: auto]
    #[arg(long, env = "SLAF_PROGRESS", value_name = "HOW")]
    pub progress: Option<ProgressArgument>,

    /// File with settings, in the form of config/default.toml
    #[arg(long, env = "SLAF_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// What a command that only reads a dataset may take.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReadingResources {
    /// Memory that it may take, such as 512MiB or 2G
    #[arg(
        long,
        env = "SLAF_MEMORY",
        default_value = "512MiB",
        help_heading = "Resources"
    )]
    pub memory: bytesize::ByteSize,

    /// Threads in all; 0 is one for each processor
    #[arg(
        short = '@',
        long,
        env = "SLAF_THREADS",
        default_value = "0",
        help_heading = "Resources"
    )]
    pub threads: usize,
}

/// How several inputs become one dataset.
#[derive(Debug, Args)]
#[command(next_help_heading = "Several inputs")]
pub(in crate::cli) struct JoinArguments {
    /// Genes: all inputs must have the same, in any order (exact), all that any has (outer), or those
    /// that all have (inner)
    #[arg(long, default_value = "exact")]
    pub join: JoinArgument,

    /// The column of var by which genes are known ("gene_id" for their names) [default: gene_ids where
    /// all inputs have it; where only some have, genes without are known by name]
    #[arg(long, value_name = "COLUMN")]
    pub gene_key: Option<String>,

    /// Versions of Ensembl identifiers (ENSG00000141510.17): joined without them (strip), with them
    /// (keep), or without where one input has none (auto); a column keeps what they were
    #[arg(long, value_name = "WHAT", default_value = "auto")]
    pub gene_id_version: GeneIdVersionArgument,

    /// A file that gives genes of inputs without gene_ids their identifiers: two columns, name and
    /// identifier, or GTF; may be gzip-compressed
    #[arg(long, value_name = "FILE")]
    pub gene_map: Option<PathBuf>,

    /// Columns, layers and embeddings of cells: likewise
    #[arg(long, default_value = "exact")]
    pub obs_join: JoinArgument,

    /// Columns and embeddings of genes: likewise; their values are those of the first input that has
    /// the gene
    #[arg(long, default_value = "exact")]
    pub var_join: JoinArgument,

    /// What an input is called in the column source_file; once for each input [default: its file name]
    #[arg(long, value_name = "NAME")]
    pub source_name: Vec<String>,

    /// A column of obs with one text for all cells
    #[arg(long, value_name = "KEY=VALUE")]
    pub add_column: Vec<String>,

    /// What every cell's name begins with; {source} stands for the name of its input, without the ending
    /// of a file (.h5ad, .mtx.gz)
    #[arg(long, value_name = "PREFIX")]
    pub cell_id_prefix: Option<String>,

    /// Take cells whose names other inputs have, too
    #[arg(long)]
    pub allow_duplicate_cells: bool,

    /// Take an input that is given twice
    #[arg(long)]
    pub allow_duplicate_source: bool,

    /// Take inputs whose values, or layers, are on different scales, such as counts and logarithms
    #[arg(long)]
    pub allow_mixed_scales: bool,

    /// What to do about cells with at least ten counts that another input, or the dataset, has under
    /// another name (drop: under any): the same values of the same genes in the expression table. Cells of
    /// one input may be alike
    #[arg(long, value_name = "ACTION", default_value = "warn")]
    pub duplicate_counts: DuplicateCountsArgument,
}
