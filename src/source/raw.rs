//! The raw matrix of an AnnData, whose genes may differ from those of X or be in another order.

use std::collections::HashMap;

use arrow::array::{Array, StringArray};

use super::error::ErrorContext;
use super::{Reindex, SourceError, TypedVec};
use crate::remedy::{Remedy, Setting};

/// Why parts that belong to the genes of var are not converted together with the raw matrix.
pub(super) const OTHER_GENES: &str = "it belongs to the genes of X, and those of raw are others";

/// Advice on the raw matrix for users who may not know of it.
pub(super) const ADVICE: &str =
    "use --matrix raw to convert the counts, or --raw-as-layer to keep both";

/// Whether a warning of the input says that its raw matrix has the counts.
pub(crate) fn tells_of_raw_counts(warnings: &[String]) -> bool {
    warnings.iter().any(|warning| warning.ends_with(ADVICE))
}

/// Moves each gene of the raw matrix to its position in X.
///
/// # Errors
/// If the two do not have the same genes.
pub(super) fn positions(
    place: &ErrorContext,
    raw: &StringArray,
    genes: &StringArray,
) -> Result<Reindex, SourceError> {
    if raw == genes {
        return Ok(Reindex::Identity);
    }
    let mut places: HashMap<&str, u32> = HashMap::new();
    let same = raw.len() == genes.len()
        && (0u32..)
            .zip(genes.iter())
            .all(|(position, id)| places.insert(id.unwrap_or_default(), position).is_none());
    let moved: Option<Vec<u32>> = raw
        .iter()
        .map(|id| places.remove(id.unwrap_or_default()))
        .collect();
    match moved.filter(|_| same) {
        Some(moved) => Ok(Reindex::Moved(moved)),
        None => Err(place.unsupported(
            format!(
                "a layer of other genes than those of X ({} in raw, {} in X)",
                raw.len(),
                genes.len()
            ),
            [
                Remedy::omit("raw-as-layer"),
                Remedy::using(
                    Setting::of("matrix", "raw"),
                    "convert the raw matrix instead",
                ),
            ],
        )),
    }
}

/// Whether a sample of values consists of non-negative integers that are not all zero.
pub(super) fn holds_counts(
    sample: impl FnOnce(&mut dyn FnMut(&TypedVec)) -> Result<(), SourceError>,
) -> Result<bool, SourceError> {
    let (mut whole, mut some) = (true, false);
    sample(&mut |numbers| match numbers.to_f64() {
        Ok(values) => {
            whole &= values
                .iter()
                .all(|&value| value >= 0.0 && value.fract() == 0.0);
            some |= values.iter().any(|&value| value != 0.0);
        }
        Err(_) => whole = false,
    })?;
    Ok(whole && some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genes_are_found_again_in_another_order() {
        let place = ErrorContext::whole("x".as_ref());
        let ids = |ids: &[&str]| StringArray::from(ids.to_vec());
        let of = |raw: &[&str], genes: &[&str]| positions(&place, &ids(raw), &ids(genes));
        assert!(of(&["a", "b"], &["a", "b"]).unwrap().is_identity());
        assert_eq!(
            of(&["b", "a"], &["a", "b"]).unwrap(),
            Reindex::Moved(vec![1, 0])
        );
        assert!(of(&["a", "c"], &["a", "b"]).is_err());
        assert!(of(&["a"], &["a", "b"]).is_err());
        assert!(of(&["b", "a", "a"], &["a", "a", "b"]).is_err());
    }

    #[test]
    fn counts_are_known() {
        let of = |values: Vec<f32>| {
            holds_counts(|visit| {
                visit(&TypedVec::Float32(values));
                Ok(())
            })
            .unwrap()
        };
        assert!(of(vec![0.0, 3.0]));
        assert!(!of(vec![0.0]) && !of(vec![0.5]) && !of(vec![-1.0]) && !of(vec![f32::NAN]));
    }
}
