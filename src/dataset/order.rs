//! Checks whether the positions of a table's rows match their numbers.

use std::path::Path;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};

use super::{Dataset, DatasetError};
use crate::table::{RowReader, TableError, TableName};

/// Maximum number of examples.
const EXAMPLES: usize = 10;

/// How the rows of a table lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum RowOrder {
    /// In the order of their numbers: of cells, genes, or both.
    #[default]
    Sorted,
    /// In another, in which another program left them.
    Unsorted,
}

/// The numbers of cells or genes, as their table has them.
#[derive(Debug, Default)]
pub(super) struct FrameOrder {
    /// Number of rows.
    pub rows: u64,
    pub order: RowOrder,
    /// What is wrong with the numbers, whatever their order.
    pub problem: Option<String>,
}

impl FrameOrder {
    /// Reads the numbers of a table that should have `expected` rows.
    pub async fn of(
        table: &lance::Dataset,
        path: &Path,
        name: TableName,
        expected: u64,
    ) -> Result<Self, DatasetError> {
        let mut order = FrameOrder::default();
        let length = usize::try_from(expected).unwrap_or(usize::MAX);
        let mut seen = vec![false; length];
        let (mut unknown, mut twice) = (0u64, 0u64);
        let mut rows = RowReader::of_columns(table, path, name.number_columns()).await?;
        while let Some(batch) = rows.next().await? {
            let numbers = cast(batch.column(0), &DataType::Int64);
            let numbers = numbers.map_err(|source| TableError::Arrow {
                path: path.to_path_buf(),
                source,
            })?;
            for number in numbers.as_primitive::<Int64Type>() {
                let place = number.and_then(|number| usize::try_from(number).ok());
                if place.map(|place| place as u64) != Some(order.rows) {
                    order.order = RowOrder::Unsorted;
                }
                match place.and_then(|place| seen.get_mut(place)) {
                    Some(seen) if *seen => twice += 1,
                    Some(seen) => *seen = true,
                    None => unknown += 1,
                }
                order.rows += 1;
            }
        }
        let missing = (0u64..).zip(&seen).filter(|(_, seen)| !**seen);
        let missing: Vec<u64> = missing.map(|(number, _)| number).collect();
        let what = match name {
            TableName::Genes => "genes",
            _ => "cells",
        };
        if !missing.is_empty() {
            let named = listed(&missing);
            order.problem = Some(format!("{} {what} are gone: {named}", missing.len()));
        } else if twice > 0 || unknown > 0 {
            let more = twice + unknown;
            order.problem = Some(format!("{more} {what} are there that nothing tells of"));
        }
        Ok(order)
    }
}

/// Lists a few numbers.
pub(super) fn listed(numbers: &[u64]) -> String {
    let shown = numbers.iter().take(EXAMPLES).map(u64::to_string);
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if numbers.len() > EXAMPLES {
        text.push_str(" …");
    }
    text
}

impl Dataset {
    /// The rows of a table in the order of their numbers, however they lie.
    pub(crate) async fn sorted_rows(
        &self,
        name: TableName,
        columns: &[&str],
        order: RowOrder,
    ) -> Result<RowReader, DatasetError> {
        let table = self.table(name).await?;
        let path = self.path().join(name.folder());
        Ok(match order {
            RowOrder::Sorted => RowReader::of_columns(&table, &path, columns).await?,
            RowOrder::Unsorted => {
                RowReader::sorted(&table, &path, Some(columns), name.number_columns()).await?
            }
        })
    }
}
