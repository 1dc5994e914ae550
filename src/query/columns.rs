//! Tables and views as queries see them.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::common::{Result, exec_datafusion_err};

use super::error::through;
use super::names::Names;
use crate::table::TableError;

/// A stored table, and the columns that a query sees of it.
#[derive(Debug)]
pub(super) struct Stored {
    /// Its name, as `expression` or `x_counts`, and that of its dataset.
    pub name: String,
    pub dataset: String,
    pub table: Arc<lance::Dataset>,
    pub path: PathBuf,
    pub columns: Vec<SeenColumn>,
    /// The columns as Arrow describes them.
    pub schema: SchemaRef,
    /// Stored columns that hold numbers of cells or genes.
    pub numbered: Vec<Numbered>,
    /// Number of rows.
    pub rows: u64,
    pub kind: Kind,
}

/// How the rows of a table are read.
#[derive(Debug)]
pub(super) enum Kind {
    /// One row for each cell or gene. If its position is its number, the column of the numbers.
    Frame { in_order: Option<String> },
    /// Rows of numbers. Where those of each cell begin, if that is known.
    Entries {
        starts: Option<Starts>,
        /// Of a view: the stored column whose zeros are no entries.
        without_zeros: Option<String>,
    },
}

/// The cells table, whose column `cell_start_index` says where the rows of each cell begin.
#[derive(Debug, Clone)]
pub(super) struct Starts {
    pub cells: Arc<lance::Dataset>,
    pub path: PathBuf,
    /// The stored column that numbers cells.
    pub column: String,
    /// Number of cells.
    pub count: u64,
}

/// A stored column with numbers below a bound.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    pub stored: String,
    pub count: u64,
}

/// A column that a query sees.
#[derive(Debug)]
pub(super) struct SeenColumn {
    pub field: FieldRef,
    /// The stored column that it is made of.
    pub stored: String,
    pub seen: Seen,
}

/// How a column is made of a stored one.
#[derive(Debug)]
pub(super) enum Seen {
    AsStored,
    /// In a wider type.
    Widened,
    /// The names of the cells or genes whose numbers are stored.
    Named(Arc<Names>),
}

impl Stored {
    /// Schema of some columns.
    pub fn schema_of(&self, columns: &[usize]) -> Result<SchemaRef> {
        Ok(Arc::new(self.schema.project(columns)?))
    }

    /// Number of cells or genes that a stored column numbers.
    pub fn count_of(&self, stored: &str) -> Option<u64> {
        let numbered = self
            .numbered
            .iter()
            .find(|numbered| numbered.stored == stored);
        numbered.map(|numbered| numbered.count)
    }

    /// Whether rows are read block by block, on several threads.
    pub fn is_entries(&self) -> bool {
        matches!(self.kind, Kind::Entries { .. })
    }

    /// Error for rows with a number of a cell or gene that there is not.
    pub fn outside(&self, stored: &str) -> datafusion::error::DataFusionError {
        through(TableError::Damaged {
            path: self.path.clone(),
            problem: format!("its column {stored} has numbers that do not exist"),
        })
    }
}

impl SeenColumn {
    /// The column as a query sees it.
    ///
    /// # Errors
    /// If a name is asked for that does not exist.
    pub fn of(&self, stored: &ArrayRef) -> Result<ArrayRef> {
        match &self.seen {
            Seen::AsStored => Ok(stored.clone()),
            Seen::Widened => {
                let exact = CastOptions {
                    safe: false,
                    ..CastOptions::default()
                };
                Ok(cast_with_options(stored, self.field.data_type(), &exact)?)
            }
            Seen::Named(names) => {
                let texts = names.known();
                let texts = texts.ok_or_else(|| exec_datafusion_err!("names were not read"))?;
                let places = cast_with_options(
                    stored,
                    &DataType::UInt32,
                    &CastOptions {
                        safe: false,
                        ..CastOptions::default()
                    },
                )?;
                let beyond = places
                    .as_primitive::<arrow::datatypes::UInt32Type>()
                    .values()
                    .iter()
                    .any(|&place| place as usize >= texts.len());
                if beyond {
                    return Err(exec_datafusion_err!(
                        "{} has numbers that do not exist",
                        self.stored
                    ));
                }
                Ok(take(&texts, &places, None)?)
            }
        }
    }
}
