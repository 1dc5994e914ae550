//! Contents of a fixture, as read by anndata and h5py (see fixtures/README.md).

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use slaf::source::{Format, MainMatrix, OpenOptions, OptionValue};

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
    /// Layers and pairwise matrices: row, column and value of each entry.
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
    /// What a reader must report because it cannot be represented in a dataset.
    #[serde(default)]
    pub left_out: Vec<String>,
    #[serde(default)]
    pub options: Options,
}

type Entries = Vec<(u64, u64, Value)>;

/// Options with which an input is to be opened.
#[derive(Debug, Default, Deserialize)]
pub struct Options {
    #[serde(default)]
    genome: Vec<String>,
    #[serde(default)]
    feature_type: Vec<String>,
    gene_id: Option<String>,
    /// Main matrix of an experiment, if it is not X.
    matrix: Option<String>,
    /// Lists, by their path relative to the folder of the expectation.
    barcodes: Option<String>,
    features: Option<String>,
}

impl Options {
    /// Returns the options for a reader.
    pub fn of(&self, format: Format) -> OpenOptions {
        let mut options = OpenOptions {
            format: Some(format),
            matrix: match self.matrix.as_deref() {
                None => MainMatrix::Own,
                Some("raw") => MainMatrix::Raw,
                Some(layer) => MainMatrix::Layer(layer.into()),
            },
            ..OpenOptions::default()
        };
        let mut set = |name: &str, value: OptionValue| {
            options = options.clone().with(name, value).unwrap();
        };
        set("genome", self.genome.clone().into());
        set("feature-type", self.feature_type.clone().into());
        for (name, value) in [
            ("gene-id", &self.gene_id),
            ("barcodes", &self.barcodes),
            ("features", &self.features),
        ] {
            if let Some(value) = value {
                set(name, value.clone().into());
            }
        }
        options
    }
}

#[derive(Debug, Deserialize)]
pub struct MatrixExpectation {
    pub dtype: Option<String>,
    pub layout: String,
    /// Number of entries according to the headers, if not all of them are read.
    pub entries: Option<u64>,
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

/// Converts a number of an expectation; those that JSON lacks are written as strings.
pub fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        other => other.as_f64().unwrap(),
    }
}

/// Returns the text of a category as Python formats it.
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
    /// Reads the expectation next to a fixture.
    pub fn beside(fixture: &Path) -> Self {
        // `counts.mtx.gz` has `counts.mtx.json`, and `table.tar.gz` of the experiments
        // `table.json`.
        let mut path = fixture.with_extension("json");
        if !path.exists() {
            path = fixture.with_extension("").with_extension("json");
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut expected: Expectation = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for list in [
            &mut expected.options.barcodes,
            &mut expected.options.features,
        ] {
            let beside = |list: String| path.with_file_name(list).to_str().unwrap().to_string();
            *list = list.take().map(beside);
        }
        expected
    }

    /// Returns the expected contents of a dataset made from the fixture.
    pub fn of_dataset(mut self) -> Self {
        self.stored = self.triplets.len() as u64;
        self.x = MatrixExpectation {
            dtype: None,
            layout: "csr".into(),
            entries: None,
        };
        (self.duplicates, self.explicit_zeros) = (0, Some(0));
        self.left_out.clear();
        self
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
