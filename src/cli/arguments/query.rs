//! The arguments of `slaf query`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How the result of a query is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ToArgument {
    Table,
    Tsv,
    Csv,
    Json,
    Jsonl,
    Arrow,
    Md,
}

const EXAMPLES: &str = "\
Tables: cells, genes, expression (cell_integer_id, gene_integer_id, value), layers, obsp, varp, sources.
Views: x (cell_id, gene_id, value), and x_LAYER for each layer. Absent entries are zeros, and are no rows.
Of several datasets, tables are a.cells, b.cells … by the names of the folders, or as name=path says.
Files are tables too: FROM 'donors.csv'. Names are written as they are stored; \"in quotes\" if need be.

Functions: expr('CD3E') is the value of a gene for the cell of each row, and 0 where there is none;
counts(cell) and n_genes(cell) are the sum and the number of its entries; lognorm(value, sum) is
ln(1 + value / sum × 10,000). In a query of cells, `cell` is the cell of the row; elsewhere give
cell_integer_id or cell_id. With several datasets: a.expr('CD3E').

Examples:
  cells by type and source
    slaf query atlas.slaf \"SELECT cell_type, source_file, count(*) AS n FROM cells GROUP BY ALL ORDER BY n DESC\"
  one gene across types
    slaf query atlas.slaf \"SELECT cell_type, avg(expr('CD3E')) AS mean FROM cells GROUP BY cell_type\"
";

/// Ask datasets in SQL. Nothing is ever written into them.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct QueryArguments {
    /// The datasets (folders, or name=folder), and last the query. Without a query, it is read from
    /// standard input; on a terminal, a shell begins
    #[arg(required = true, value_name = "DATASET… SQL")]
    pub given: Vec<PathBuf>,

    /// A file with the query
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Write the result to a file, which is there as a whole or not at all
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,

    /// Replace the file if it exists
    #[arg(long, help_heading = "Output")]
    pub overwrite: bool,

    /// Form of the result [default: by the ending of the file; else a table on a terminal, and tsv on a
    /// pipe]
    #[arg(long, value_name = "FORM", help_heading = "Output")]
    pub to: Option<ToArgument>,

    /// Rows at most [default: all; on a terminal, the first 40 are shown]
    #[arg(short = 'l', long, value_name = "N", help_heading = "Output")]
    pub limit: Option<usize>,

    /// Run the query, and tell what was read instead of its result: what was looked up first, rows,
    /// bytes, and the plan
    #[arg(long, help_heading = "Output")]
    pub explain: bool,

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

    /// Folder for what does not fit into memory [default: the system's]
    #[arg(long, env = "SLAF_SCRATCH_DIR", help_heading = "Resources")]
    pub scratch_dir: Option<PathBuf>,
}
