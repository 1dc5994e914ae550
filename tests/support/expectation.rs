//! What a fixture holds, as anndata and h5py read it (see fixtures/README.md).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub struct Expectation {
    pub shape: [u64; 2],
    pub x: MatrixExpectation,
    cells: Names,
    genes: Names,
    pub stored: u64,
    pub explicit_zeros: Option<u64>,
    pub duplicates: u64,
    triplets: Vec<(u64, u64, Value)>,
    pub obs: Vec<ColumnExpectation>,
    pub var: Vec<ColumnExpectation>,
    /// Layers, and matrices of pairs: row, column and value of each entry.
    #[serde(default)]
    pub layers: BTreeMap<String, Entries>,
    #[serde(default)]
    pub obsp: BTreeMap<String, Entries>,
    #[serde(default)]
    pub varp: BTreeMap<String, Entries>,
    /// Embeddings, row by row.
    #[serde(default)]
    pub obsm: BTreeMap<String, Vec<Vec<Value>>>,
    #[serde(default)]
    pub varm: BTreeMap<String, Vec<Vec<Value>>>,
    /// What a reader must name because it has no place in a dataset.
    #[serde(default)]
    pub left_out: Vec<String>,
}

type Entries = Vec<(u64, u64, Value)>;

#[derive(Debug, Deserialize)]
pub struct MatrixExpectation {
    pub dtype: Option<String>,
    pub layout: String,
}

#[derive(Debug, Deserialize)]
pub struct ColumnExpectation {
    pub name: String,
    pub r#type: String,
    pub values: Vec<Value>,
    #[serde(default)]
    pub categories: Vec<Value>,
    #[serde(default)]
    pub ordered: bool,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    List(Vec<String>),
    Numbered { prefix: String, count: u64 },
}

impl Names {
    fn all(&self) -> Vec<String> {
        match self {
            Names::List(names) => names.clone(),
            Names::Numbered { prefix, count } => (0..*count)
                .map(|number| format!("{prefix}{number}"))
                .collect(),
        }
    }
}

/// A number of an expectation; those that JSON lacks are written as text.
pub fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        other => other.as_f64().unwrap(),
    }
}

/// The text of a category, as Python writes it.
pub fn category_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) if number.is_f64() => {
            // Python writes 1e+20 and 1e-07.
            let text = format!("{:?}", number.as_f64().unwrap());
            match text.split_once('e') {
                None => text,
                Some((mantissa, exponent)) => {
                    let exponent: i32 = exponent.parse().unwrap();
                    let sign = if exponent < 0 { '-' } else { '+' };
                    format!("{mantissa}e{sign}{:02}", exponent.abs())
                }
            }
        }
        other => other.to_string(),
    }
}

/// Row, column and value of each entry, in order.
pub fn entries(expected: &[(u64, u64, Value)]) -> Vec<(u64, u64, f64)> {
    let entries = expected.iter();
    entries
        .map(|(row, column, value)| (*row, *column, number(value)))
        .collect()
}

impl Expectation {
    /// The expectation beside a fixture.
    pub fn beside(fixture: &Path) -> Self {
        let path = fixture.with_extension("").with_extension("json");
        let text = std::fs::read_to_string(&path).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn cells(&self) -> Vec<String> {
        self.cells.all()
    }

    pub fn genes(&self) -> Vec<String> {
        self.genes.all()
    }

    /// Cell, gene and value of each row, in order.
    pub fn triplets(&self) -> Vec<(u64, u64, f64)> {
        entries(&self.triplets)
    }
}
