//! Parses and evaluates a condition.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, Volatility};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::ast::{self, BinaryOperator, Visit as _};
use datafusion::sql::sqlparser::parser::ParserError;

use super::{growth, missing, names};

/// Maximum length of a condition in bytes, which also limits its depth.
const LONGEST: usize = 1 << 17;

/// Maximum nesting depth of operators, not counting chains of AND and OR.
const DEEPEST: usize = 500;

/// Maximum number of bytes that the text computed for a slice of rows may take.
const SLICE: f64 = 32e6;

/// A condition on the columns of a frame.
pub(super) struct Condition {
    expression: Arc<dyn PhysicalExpr>,
    /// Upper bound for the size of the computed text, as a multiple of the size of its columns.
    growth: f64,
}

impl Condition {
    /// Parses a condition on columns like those of `like`.
    ///
    /// # Errors
    /// If it is invalid; the error is a sentence on what is wrong with it.
    pub fn parse(like: &RecordBatch, sql: &str) -> Result<Self, String> {
        if sql.len() > LONGEST {
            return Err(format!(
                "it has {} bytes, and may have {LONGEST}; write a column that says which cells are meant, or convert in parts",
                sql.len()
            ));
        }
        let schema = like.schema();
        let columns: HashSet<&str> = schema
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        let sql = names::quoted(sql, &columns)?;
        let (expression, growth) = Self::planned(like, &sql)?;
        let data_type = expression.data_type(&schema);
        match data_type.map_err(|error| error.strip_backtrace())? {
            DataType::Boolean => Ok(Condition { expression, growth }),
            other => Err(format!("it is {other}, neither true nor false")),
        }
    }

    fn planned(like: &RecordBatch, sql: &str) -> Result<(Arc<dyn PhysicalExpr>, f64), String> {
        let said = |error: DataFusionError| match error.find_root() {
            DataFusionError::SQL(error, _) => match &**error {
                ParserError::RecursionLimitExceeded => {
                    "parentheses lie too deep within each other".to_string()
                }
                ParserError::TokenizerError(problem) | ParserError::ParserError(problem) => {
                    problem.clone()
                }
            },
            _ => error.strip_backtrace(),
        };
        // Names are used as in the input, not converted to lower case.
        let config = SessionConfig::new()
            .set_bool("datafusion.sql_parser.enable_ident_normalization", false);
        let context = SessionContext::new_with_config(config);
        let state = context.state();
        let schema = DFSchema::try_from(like.schema().as_ref().clone()).map_err(said)?;
        let dialect = state.config().options().sql_parser.dialect;
        let mut parsed = state.sql_to_expr_with_alias(sql, &dialect).map_err(said)?;
        if let Some(alias) = parsed.alias {
            return Err(format!("it goes on with AS {alias}, where it should end"));
        }
        parsed.expr = balanced(parsed.expr);
        let mut nesting = Nesting { level: 0 };
        if parsed.expr.visit(&mut nesting).is_break() {
            return Err(format!(
                "more than {DEEPEST} operators lie within each other"
            ));
        }
        let expression = state
            .create_logical_expr_from_sql_expr(parsed, &schema)
            .map_err(said)?;
        if let Some(function) = changing(&expression).map_err(said)? {
            return Err(format!("{function}() does not give the same each time"));
        }
        let growth = growth::factor(&expression)?;
        let expression = expression
            .transform_up(missing::rewrite)
            .map_err(said)?
            .data;
        let context = SimplifyContext::builder()
            .with_schema(Arc::new(schema.clone()))
            .with_config_options(Arc::clone(state.config_options()))
            .build();
        let simplifier = ExprSimplifier::new(context);
        // Some functions only become executable after simplification.
        let expression = simplifier.coerce(expression, &schema).map_err(said)?;
        let expression = simplifier.simplify(expression).map_err(said)?;
        let expression = state
            .create_physical_expr(expression, &schema)
            .map_err(said)?;
        Ok((expression, growth))
    }

    /// Number of rows that may be evaluated at once, for a frame of `rows` rows and `bytes` bytes.
    pub fn rows_at_once(&self, rows: usize, bytes: u64) -> usize {
        let each = (bytes as f64 / rows.max(1) as f64).max(1.0) * self.growth;
        ((SLICE / each) as usize).clamp(1, rows.max(1))
    }

    /// Evaluates the condition for each row; null if unknown.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<ArrayRef, String> {
        let found = self
            .expression
            .evaluate(batch)
            .map_err(|error| error.strip_backtrace())?;
        let found = found.into_array(batch.num_rows());
        let found = found.map_err(|error| error.strip_backtrace())?;
        cast(&found, &DataType::Boolean).map_err(|error| error.to_string())
    }
}

/// Converts chains of AND and of OR to balanced trees, whose depth is only logarithmic in their
/// length, so that conditions with thousands of names are possible. Both operators are associative,
/// even with unknown values.
fn balanced(expression: ast::Expr) -> ast::Expr {
    match expression {
        ast::Expr::BinaryOp { ref op, .. } if is_chain(op) => {
            let op = op.clone();
            let operands = operands(expression, &op)
                .into_iter()
                .map(balanced)
                .collect();
            tree(operands, &op)
        }
        ast::Expr::Nested(inner) => ast::Expr::Nested(Box::new(balanced(*inner))),
        ast::Expr::UnaryOp { op, expr } => ast::Expr::UnaryOp {
            op,
            expr: Box::new(balanced(*expr)),
        },
        other => other,
    }
}

fn is_chain(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::And | BinaryOperator::Or)
}

/// Returns the operands of a chain of one operator, in order. The parser nests chains to the left.
fn operands(mut expression: ast::Expr, chain: &BinaryOperator) -> Vec<ast::Expr> {
    let mut operands = Vec::new();
    loop {
        match expression {
            ast::Expr::BinaryOp { left, op, right } if op == *chain => {
                operands.push(*right);
                expression = *left;
            }
            last => {
                operands.push(last);
                operands.reverse();
                return operands;
            }
        }
    }
}

fn tree(mut operands: Vec<ast::Expr>, op: &BinaryOperator) -> ast::Expr {
    while operands.len() > 1 {
        let mut joined = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            joined.push(match rest.next() {
                Some(right) => ast::Expr::BinaryOp {
                    // Parentheses are not needed, because the tree defines the grouping.
                    left: Box::new(left),
                    op: op.clone(),
                    right: Box::new(right),
                },
                None => left,
            });
        }
        operands = joined;
    }
    // A chain has at least one operand.
    operands
        .pop()
        .unwrap_or_else(|| ast::Expr::value(ast::Value::Null))
}

/// Measures the nesting depth of expressions.
struct Nesting {
    level: usize,
}

impl ast::Visitor for Nesting {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &ast::Expr) -> ControlFlow<()> {
        self.level += 1;
        if self.level > DEEPEST {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &ast::Expr) -> ControlFlow<()> {
        self.level -= 1;
        ControlFlow::Continue(())
    }
}

/// Returns a function in the expression whose value changes from run to run, if there is one.
fn changing(expression: &Expr) -> Result<Option<String>, DataFusionError> {
    let mut found = None;
    expression.apply(|part| {
        if let Expr::ScalarFunction(call) = part
            && call.func.signature().volatility != Volatility::Immutable
        {
            found = Some(call.func.name().to_string());
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}
