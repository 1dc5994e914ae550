//! The genes of the raw matrix, where they have another order than those of X.

use std::collections::HashMap;

use super::frame::Frame;
use crate::source::error::Place;
use crate::source::{CellChunk, Chunks, Numbers, PendingChunk, SourceError};

/// For each gene of `raw`, its position among those of `var`; `None` where that is the same.
///
/// # Errors
/// Where the two do not have the same genes.
pub(super) fn positions(raw: &Frame, var: &Frame) -> Result<Option<Vec<u32>>, SourceError> {
    let (raw_ids, ids) = (raw.ids(0..raw.len())?, var.ids(0..var.len())?);
    if raw_ids == ids {
        return Ok(None);
    }
    let mut places: HashMap<&str, u32> = HashMap::new();
    let same = raw.len() == var.len()
        && (0u32..)
            .zip(ids.iter())
            .all(|(position, id)| places.insert(id.unwrap_or_default(), position).is_none());
    let moved: Option<Vec<u32>> = raw_ids
        .iter()
        .map(|id| places.remove(id.unwrap_or_default()))
        .collect();
    match moved.filter(|_| same) {
        Some(moved) => Ok(Some(moved)),
        None => Err(raw.place().unsupported(
            format!(
                "a layer of other genes than those of X ({} in raw, {} in X)",
                raw.len(),
                var.len()
            ),
            "leave out --raw-as-layer, or convert the raw matrix instead with --matrix raw",
        )),
    }
}

/// Chunks whose genes are renumbered.
pub(super) fn with_genes_moved<'a>(
    chunks: Chunks<'a>,
    genes: &'a [u32],
    place: Place,
) -> Chunks<'a> {
    Box::new(chunks.map(move |pending| {
        let pending = pending?;
        let place = place.clone();
        let (cells, entries) = (pending.cells.clone(), pending.entries);
        Ok(PendingChunk::new(cells, entries, move || {
            let chunk = pending.read()?;
            let moved = match &chunk.genes {
                Numbers::UInt32(positions) => positions
                    .iter()
                    .map(|&position| genes.get(position as usize).copied())
                    .collect::<Option<Vec<u32>>>(),
                _ => None,
            };
            match moved {
                Some(moved) => Ok(CellChunk {
                    genes: Numbers::UInt32(moved),
                    ..chunk
                }),
                None => {
                    Err(place.damaged(format!("an entry lies outside the {} genes", genes.len())))
                }
            }
        }))
    }))
}
