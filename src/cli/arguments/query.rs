//! The arguments of `slaf query`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::ReadingResources;
use crate::query::OutputFormat;

/// How the result of a query is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ToArgument {
    Table,
    Tsv,
    Csv,
    Json,
    Jsonl,
    Parquet,
    Arrow,
    Md,
}

impl ToArgument {
    /// The form that is meant.
    pub fn format(self) -> OutputFormat {
        match self {
            ToArgument::Table => OutputFormat::Table,
            ToArgument::Tsv => OutputFormat::Tsv,
            ToArgument::Csv => OutputFormat::Csv,
            ToArgument::Json => OutputFormat::Json,
            ToArgument::Jsonl => OutputFormat::Jsonl,
            ToArgument::Parquet => OutputFormat::Parquet,
            ToArgument::Arrow => OutputFormat::Arrow,
            ToArgument::Md => OutputFormat::Md,
        }
    }
}

const HELP: &str = "\
Tables: cells, genes, expression (cell_integer_id, gene_integer_id, value), layers, obsp, varp, sources.
Views: x (cell_id, gene_id, value), and x_LAYER for each layer. Zeros are no rows.
Of several datasets, tables are a.cells, b.cells … by the names of the folders, or as name=folder says.
Files are tables too: FROM 'donors.csv'. Names are written as they are stored, \"in quotes\" if need be.

Functions: expr('CD3E') is the value of a gene in the cell of each row, and 0 where there is none;
counts(cell) and n_genes(cell) are the sum and the number of the cell's entries; lognorm(value, sum) is
ln(1 + value / sum × 10,000). `cell` is the cell of the row; where there is no cells table, give
cell_integer_id or cell_id instead. With several datasets, a.expr('CD3E'). Of whole numbers, + - * are
computed in 64 bits, and a / b is not rounded.

Examples:

Cells by type and source:
  slaf query atlas.slaf \"SELECT cell_type, source_file, count(*) AS cells FROM cells GROUP BY cell_type, source_file ORDER BY cells DESC\"

One gene across types:
  slaf query atlas.slaf \"SELECT cell_type, avg(expr('CD3E')) AS mean FROM cells GROUP BY cell_type\"

Pseudobulk, to Parquet:
  slaf query atlas.slaf \"SELECT donor, cell_type, gene_id, sum(value) AS counts FROM x JOIN cells USING (cell_id) GROUP BY donor, cell_type, gene_id\" -o pseudobulk.parquet

Cells with A and not B:
  slaf query atlas.slaf \"SELECT cell_id FROM cells WHERE expr('CD3E') > 0 AND expr('CD19') = 0\"

Genes that most cells have:
  slaf query atlas.slaf \"SELECT gene_id, count(*) / (SELECT count(*) FROM cells) AS fraction FROM x GROUP BY gene_id ORDER BY fraction DESC, gene_id LIMIT 20\"

Barcodes of a cluster, to a file:
  slaf query atlas.slaf \"SELECT cell_id FROM cells WHERE cell_type = 'B cell'\" -o b_cells.tsv

A table of donors beside the cells:
  slaf query atlas.slaf \"SELECT d.disease, count(*) AS cells, avg(counts(cell)) AS counts FROM cells JOIN 'donors.csv' AS d USING (donor) GROUP BY d.disease\"

Genes that no source has counts of:
  slaf query atlas.slaf \"SELECT gene_id FROM genes WHERE gene_integer_id NOT IN (SELECT gene_integer_id FROM expression)\"

Numbers for quality control:
  slaf query atlas.slaf \"SELECT cells.cell_id, counts(cell) AS counts, n_genes(cell) AS genes, coalesce(mt, 0) / counts(cell) AS mt FROM cells LEFT JOIN (SELECT cell_id, sum(value) AS mt FROM x WHERE gene_id LIKE 'MT-%' GROUP BY cell_id) AS m ON m.cell_id = cells.cell_id\"

Two datasets compared:
  slaf query atlas.slaf old=last/atlas.slaf \"SELECT cell_type, n.cells AS now, o.cells AS before FROM (SELECT cell_type, count(*) AS cells FROM atlas.cells GROUP BY cell_type) AS n FULL JOIN (SELECT cell_type, count(*) AS cells FROM old.cells GROUP BY cell_type) AS o USING (cell_type)\"
";

/// Ask datasets in SQL. Nothing is ever written into them.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(in crate::cli) struct QueryArguments {
    /// The datasets (folders, or name=folder), and last the query. Without a query, it is read from
    /// standard input; on a terminal, a shell begins
    #[arg(value_name = "DATASET… SQL")]
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

    #[command(flatten)]
    pub resources: ReadingResources,

    /// Folder for what does not fit into memory [default: the system's]
    #[arg(long, env = "SLAF_SCRATCH_DIR", help_heading = "Resources")]
    pub scratch_dir: Option<PathBuf>,
}
