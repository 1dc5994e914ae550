//! Bounds how much longer than the columns the text computed by a condition may become.

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr, Operator};

/// Functions that can produce text or lists of any length from a number.
const UNBOUNDED: [&str; 10] = [
    "repeat",
    "lpad",
    "rpad",
    "space",
    "array_repeat",
    "array_resize",
    "range",
    "generate_series",
    "gen_series",
    "make_array",
];

/// Functions that replace occurrences with a text.
const REPLACING: [&str; 4] = ["replace", "regexp_replace", "overlay", "translate"];

/// Maximum growth factor.
const MOST: f64 = 1e6;

/// Returns an upper bound for the size of an expression's text, as a multiple of the size of its
/// columns.
///
/// # Errors
/// If there is no bound.
pub(super) fn factor(expression: &Expr) -> Result<f64, String> {
    let mut children = Vec::new();
    let mut failure = None;
    let visited = expression.apply_children(|child| {
        match factor(child) {
            Ok(factor) => children.push(factor),
            Err(problem) => failure = Some(problem),
        }
        Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
    });
    visited.map_err(|error| error.to_string())?;
    if let Some(problem) = failure {
        return Err(problem);
    }
    let largest = children.iter().copied().fold(1.0, f64::max);
    let all = children.iter().copied().fold(0.0, |sum, each| sum + each);
    let factor = match expression {
        Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => all,
        Expr::ScalarFunction(call) => {
            let name = call.func.name();
            if UNBOUNDED.contains(&name) {
                return Err(format!(
                    "{name}() is not for conditions: it makes texts of any length"
                ));
            }
            if REPLACING.contains(&name) {
                largest * call.args.iter().skip(1).map(length).fold(1.0, f64::max)
            } else if name.starts_with("concat") {
                all.max(1.0)
            } else {
                largest
            }
        }
        // The text of a literal is repeated for each row.
        Expr::Literal(value, _) => text_length(value).max(1.0),
        _ => largest,
    };
    if factor > MOST {
        return Err("its texts could become too long".into());
    }
    Ok(factor)
}

/// Length of a replacement; anything other than a literal may be long.
fn length(argument: &Expr) -> f64 {
    match argument {
        Expr::Literal(value, _) => text_length(value).max(1.0),
        _ => 1e3,
    }
}

fn text_length(value: &ScalarValue) -> f64 {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::LargeUtf8(Some(text))
        | ScalarValue::Utf8View(Some(text)) => text.len() as f64,
        _ => 1.0,
    }
}
