//! The Lance tables of a dataset: their schemas, and writing them so that nothing is visible before
//! its commit.

mod commit;
mod error;
mod expression;
mod fragment;
mod frame;
mod schema;

pub use commit::{JOB_PROPERTY, TableFolder};
pub use error::TableError;
pub use expression::ExpressionWriter;
pub use fragment::FragmentWriter;
pub use frame::{cells_batch, genes_batch, plain_text};
pub use schema::{TableName, cells_schema, expression_schema, genes_schema};
