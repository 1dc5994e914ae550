//! Functions of numbers that every SQL has.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

/// Functions of one number.
const OF_ONE: [(&str, fn(f64) -> f64); 12] = [
    ("ln", f64::ln),
    ("log", f64::log10),
    ("log1p", f64::ln_1p),
    ("log2", f64::log2),
    ("log10", f64::log10),
    ("exp", f64::exp),
    ("expm1", f64::exp_m1),
    ("sqrt", f64::sqrt),
    ("floor", f64::floor),
    ("ceil", f64::ceil),
    ("abs", f64::abs),
    ("round", rounded),
];

/// Functions of two numbers.
const OF_TWO: [(&str, fn(f64, f64) -> f64); 3] = [
    ("log", |base, value| value.ln() / base.ln()),
    ("power", f64::powf),
    ("round", |value, digits| {
        let scale = 10f64.powf(digits.trunc());
        (value * scale).round() / scale
    }),
];

fn rounded(value: f64) -> f64 {
    value.round()
}

/// All functions.
pub(super) fn functions() -> Vec<ScalarUDF> {
    let mut names: Vec<&str> = OF_ONE.iter().map(|(name, _)| *name).collect();
    names.extend(OF_TWO.iter().map(|(name, _)| *name));
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| ScalarUDF::from(Math::new(name)))
        .collect()
}

/// A function of one number, or of two.
#[derive(Debug)]
struct Math {
    name: &'static str,
    one: Option<fn(f64) -> f64>,
    two: Option<fn(f64, f64) -> f64>,
    signature: Signature,
}

impl Math {
    fn new(name: &'static str) -> Self {
        let one = OF_ONE
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, function)| *function);
        let two = OF_TWO
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, function)| *function);
        let mut forms = Vec::new();
        forms.extend(one.map(|_| TypeSignature::Any(1)));
        forms.extend(two.map(|_| TypeSignature::Any(2)));
        Math {
            name,
            one,
            two,
            signature: Signature::one_of(forms, Volatility::Immutable),
        }
    }
}

impl PartialEq for Math {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Math {}

impl Hash for Math {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Math {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types
            .iter()
            .find(|found| !found.is_numeric() && **found != DataType::Null)
        {
            Some(other) => plan_err!("{} takes numbers, and not {other}", self.name),
            None => Ok(DataType::Float64),
        }
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut columns = Vec::new();
        for argument in arguments.args {
            let column = argument.into_array(arguments.number_rows)?;
            columns.push(cast(&column, &DataType::Float64)?);
        }
        let result: Float64Array = match (&columns[..], self.one, self.two) {
            ([value], Some(function), _) => value.as_primitive::<Float64Type>().unary(function),
            ([one, two], _, Some(function)) => {
                let (one, two) = (
                    one.as_primitive::<Float64Type>(),
                    two.as_primitive::<Float64Type>(),
                );
                one.iter()
                    .zip(two)
                    .map(|(one, two)| Some(function(one?, two?)))
                    .collect()
            }
            _ => return exec_err!("{} does not take {} numbers", self.name, columns.len()),
        };
        Ok(ColumnarValue::Array(Arc::new(result)))
    }
}
