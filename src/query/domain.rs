//! Which cells or genes a condition means.
//!
//! A condition on nothing but the number or the name of a cell (or gene) is evaluated once for each
//! cell, before any row is read. That is exact for every condition that SQL can say, and far cheaper
//! than for each row: there are as many numbers as cells, and thousands of rows for each.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBufferBuilder, RecordBatch, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;

use super::mask::Mask;

/// Number of values that are evaluated at once.
const SLICE: u64 = 1 << 16;

/// All values that a column can have, by number of the cell or gene.
pub(super) enum Domain {
    /// The numbers themselves, below this one, in the type of the column.
    TypedVec(u64, DataType),
    /// Names.
    Names(ArrayRef),
}

impl Domain {
    fn len(&self) -> u64 {
        match self {
            Domain::TypedVec(count, _) => *count,
            Domain::Names(names) => names.len() as u64,
        }
    }

    fn slice(&self, start: u64, end: u64) -> Result<ArrayRef> {
        match self {
            Domain::TypedVec(_, data_type) => {
                let first = u32::try_from(start).unwrap_or(u32::MAX);
                let end = u32::try_from(end).unwrap_or(u32::MAX);
                let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(first..end));
                Ok(cast(&numbers, data_type)?)
            }
            Domain::Names(names) => {
                let (from, length) = (start as usize, (end - start) as usize);
                Ok(names.slice(from, length))
            }
        }
    }

    /// The cells or genes for which a condition on one column is true.
    ///
    /// # Errors
    /// If the condition cannot be evaluated for some of them, which there may be no rows of.
    pub fn mask(&self, condition: &Arc<dyn PhysicalExpr>) -> Result<Mask> {
        let condition = condition.clone().transform(|part| {
            Ok(match part.downcast_ref::<Column>() {
                Some(column) => Transformed::yes(Arc::new(Column::new(column.name(), 0)) as _),
                None => Transformed::no(part),
            })
        })?;
        let condition = condition.data;
        let name = collect_columns(&condition);
        let name = name.iter().next().map_or("", |column| column.name());
        let mut bits = BooleanBufferBuilder::new(self.len() as usize);
        let mut start = 0;
        while start < self.len() {
            let end = (start + SLICE).min(self.len());
            let values = self.slice(start, end)?;
            let field = Field::new(name, values.data_type().clone(), true);
            let schema = Arc::new(Schema::new(vec![field]));
            let batch = RecordBatch::try_new(schema, vec![values])?;
            let found = condition.evaluate(&batch)?.into_array(batch.num_rows())?;
            let found = cast(&found, &DataType::Boolean)?;
            let found = found.as_boolean();
            for row in 0..found.len() {
                bits.append(found.is_valid(row) && found.value(row));
            }
            start = end;
        }
        Ok(Mask::of(bits.finish()))
    }
}

/// The only column that a condition is about.
pub(super) fn only_column(condition: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    let columns = collect_columns(condition);
    let mut indices = columns.iter().map(Column::index);
    let first = indices.next()?;
    indices.all(|index| index == first).then_some(first)
}
