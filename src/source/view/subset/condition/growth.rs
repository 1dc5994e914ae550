//! How much longer than the columns the texts of a condition may become.

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr, Operator};

/// Functions that make texts or lists of any length out of a number.
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

/// Functions that put a text in the place of each of many.
const REPLACING: [&str; 4] = ["replace", "regexp_replace", "overlay", "translate"];

/// The most that a text may grow.
const MOST: f64 = 1e6;

/// At most how many times the bytes of its columns the texts of an expression have.
///
/// # Errors
/// Where nothing bounds them.
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
        // Texts stand beside each row.
        Expr::Literal(value, _) => text_length(value).max(1.0),
        _ => largest,
    };
    if factor > MOST {
        return Err("its texts could become too long".into());
    }
    Ok(factor)
}

/// What a replacement may be as long as; what is no literal may be long.
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
