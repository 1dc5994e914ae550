//! What a dataset knows of the inputs that it was made from.

use crate::dataset::{DatasetConfig, matrix_key};
use crate::source::{
    MainMatrix, MatrixDescription, MatrixName, OpenOptions, Originals, ScalarType, holds,
};

/// Types and names as the inputs had them, as far as config.json keeps them.
pub(super) fn originals<'a>(
    config: &DatasetConfig,
    options: &OpenOptions,
    matrices: impl Iterator<Item = &'a MatrixDescription>,
) -> Originals {
    if !config.is_described() {
        return Originals::default();
    }
    let mut originals = config.originals.clone();
    if let Some(value) = &config.value
        && let Some(stored) = named(&value.stored)
    {
        let x = originals.matrices.entry(MatrixName::X.to_string());
        x.or_insert(stored);
    }
    // Which matrix of the dataset each is.
    let own = |name: &MatrixName| match (&options.matrix, name) {
        (MainMatrix::Layer(layer), MatrixName::X) => MatrixName::Layer(layer.clone()),
        (MainMatrix::Raw, MatrixName::X) => MatrixName::Layer("raw".into()),
        (MainMatrix::Layer(_) | MainMatrix::Raw, MatrixName::Layer(layer)) if layer == "X" => {
            MatrixName::X
        }
        _ => name.clone(),
    };
    let matrices = matrices.filter_map(|matrix| {
        let own = own(&matrix.name);
        let stored = *originals.matrices.get(&own.to_string())?;
        let fits = holds(stored, matrix.number_type) || is_as_it_was(config, &own);
        let differs = stored != matrix.number_type;
        (fits && differs).then(|| (matrix.name.to_string(), stored))
    });
    originals.matrices = matrices.collect();
    if config.sources.len() != 1 {
        // Of cells without an embedding there is no number but NaN.
        for frame in [&mut originals.obs, &mut originals.var] {
            frame.embeddings.retain(|_, stored| !stored.is_integer());
        }
    }
    originals
}

/// Whether all values of a matrix are values of the one input, not sums of them.
fn is_as_it_was(config: &DatasetConfig, name: &MatrixName) -> bool {
    let [source] = &config.sources[..] else {
        return false;
    };
    if *name == MatrixName::X {
        return source.canonicalized.merged == 0;
    }
    let key = matrix_key(name);
    let mut layers = source.layers.iter();
    layers.any(|layer| layer.is_of(&key) && layer.canonicalized.merged == 0)
}

fn named(text: &str) -> Option<ScalarType> {
    serde_json::from_value(serde_json::Value::from(text)).ok()
}
