//! Functions that know cells and genes.

mod cells;
mod expr;
mod gene;
mod lognorm;
mod math;
mod totals;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF};
use datafusion::scalar::ScalarValue;

pub(super) use cells::CellNumbers;
pub(super) use expr::{GeneColumn, GeneColumns};
pub(super) use gene::{GeneFinder, SYMBOLS};
pub(super) use totals::Totals;

/// Names of the functions about a cell.
pub(super) const EXPR: &str = "expr";
pub(super) const COUNTS: &str = "counts";
pub(super) const N_GENES: &str = "n_genes";

/// Functions that need no dataset.
pub(super) fn plain() -> Vec<ScalarUDF> {
    let mut all = vec![ScalarUDF::from(lognorm::LogNorm::new())];
    all.extend(math::functions());
    all
}

/// What a query calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Genes of `expr`, by the full name of the function.
    pub genes: Vec<(String, String)>,
    /// Names of functions that need sums over all entries of each cell.
    pub totals: Vec<String>,
    /// Names of functions that are called with the names of cells.
    pub by_name: Vec<String>,
}

impl Calls {
    /// Finds the calls in a plan and its subqueries.
    ///
    /// # Errors
    /// If an expression cannot be looked into.
    pub fn of(plan: &LogicalPlan) -> Result<Self> {
        let mut calls = Calls::default();
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expression| {
                expression.apply(|part| {
                    calls.add(part);
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(calls)
    }

    fn add(&mut self, part: &Expr) {
        let Expr::ScalarFunction(call) = part else {
            return;
        };
        let name = call.func.name();
        let last = name.rsplit('.').next().unwrap_or_default();
        match last {
            EXPR => {
                if let Some(Expr::Literal(gene, _)) = call.args.first()
                    && let Some(Some(gene)) = text(gene)
                {
                    self.genes.push((name.to_string(), gene.to_string()));
                }
            }
            COUNTS | N_GENES => self.totals.push(name.to_string()),
            _ => return,
        }
        let by_number = |argument: &Expr| match argument {
            Expr::Column(column) => column.name == "cell_integer_id",
            _ => false,
        };
        if !call.args.last().is_some_and(by_number) {
            self.by_name.push(name.to_string());
        }
    }
}

/// The text of a literal.
fn text(value: &ScalarValue) -> Option<Option<&str>> {
    value.try_as_str()
}

/// The functions of a dataset, under a prefix as `atlas.`, if there are several.
pub(super) fn of_dataset(
    prefix: &str,
    genes: &Arc<GeneColumns>,
    totals: &Arc<Totals>,
) -> Vec<ScalarUDF> {
    vec![
        ScalarUDF::from(expr::ExprFunction::new(
            format!("{prefix}{EXPR}"),
            genes.clone(),
        )),
        ScalarUDF::from(totals::TotalFunction::new(
            format!("{prefix}{COUNTS}"),
            totals::Total::Counts,
            totals.clone(),
        )),
        ScalarUDF::from(totals::TotalFunction::new(
            format!("{prefix}{N_GENES}"),
            totals::Total::Genes,
            totals.clone(),
        )),
    ]
}
