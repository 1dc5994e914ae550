//! Queries in SQL over datasets, read-only.
//!
//! A query goes through DataFusion, over tables that know what a dataset is:
//!
//! | module | purpose |
//! |---|---|
//! | `statement`, `place` | what a query says, and where in it something is wrong |
//! | `session`, `catalog` | datasets and files by name, memory, threads |
//! | `stored_table`, `columns`, `names` | tables and views as queries see them |
//! | `domain`, `mask` | which cells and genes a condition means |
//! | `scan`, `prepared`, `block` | reading the rows of these cells and genes, and no others |
//! | `sides`, `ids_first` | joins: cells and genes are looked up before rows are read |
//! | `functions`, `arithmetic` | functions that know cells and genes; numbers that do not wrap |
//! | `output` | tables for people and for programs |
//!
//! Rules only ever narrow what is read: each condition is still evaluated as SQL says it.

mod answer;
mod arithmetic;
mod block;
mod catalog;
mod column_summary;
mod columns;
mod connection;
mod domain;
mod error;
mod file_table;
mod functions;
mod ids_first;
mod mask;
mod names;
mod near;
mod output;
mod place;
mod prepared;
mod pseudobulk;
mod report;
mod rewritten;
mod scan;
mod session;
mod sides;
mod sources;
mod statement;
mod stored_table;

pub use answer::Answer;
pub use column_summary::{ColumnSummary, column_summaries};
pub use connection::{Batches, Connection};
pub use error::QueryError;
pub use output::{OutputFormat, Sink, TableLimits, Written, write};
pub use place::Place;
pub use pseudobulk::{Pseudobulk, PseudobulkRequest, Sums, SumsLayout, pseudobulk};
pub use report::{Report, ScanReport};
pub use session::{NamedDataset, Resources, Session};
pub use statement::complete_statements;
