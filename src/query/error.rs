//! Errors of queries.

use std::path::PathBuf;

use datafusion::error::DataFusionError;

use super::place::Place;
use crate::dataset::DatasetError;
use crate::failure::ErrorKind;
use crate::remedy::{Remedy, Setting};
use crate::store::StoreError;
use crate::table::TableError;

/// Error of a query.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// A dataset cannot be opened.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The query is wrong.
    #[error("query{}: {problem}", place.map(|place| format!(", {place}")).unwrap_or_default())]
    Sql {
        /// What is wrong, and what may be meant.
        problem: String,
        /// Where in the query it is.
        place: Option<Place>,
        /// The line of the query with a mark below the place.
        shown: Option<String>,
    },
    /// The query would change something.
    #[error("query: {statement} is refused: queries only read; {remedy}")]
    ReadOnly {
        /// The statement, as `INSERT`.
        statement: String,
        /// What to do instead.
        remedy: &'static str,
    },
    /// Names of datasets are not as they should be.
    #[error("{0}")]
    Names(String),
    /// The query needs more memory than it may take.
    #[error(
        "the query needs more memory than {} grants: {problem}",
        Setting::any("memory")
    )]
    Memory {
        /// What needed it.
        problem: String,
    },
    /// A value cannot be computed, or a file cannot be read.
    #[error("the query failed: {0}")]
    Failed(String),
    /// The result cannot be written in this format.
    #[error("the result cannot be written as {format}: {problem}")]
    Output {
        /// The format.
        format: &'static str,
        /// What it cannot hold.
        problem: String,
    },
    /// The output exists.
    #[error(
        "{} exists; {}", path.display(),
        Remedy::using(Setting::any("overwrite"), "replace it")
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The result cannot be printed.
    #[error("cannot write to standard output")]
    Printing(#[from] std::io::Error),
}

impl QueryError {
    /// Returns the kind of this error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            QueryError::Dataset(error) => error.kind(),
            QueryError::Table(error) => error.kind(),
            QueryError::Store(error) => error.kind(),
            QueryError::Sql { .. }
            | QueryError::ReadOnly { .. }
            | QueryError::Names(_)
            | QueryError::Exists { .. }
            | QueryError::Output { .. } => ErrorKind::Usage,
            QueryError::Memory { .. } | QueryError::Failed(_) | QueryError::Printing(_) => {
                ErrorKind::Failed
            }
        }
    }

    /// The line of the query in which something is wrong, with a mark below the place.
    pub fn shown(&self) -> Option<&str> {
        match self {
            QueryError::Sql { shown, .. } => shown.as_deref(),
            _ => None,
        }
    }

    /// The same error with the line of the query.
    pub(super) fn shown_in(mut self, sql: &str) -> Self {
        if let QueryError::Sql { place, shown, .. } = &mut self {
            *shown = place.and_then(|place| place.shown(sql));
        }
        self
    }

    /// What DataFusion says while a query runs.
    pub(super) fn running(error: DataFusionError) -> Self {
        match unwrapped(error) {
            Ok(error) => error,
            Err(error) => match error.find_root() {
                DataFusionError::ResourcesExhausted(problem) => QueryError::Memory {
                    problem: first_line(problem),
                },
                _ => QueryError::Failed(error.strip_backtrace()),
            },
        }
    }
}

/// An error of ours that went through DataFusion.
pub(super) fn unwrapped(error: DataFusionError) -> Result<QueryError, DataFusionError> {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<QueryError>() {
            Ok(ours) => Ok(*ours),
            Err(inner) => match inner.downcast::<TableError>() {
                Ok(ours) => Ok(QueryError::Table(*ours)),
                Err(inner) => Err(DataFusionError::External(inner)),
            },
        },
        DataFusionError::Context(context, inner) => {
            unwrapped(*inner).map_err(|inner| DataFusionError::Context(context, Box::new(inner)))
        }
        DataFusionError::Diagnostic(diagnostic, inner) => unwrapped(*inner)
            .map_err(|inner| DataFusionError::Diagnostic(diagnostic, Box::new(inner))),
        DataFusionError::Shared(shared) => match std::sync::Arc::try_unwrap(shared) {
            Ok(inner) => unwrapped(inner),
            Err(shared) => Err(DataFusionError::Shared(shared)),
        },
        other => Err(other),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
}

/// An error of ours on its way through DataFusion.
pub(super) fn through(error: impl Into<QueryError>) -> DataFusionError {
    DataFusionError::External(Box::new(error.into()))
}
