//! Joins tell the scans of tables which cells and genes they need, once these are known.
//!
//! DataFusion can do this too, but finds columns by name on their way through a plan; where a table is
//! joined with itself, it may find another column of the same name. Here columns are followed by
//! position.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{JoinType, NullEquality, Result};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, Column, DynamicFilterPhysicalExpr, lit};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;

use super::prepared::IdFilter;
use super::scan::TableScan;

/// Tells scans what joins need. The last rule, because later ones would move columns.
#[derive(Debug)]
pub(super) struct IdsFirst;

impl PhysicalOptimizerRule for IdsFirst {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let told = plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<HashJoinExec>() else {
                return Ok(Transformed::no(node));
            };
            Ok(match tell(join)? {
                Some(join) => Transformed::yes(Arc::new(join) as _),
                None => Transformed::no(node),
            })
        });
        Ok(told?.data)
    }

    fn name(&self) -> &str {
        "ids_first"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A scan, and the column of a plan above as an expression on its columns.
struct Traced<'a> {
    scan: &'a TableScan,
    expression: Arc<dyn PhysicalExpr>,
}

/// Connects the join with the scans that its keys come from; `None` if there are none.
fn tell(join: &HashJoinExec) -> Result<Option<HashJoinExec>> {
    // Rows of the probe side without a partner must not matter.
    let (_, free) = join.join_type().on_lr_is_preserved();
    if !free || join.null_equality() != NullEquality::NullEqualsNothing {
        return Ok(None);
    }
    let keys: Vec<Arc<dyn PhysicalExpr>> = join.on().iter().map(|(_, key)| key.clone()).collect();
    let mut traced: Vec<(usize, Traced<'_>)> = Vec::new();
    for key in &keys {
        for column in collect_columns(key) {
            if let Some(found) = trace(join.right(), column.index())? {
                traced.push((column.index(), found));
            }
        }
    }
    if traced.is_empty() {
        return Ok(None);
    }
    let filter = Arc::new(DynamicFilterPhysicalExpr::new(keys, lit(true)));
    let join = join
        .builder()
        .build()?
        .with_dynamic_filter_expr(filter.clone())?;
    for (index, found) in &traced {
        found.scan.narrow(IdFilter {
            filter: filter.clone(),
            columns: BTreeMap::from([(*index, found.expression.clone())]),
        });
    }
    Ok(Some(join))
}

/// Follows a column of a plan to the scan that it comes from. Between them, rows without the wanted
/// values of the column have no influence on those with them.
fn trace(plan: &Arc<dyn ExecutionPlan>, index: usize) -> Result<Option<Traced<'_>>> {
    if let Some(scan) = plan.downcast_ref::<TableScan>() {
        let schema = scan.schema();
        let name = schema.field(index).name();
        let expression = Arc::new(Column::new(name, index));
        return Ok(Some(Traced { scan, expression }));
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let index = filter
            .projection()
            .as_ref()
            .map_or(Some(index), |kept| kept.get(index).copied());
        return below(filter.input(), index);
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let Some(expression) = projection.expr().get(index) else {
            return Ok(None);
        };
        return through(projection.input(), &expression.expr);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        let index = join
            .projection
            .as_ref()
            .map_or(Some(index), |kept| kept.get(index).copied());
        let left = join.left().schema().fields().len();
        let (Some(index), join_type) = (index, join.join_type()) else {
            return Ok(None);
        };
        // Only sides whose rows stay as they are: without a partner, or missing.
        return match join_type {
            JoinType::Inner if index < left => below(join.left(), Some(index)),
            JoinType::Inner => below(join.right(), Some(index - left)),
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark
                if index < left =>
            {
                below(join.left(), Some(index))
            }
            JoinType::Right if index >= left => below(join.right(), Some(index - left)),
            JoinType::RightSemi | JoinType::RightAnti => below(join.right(), Some(index)),
            JoinType::Left
            | JoinType::Right
            | JoinType::Full
            | JoinType::LeftSemi
            | JoinType::LeftAnti
            | JoinType::LeftMark
            | JoinType::RightMark => Ok(None),
        };
    }
    if let Some(groups) = plan.downcast_ref::<AggregateExec>() {
        // Whole groups are left out, if the column is one of those by which rows are grouped.
        let by = groups.group_expr();
        let limited = groups.limit_options().is_some();
        let expression = by.expr().get(index).filter(|_| by.is_single() && !limited);
        return match expression {
            Some((expression, _)) => through(groups.input(), expression),
            None => Ok(None),
        };
    }
    let same = plan.downcast_ref::<RepartitionExec>().is_some()
        || plan.downcast_ref::<CooperativeExec>().is_some()
        || plan.downcast_ref::<CoalescePartitionsExec>().is_some()
        || plan.downcast_ref::<SortExec>().is_some();
    match plan.children()[..] {
        [input] if same && plan.fetch().is_none() => below(input, Some(index)),
        _ => Ok(None),
    }
}

fn below(plan: &Arc<dyn ExecutionPlan>, index: Option<usize>) -> Result<Option<Traced<'_>>> {
    match index {
        Some(index) => trace(plan, index),
        None => Ok(None),
    }
}

/// Follows an expression that is a column, or a column in another type.
fn through<'a>(
    plan: &'a Arc<dyn ExecutionPlan>,
    expression: &Arc<dyn PhysicalExpr>,
) -> Result<Option<Traced<'a>>> {
    if let Some(column) = expression.downcast_ref::<Column>() {
        return trace(plan, column.index());
    }
    let Some(cast) = expression.downcast_ref::<CastExpr>() else {
        return Ok(None);
    };
    let Some(column) = cast.expr().downcast_ref::<Column>() else {
        return Ok(None);
    };
    let Some(traced) = trace(plan, column.index())? else {
        return Ok(None);
    };
    let inner = vec![traced.expression];
    let expression = expression.clone().with_new_children(inner)?;
    Ok(Some(Traced {
        scan: traced.scan,
        expression,
    }))
}
