//! Lance tables of a dataset: their schemas, and writing them such that nothing is visible before
//! it is committed.

mod blocks;
mod column;
mod commit;
mod data_file;
mod embedding;
mod entry_blocks;
mod error;
#[allow(unsafe_code, reason = "the C data interface of Arrow")]
mod ffi;
mod files;
mod fragment;
mod frame;
mod guard;
mod hashing;
mod layout;
mod manifest;
mod orphans;
mod reader;
mod row_digest;
mod rows;
mod runtime;
mod schema;
mod sorted;

pub use column::planned_columns;
pub use commit::{JOB_PROPERTY, TableCommit, TableFolder};
pub use embedding::{embedding_column, missing_embeddings, with_nulls};
pub(crate) use entry_blocks::{AHEAD, Block, EntryBlocks};
pub use error::TableError;
pub(crate) use files::{MissingFile, look_at_files};
pub use fragment::FragmentWriter;
pub use frame::{CellRows, GeneRows, plain_text};
pub use layout::{Layout, SchemaFit};
pub use reader::{RowReader, RowsAndColumns};
pub use row_digest::row_digest;
pub use rows::RowsWriter;
pub use runtime::runtime;
pub use schema::{TableName, schema};
