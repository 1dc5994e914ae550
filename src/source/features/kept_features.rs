//! Which features are kept, and their positions among the genes.

use crate::source::error::ErrorContext;
use crate::source::{CsrChunk, SourceError, TypedVec};
use crate::with_numbers;

/// Marks a feature that is dropped.
const DROPPED: u32 = u32::MAX;

/// Which features are kept, and their positions among the genes.
#[derive(Debug, Clone)]
pub(crate) enum KeptFeatures {
    /// All of them, at the same positions; their number.
    All(u64),
    /// For each feature, the position of its gene or [`DROPPED`]; and the number of genes.
    Some(Vec<u32>, u64),
}

impl KeptFeatures {
    /// Keeps the features selected by a mask.
    pub fn of(mask: &[bool]) -> Self {
        if mask.iter().all(|&keep| keep) {
            return KeptFeatures::All(mask.len() as u64);
        }
        let mut next = 0;
        let positions = mask
            .iter()
            .map(|&keep| {
                let position = if keep { next } else { DROPPED };
                next += u32::from(keep);
                position
            })
            .collect();
        KeptFeatures::Some(positions, u64::from(next))
    }

    /// Number of features kept.
    pub fn genes(&self) -> u64 {
        match self {
            KeptFeatures::All(count) | KeptFeatures::Some(_, count) => *count,
        }
    }

    /// Whether all features are kept.
    pub fn is_all(&self) -> bool {
        matches!(self, KeptFeatures::All(_))
    }

    /// Returns the gene of an existing feature; `None` if it is dropped.
    #[inline]
    pub fn gene(&self, feature: u32) -> Option<u32> {
        match self {
            KeptFeatures::All(_) => Some(feature),
            KeptFeatures::Some(positions, _) => {
                let position = positions.get(feature as usize).copied();
                position.filter(|&position| position != DROPPED)
            }
        }
    }

    /// Converts a chunk of features to a chunk of genes.
    pub fn apply(&self, chunk: CsrChunk, place: &ErrorContext) -> Result<CsrChunk, SourceError> {
        let KeptFeatures::Some(positions, _) = self else {
            return Ok(chunk);
        };
        let outside = |feature: &dyn std::fmt::Display| {
            place.damaged(format!(
                "an index is {feature}, but there are {} features",
                positions.len()
            ))
        };
        let features = chunk.indices.to_i64().map_err(|_| outside(&"no integer"))?;
        let mut genes = Vec::with_capacity(features.len());
        let mut taken = Vec::with_capacity(features.len());
        let mut indptr = Vec::with_capacity(chunk.indptr.len());
        indptr.push(0);
        for ends in chunk.indptr.windows(2) {
            for (at, &feature) in (ends[0]..).zip(&features[ends[0]..ends[1]]) {
                let position = usize::try_from(feature).ok();
                match position.and_then(|position| positions.get(position)) {
                    None => return Err(outside(&feature)),
                    Some(&DROPPED) => {}
                    Some(&gene) => {
                        genes.push(gene);
                        taken.push(at);
                    }
                }
            }
            indptr.push(genes.len());
        }
        Ok(CsrChunk {
            rows: chunk.rows,
            indptr,
            indices: TypedVec::UInt32(genes),
            data: picked(&chunk.data, &taken),
            strays: chunk.strays,
        })
    }

    /// Returns the values that belong to kept features.
    pub fn values(&self, features: &TypedVec, values: TypedVec) -> TypedVec {
        match (self, features.to_i64()) {
            (KeptFeatures::Some(positions, _), Ok(features)) => {
                let wanted = |&feature: &i64| {
                    let position = usize::try_from(feature).ok();
                    position
                        .and_then(|position| positions.get(position))
                        .is_some_and(|&gene| gene != DROPPED)
                };
                let kept = features.iter().enumerate().filter(|(_, f)| wanted(f));
                let taken: Vec<usize> = kept.map(|(at, _)| at).collect();
                picked(&values, &taken)
            }
            _ => values,
        }
    }
}

/// Returns the numbers at these positions.
fn picked(numbers: &TypedVec, places: &[usize]) -> TypedVec {
    fn pick<T: Copy>(values: &[T], places: &[usize]) -> Vec<T> {
        places.iter().map(|&at| values[at]).collect()
    }
    let number_type = numbers.number_type();
    let mut picked_numbers =
        TypedVec::zeroed(number_type, places.len()).expect("fewer than were held before");
    with_numbers!(numbers, v => {
        let values = pick(v, places);
        picked_numbers
            .as_bytes_mut()
            .copy_from_slice(bytemuck::cast_slice(&values));
    });
    picked_numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk() -> CsrChunk {
        CsrChunk {
            rows: 5..8,
            indptr: vec![0, 2, 2, 5],
            indices: TypedVec::Int16(vec![0, 3, 1, 2, 3]),
            data: TypedVec::Float32(vec![1.0, 2.0, 3.0, 4.0, 5.0]),
            strays: 0,
        }
    }

    #[test]
    fn entries_of_dropped_features_go() {
        let place = ErrorContext::new("x.h5".as_ref(), "matrix");
        let kept = KeptFeatures::of(&[true, false, true, true]);
        assert_eq!(kept.genes(), 3);
        let found = kept.apply(chunk(), &place).unwrap();
        assert_eq!(found.indptr, [0, 2, 2, 4]);
        assert_eq!(found.indices, TypedVec::UInt32(vec![0, 2, 1, 2]));
        assert_eq!(found.data, TypedVec::Float32(vec![1.0, 2.0, 4.0, 5.0]));
        let all = KeptFeatures::of(&[true; 4]);
        assert_eq!(all.apply(chunk(), &place).unwrap(), chunk());
    }

    #[test]
    fn features_that_do_not_exist_are_refused() {
        let place = ErrorContext::new("x.h5".as_ref(), "matrix");
        let message = KeptFeatures::of(&[true, false, true])
            .apply(chunk(), &place)
            .unwrap_err()
            .to_string();
        assert!(message.contains("is 3"), "{message}");
    }
}
