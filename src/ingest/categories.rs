//! The categories of the columns of a dataset.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use serde::{Deserialize, Serialize};

use super::IngestError;
use crate::dataset::{CategoryList, ColumnDtype, DatasetConfig};
use crate::plan::{Plan, PlannedColumn, Table};
use crate::source::{ColumnKind, Inputs};

/// What restores the columns of obs and var that were categories.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Categories {
    pub obs: BTreeMap<String, ColumnDtype>,
    pub var: BTreeMap<String, ColumnDtype>,
}

impl Categories {
    /// Those of the dataset before the job and of all inputs.
    pub fn of(
        inputs: &Inputs,
        plan: &Plan,
        before: Option<&DatasetConfig>,
    ) -> Result<Self, IngestError> {
        let nothing = BTreeMap::new();
        let [obs, var] = match before {
            Some(before) => [&before.obs_dtypes, &before.var_dtypes],
            None => [&nothing; 2],
        };
        Ok(Categories {
            obs: categories(inputs, &plan.obs, Table::Obs, obs)?,
            var: match &plan.base {
                // No gene was added.
                Some(base) if base.genes == plan.genes => var.clone(),
                _ => categories(inputs, &plan.var, Table::Var, var)?,
            },
        })
    }
}

/// What restores the columns that are categories in all inputs that have them: the categories of
/// all, in the order in which they come. They have an order only where all inputs have the same.
fn categories(
    inputs: &Inputs,
    columns: &[PlannedColumn],
    table: Table,
    old: &BTreeMap<String, ColumnDtype>,
) -> Result<BTreeMap<String, ColumnDtype>, IngestError> {
    let mut dtypes = old.clone();
    let wanted = |column: &&PlannedColumn| matches!(column.kind, ColumnKind::Categorical { .. });
    // Categories and plain texts together are texts.
    for column in columns.iter().filter(|column| !wanted(column)) {
        let of_category = |dtype: &ColumnDtype| dtype.dtype == "category";
        if dtypes.get(&column.written_as).is_some_and(of_category) {
            dtypes.remove(&column.written_as);
        }
    }
    let columns: Vec<&PlannedColumn> = columns.iter().filter(wanted).collect();
    if columns.is_empty() {
        return Ok(dtypes);
    }
    for number in 0..inputs.len() {
        let source = inputs.get(number)?;
        let frame = match table {
            Table::Obs => source.obs(0..0)?,
            Table::Var => source.var(0..0)?,
        };
        for column in &columns {
            let array = frame.column_by_name(&column.column);
            let values = array.and_then(|array| array.as_dictionary_opt::<Int32Type>());
            let Some(values) = values.map(|dictionary| dictionary.values().as_string::<i32>())
            else {
                continue;
            };
            let found = CategoryList::from(values.clone());
            let ColumnKind::Categorical { ordered } = column.kind else {
                continue;
            };
            match dtypes.get_mut(&column.written_as) {
                None => {
                    let dtype = ColumnDtype {
                        dtype: "category".into(),
                        ordered: Some(ordered),
                        categories: Some(found),
                        others: Default::default(),
                    };
                    dtypes.insert(column.written_as.clone(), dtype);
                }
                Some(dtype) => unite(dtype, &found).ok_or_else(|| {
                    crate::dataset::DatasetError::CannotContinue {
                        path: source.description().path.clone(),
                        why: format!(
                            "the categories of {} are more than 2 GiB of text",
                            column.column
                        ),
                    }
                })?,
            }
        }
    }
    Ok(dtypes)
}

/// Adds the categories of another input; `None` where they become too many.
fn unite(dtype: &mut ColumnDtype, found: &CategoryList) -> Option<()> {
    let known = dtype.categories.get_or_insert_default();
    if known != found {
        dtype.ordered = Some(false);
        *known = known.united(found)?;
    }
    Some(())
}
