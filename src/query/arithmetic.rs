//! Arithmetic that does not wrap.
//!
//! Counts are stored in few bits, and in these, 3 - 5 would be 65534. Whole numbers are therefore
//! added, subtracted and multiplied as 64-bit numbers; and divided as real numbers, because a share of
//! counts that is always 0 helps nobody.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, cast};

/// Widens the operands of arithmetic.
#[derive(Debug)]
pub(super) struct Widened;

impl FunctionRewrite for Widened {
    fn name(&self) -> &str {
        "widened"
    }

    fn rewrite(
        &self,
        expression: Expr,
        schema: &DFSchema,
        _: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        match expression {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let types = (left.get_type(schema)?, right.get_type(schema)?);
                let whole = types.0.is_integer() && types.1.is_integer();
                let wide = match op {
                    Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Modulo => {
                        Some(DataType::Int64)
                    }
                    Operator::Divide => Some(DataType::Float64),
                    _ => None,
                };
                let Some(wide) = wide.filter(|_| whole) else {
                    let same = Expr::BinaryExpr(BinaryExpr { left, op, right });
                    return Ok(Transformed::no(same));
                };
                let widen = |operand: Box<Expr>, is: DataType| {
                    if is == wide {
                        operand
                    } else {
                        Box::new(cast(*operand, wide.clone()))
                    }
                };
                let changes = types.0 != wide || types.1 != wide;
                let (left, right) = (widen(left, types.0), widen(right, types.1));
                let wide = Expr::BinaryExpr(BinaryExpr { left, op, right });
                Ok(if changes {
                    Transformed::yes(wide)
                } else {
                    Transformed::no(wide)
                })
            }
            Expr::Negative(inner) => {
                let is = inner.get_type(schema)?;
                if is.is_unsigned_integer() {
                    let wide = Box::new(cast(*inner, DataType::Int64));
                    Ok(Transformed::yes(Expr::Negative(wide)))
                } else {
                    Ok(Transformed::no(Expr::Negative(inner)))
                }
            }
            other => Ok(Transformed::no(other)),
        }
    }
}
