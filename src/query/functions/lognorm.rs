//! `lognorm(value, sum)`: counts for 10,000 of a cell, and their logarithm, as scanpy has them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

/// The sum to which counts are scaled, unless another is given.
const TARGET: f64 = 1e4;

/// ln(1 + value / sum × target).
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct LogNorm {
    signature: Signature,
}

impl LogNorm {
    pub fn new() -> Self {
        let forms = vec![TypeSignature::Any(2), TypeSignature::Any(3)];
        LogNorm {
            signature: Signature::one_of(forms, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for LogNorm {
    fn name(&self) -> &str {
        "lognorm"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types
            .iter()
            .find(|found| !found.is_numeric() && **found != DataType::Null)
        {
            Some(other) => plan_err!("lognorm(value, sum) takes numbers, and not {other}"),
            None => Ok(DataType::Float64),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut columns = Vec::new();
        for argument in arguments.args {
            let column = argument.into_array(arguments.number_rows)?;
            columns.push(cast(&column, &DataType::Float64)?);
        }
        let ([value, sum] | [value, sum, _]) = &columns[..] else {
            return exec_err!("lognorm takes a value and a sum");
        };
        let (value, sum) = (
            value.as_primitive::<Float64Type>(),
            sum.as_primitive::<Float64Type>(),
        );
        let target = columns
            .get(2)
            .map(|target| target.as_primitive::<Float64Type>());
        let mut result = Float64Array::builder(value.len());
        for (row, (value, sum)) in value.iter().zip(sum).enumerate() {
            let target = target.map_or(Some(TARGET), |target| {
                target.is_valid(row).then(|| target.value(row))
            });
            result.append_option(match (value, sum, target) {
                // A cell without counts stays one.
                (Some(0.0), Some(0.0), Some(_)) => Some(0.0),
                (Some(value), Some(sum), Some(target)) => Some((value / sum * target).ln_1p()),
                _ => None,
            });
        }
        Ok(ColumnarValue::Array(Arc::new(result.finish())))
    }
}
