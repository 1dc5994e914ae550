//! Cells, as they are given to functions.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, UInt32Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::execution::memory_pool::MemoryPool;

use crate::query::names::Names;

/// The cells of a dataset, by number or by name.
#[derive(Debug)]
pub(in crate::query) struct CellNumbers {
    names: Arc<Names>,
    count: u64,
    /// Whether names were read.
    named: OnceLock<()>,
}

impl CellNumbers {
    pub fn new(names: Arc<Names>, count: u64) -> Self {
        CellNumbers {
            names,
            count,
            named: OnceLock::new(),
        }
    }

    /// Number of cells.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Reads the names of the cells, for calls with names.
    ///
    /// # Errors
    /// If they cannot be read, or memory does not suffice.
    pub async fn read_names(&self, pool: &Arc<dyn MemoryPool>) -> Result<()> {
        self.names.by_name(pool).await?;
        let _ = self.named.set(());
        Ok(())
    }

    /// Checks the type of a column of cells.
    pub fn accepts(function: &str, data_type: &DataType) -> Result<()> {
        let known = data_type.is_integer()
            || matches!(
                data_type,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
            );
        if known {
            Ok(())
        } else {
            plan_err!(
                "{function} is about a cell, given by cell_integer_id or cell_id, and not by a column of type {data_type}"
            )
        }
    }

    /// The numbers of the cells of a column; null where it is null.
    ///
    /// # Errors
    /// If there is no such cell, or several have the name.
    pub fn of(&self, column: &ArrayRef) -> Result<UInt32Array> {
        if column.data_type().is_integer() || column.data_type() == &DataType::Null {
            let exact = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            let numbers = cast_with_options(column, &DataType::UInt32, &exact)?;
            let numbers = numbers.as_primitive::<UInt32Type>();
            if let Some(beyond) = numbers
                .iter()
                .flatten()
                .find(|&n| u64::from(n) >= self.count)
            {
                return exec_err!("there is no cell number {beyond}: there are {}", self.count);
            }
            return Ok(numbers.clone());
        }
        let texts = cast(column, &DataType::Utf8View)?;
        let Some(by_name) = self.named.get().and_then(|()| self.names.known_by_name()) else {
            return exec_err!("the names of the cells were not read");
        };
        let mut numbers = UInt32Array::builder(texts.len());
        for name in texts.as_string_view() {
            let Some(name) = name else {
                numbers.append_null();
                continue;
            };
            match by_name.get(name) {
                Some(Some(number)) => numbers.append_value(*number),
                Some(None) => {
                    return exec_err!(
                        "several cells are called {name:?}; name cells by cell_integer_id"
                    );
                }
                None => return exec_err!("there is no cell {name:?}"),
            }
        }
        Ok(numbers.finish())
    }
}
