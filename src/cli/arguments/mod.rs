//! The arguments as they are typed.

mod export;
mod formats;
mod groups;
mod looks;
mod query;
mod values;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

pub(in crate::cli) use export::{ExportArguments, ExportFormatArgument, LayoutArgument};
pub(in crate::cli) use formats::FormatArguments;
pub(in crate::cli) use groups::{
    JoinArguments, ReadArguments, ReadingResources, ResourceArguments, RunArguments, WriteArguments,
};
pub(in crate::cli) use looks::{ColumnsArguments, HeadArguments, PseudobulkArguments};
pub(in crate::cli) use query::{QueryArguments, ToArgument};
pub(in crate::cli) use values::{
    CompressionArgument, DtypesArgument, DuplicateCountsArgument, GeneIdVersionArgument,
    JoinArgument, ProgressArgument, ValueTypeArgument,
};

/// Turn single-cell data into SLAF datasets: Lance tables that can be queried, appended to and
/// streamed for training.
#[derive(Debug, Parser)]
#[command(name = "slaf", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 input refused, 4 verification failed, 75 try again (another process is writing), 130 and 143 ended by SIGINT and SIGTERM."
)]
pub struct Arguments {
    /// Tell errors only; no progress, no summary
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(in crate::cli) quiet: bool,

    /// Tell more; twice for even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(in crate::cli) verbose: u8,

    #[command(subcommand)]
    pub(in crate::cli) command: Command,
}

/// How much is told on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Verbosity {
    Quiet,
    Normal,
    Verbose,
    Debug,
}

impl Arguments {
    pub(in crate::cli) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, 1) => Verbosity::Verbose,
            (false, _) => Verbosity::Debug,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Convert files into a SLAF dataset, or finish an interrupted conversion
    Convert(Box<ConvertArguments>),
    /// Append files to a dataset that others may be reading, or finish an interrupted append
    Append(Box<AppendArguments>),
    /// Describe a dataset as other programs have left it: their columns, versions and tables
    Adopt(AdoptArguments),
    /// Look at inputs as convert and append would, and tell how they go together
    Validate(Box<ValidateArguments>),
    /// Describe a dataset, complete or not, or an input of any format
    Info(InfoArguments),
    /// Show the first rows of a table
    Head(HeadArguments),
    /// Tell what the columns of cells and genes hold
    Columns(ColumnsArguments),
    /// Sum the counts of groups of cells, gene by gene
    Pseudobulk(Box<PseudobulkArguments>),
    /// Ask datasets in SQL
    Query(Box<QueryArguments>),
    /// Write a dataset, or a part of it, to a file of another format
    Export(Box<ExportArguments>),
    /// Check a dataset: its files, identifiers, order and digests, and every value against its inputs
    Verify(VerifyArguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

/// A conversion that was killed goes on where it was when the same command is run again.
#[derive(Debug, Args)]
pub(in crate::cli) struct ConvertArguments {
    /// The inputs (h5ad files, 10x H5 files, Matrix Market files, the folders or archives they are
    /// in), and last the output (unless -o names it)
    #[arg(required_unless_present = "inputs", value_name = "INPUT… OUTPUT")]
    pub paths: Vec<PathBuf>,

    /// A file that names inputs, one a line, and after a tab what an input is called in the dataset
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub inputs: Option<PathBuf>,

    /// The dataset to write, a folder
    #[arg(short, long, value_name = "DATASET")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub read: ReadArguments,

    #[command(flatten)]
    pub joins: JoinArguments,

    #[command(flatten)]
    pub write: WriteArguments,

    /// Replace a complete dataset, which stays as it is until the new one is complete
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,

    #[command(flatten)]
    pub run: RunArguments,
}

/// The dataset stays as it is, for those who read it, until all of the inputs are appended; then all
/// of them are there at once. An append that was killed goes on where it was when the same command is
/// run again. Types, compression and names are those of the dataset.
#[derive(Debug, Args)]
pub(in crate::cli) struct AppendArguments {
    /// The inputs, and last the dataset (unless -o names it)
    #[arg(required_unless_present = "inputs", value_name = "INPUT… DATASET")]
    pub paths: Vec<PathBuf>,

    /// A file that names inputs, one a line, and after a tab what an input is called in the dataset
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub inputs: Option<PathBuf>,

    /// The dataset to append to, a folder
    #[arg(short, long, value_name = "DATASET")]
    pub output: Option<PathBuf>,

    #[command(flatten)]
    pub read: ReadArguments,

    #[command(flatten)]
    pub joins: JoinArguments,

    /// Rewrite tables of the dataset whose types do not hold what is appended (values, numbers of
    /// genes, columns) in wider ones, as a part of the same change
    #[arg(long, help_heading = "Output")]
    pub widen: bool,

    /// Rows of a fragment at most. More fragments mix better in slafdb's training loader, but its
    /// lazy AnnData is right for one fragment only
    #[arg(long, env = "SLAF_FRAGMENT_ROWS", help_heading = "Output", value_parser = clap::value_parser!(u64).range(1..))]
    pub fragment_rows: Option<u64>,

    #[command(flatten)]
    pub run: RunArguments,
}

/// slafdb and Lance write into the tables of a dataset. What they add becomes a part of what
/// config.json describes, and append does so by itself. Where they have changed values that were
/// described, adopt exits with 3 and says which; --accept-changes describes the dataset anew.
#[derive(Debug, Args)]
pub(in crate::cli) struct AdoptArguments {
    /// The dataset, a folder
    pub dataset: PathBuf,

    /// Take values that were described as they are now: all digests, sums, hashes and counts of rows
    /// are taken anew, where cells begin is put right
    #[arg(long)]
    pub accept_changes: bool,

    /// Discard the unfinished work of an earlier run instead of going on with it
    #[arg(long)]
    pub no_resume: bool,

    /// Wait while another process is writing the dataset, instead of failing at once
    #[arg(long)]
    pub wait: bool,

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

    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,
}

/// Exits with 3 where convert, or append, would refuse the inputs with the same options.
#[derive(Debug, Args)]
pub(in crate::cli) struct ValidateArguments {
    /// The inputs
    #[arg(value_name = "INPUT")]
    pub paths: Vec<PathBuf>,

    /// A file that names inputs, one a line, and after a tab what an input is called in the dataset
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub inputs: Option<PathBuf>,

    /// The dataset that they would be appended to
    #[arg(long, value_name = "DATASET")]
    pub against: Option<PathBuf>,

    #[command(flatten)]
    pub read: ReadArguments,

    #[command(flatten)]
    pub joins: JoinArguments,

    #[command(flatten)]
    pub write: WriteArguments,

    /// As for append: tables of the dataset may be rewritten in wider types
    #[arg(long, help_heading = "Output")]
    pub widen: bool,

    #[command(flatten)]
    pub resources: ResourceArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct InfoArguments {
    /// The dataset, a folder; or an input, or a folder of inputs, that could be converted
    pub dataset: PathBuf,

    /// Print one line that is the same for the same contents of a dataset, however they are stored:
    /// cells, genes, matrices and uns, without the names of inputs
    #[arg(long, conflicts_with = "json")]
    pub digest: bool,

    /// Memory that it may take, such as 512MiB or 2G; millions of categories need much
    #[arg(
        long,
        env = "SLAF_MEMORY",
        default_value = "512MiB",
        help_heading = "Resources"
    )]
    pub memory: bytesize::ByteSize,

    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// Exits with 4 if any check fails.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArguments {
    /// The dataset, a folder
    pub dataset: PathBuf,

    /// Inputs that the dataset was made from (files, folders or archives, wherever they are now), to
    /// be compared with it value by value, as they were read then
    #[arg(long, value_name = "INPUT", num_args = 1..)]
    pub against: Vec<PathBuf>,

    /// Memory that reading the inputs may take, such as 512MiB or 2G
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

    /// Folder for temporary files, which matrices sorted by gene need [default: the system's]
    #[arg(long, env = "SLAF_SCRATCH_DIR", help_heading = "Resources")]
    pub scratch_dir: Option<PathBuf>,

    /// How progress is shown on standard error
    #[arg(
        long,
        env = "SLAF_PROGRESS",
        value_name = "HOW",
        default_value = "auto"
    )]
    pub progress: ProgressArgument,

    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
