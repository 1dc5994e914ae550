//! Treats NaN as a missing value, whether it comes from a column or from a computation such as 0 /
//! 0.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::compute::nullif;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// Replaces NaN in a column with null; other columns are returned unchanged.
pub(super) fn without_nan(column: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    fn of<T: ArrowPrimitiveType>(
        column: &ArrayRef,
        is_nan: impl Fn(T::Native) -> bool,
    ) -> std::result::Result<ArrayRef, ArrowError> {
        let numbers: &PrimitiveArray<T> = column.as_primitive();
        if !numbers.values().iter().any(|&value| is_nan(value)) {
            return Ok(Arc::clone(column));
        }
        let nan: BooleanArray = BooleanArray::from_unary(numbers, is_nan);
        nullif(column, &nan)
    }
    match column.data_type() {
        DataType::Float16 => of::<Float16Type>(column, half::f16::is_nan),
        DataType::Float32 => of::<Float32Type>(column, f32::is_nan),
        DataType::Float64 => of::<Float64Type>(column, f64::is_nan),
        _ => Ok(Arc::clone(column)),
    }
}

/// Converts NaN in the results of subexpressions to null, and tests for NaN to tests for null.
pub(super) fn rewrite(expression: Expr) -> Result<Transformed<Expr>> {
    Ok(match expression {
        Expr::ScalarFunction(call) if call.func.name() == "isnan" && call.args.len() == 1 => {
            let [argument] = <[Expr; 1]>::try_from(call.args).unwrap_or_default();
            Transformed::yes(argument.is_null())
        }
        Expr::ScalarFunction(call) if call.func.name() == "nanvl" => {
            let coalesce = datafusion::functions::core::coalesce();
            Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(
                coalesce, call.args,
            )))
        }
        call @ Expr::ScalarFunction(_) => Transformed::yes(nan_to_null(call)),
        cast @ (Expr::Cast(_) | Expr::TryCast(_)) => Transformed::yes(nan_to_null(cast)),
        Expr::BinaryExpr(binary) if is_arithmetic(binary.op) => {
            Transformed::yes(nan_to_null(Expr::BinaryExpr(binary)))
        }
        other => Transformed::no(other),
    })
}

fn is_arithmetic(operator: Operator) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(operator, Plus | Minus | Multiply | Divide | Modulo)
}

fn nan_to_null(expression: Expr) -> Expr {
    let function = ScalarUDF::new_from_impl(NanToNull {
        signature: Signature::any(1, Volatility::Immutable),
    });
    Expr::ScalarFunction(ScalarFunction::new_udf(
        Arc::new(function),
        vec![expression],
    ))
}

/// A function that returns its argument with null in place of NaN.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NanToNull {
    signature: Signature,
}

impl ScalarUDFImpl for NanToNull {
    fn name(&self) -> &str {
        "nan_to_null"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [argument] => Ok(argument.clone()),
            _ => internal_err!("nan_to_null takes one argument"),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        match arguments.args.into_iter().next() {
            Some(value) => Ok(ColumnarValue::Array(without_nan(&value.into_array(rows)?)?)),
            None => internal_err!("nan_to_null takes one argument"),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int32Array};

    use super::*;

    #[test]
    fn nan_of_any_kind_is_null() {
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(1.0),
            Some(f64::NAN),
            Some(-f64::NAN),
            None,
            Some(f64::INFINITY),
        ]));
        let found = without_nan(&numbers).unwrap();
        let wanted = Float64Array::from(vec![Some(1.0), None, None, None, Some(f64::INFINITY)]);
        assert_eq!(found.as_primitive::<Float64Type>(), &wanted);
        let whole: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        assert!(Arc::ptr_eq(&without_nan(&whole).unwrap(), &whole));
    }
}
