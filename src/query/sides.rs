//! Which side of a join is looked up first: cells and genes, never the entries of a matrix.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};

use super::scan::TableScan;

/// Joins hold the rows of the side without entries in memory, and let those of the other side pass.
#[derive(Debug)]
pub(super) struct EntriesPass;

impl PhysicalOptimizerRule for EntriesPass {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let swapped = plan.transform_up(|node| {
            let Some(join) = node.downcast_ref::<HashJoinExec>() else {
                return Ok(Transformed::no(node));
            };
            let (left, right) = (has_entries(join.left()), has_entries(join.right()));
            if left && !right && join.join_type().supports_swap() && !join.null_aware {
                return Ok(Transformed::yes(
                    join.swap_inputs(PartitionMode::CollectLeft)?,
                ));
            }
            Ok(Transformed::no(node))
        });
        Ok(swapped?.data)
    }

    fn name(&self) -> &str {
        "entries_pass"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether rows of a plan are as many as entries of a matrix.
fn has_entries(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if let Some(scan) = plan.downcast_ref::<TableScan>() {
        return scan.is_of_entries();
    }
    if plan.downcast_ref::<AggregateExec>().is_some() || plan.fetch().is_some() {
        return false;
    }
    plan.children().into_iter().any(has_entries)
}
