//! The raw matrix of an AnnData, and where its genes are.

use std::collections::HashMap;

use super::frame::Frame;
use crate::source::error::Place;
use crate::source::hdf5::{Hdf5File, Kind};
use crate::source::{CellChunk, Chunks, Numbers, PendingChunk, SourceError};

/// Where the raw matrix and its genes are: the group `raw`, or, before anndata 0.7, two objects of
/// the root.
pub(super) struct RawPaths {
    pub x: &'static str,
    pub var: &'static str,
    pub varm: &'static str,
}

/// The raw matrix of a file, if it has one.
pub(super) fn find(file: &Hdf5File) -> Result<Option<RawPaths>, SourceError> {
    let candidates = [
        RawPaths {
            x: "raw/X",
            var: "raw/var",
            varm: "raw/varm",
        },
        RawPaths {
            x: "raw.X",
            var: "raw.var",
            varm: "raw.varm",
        },
    ];
    for paths in candidates {
        if file.kind(paths.x)? != Kind::Missing && file.kind(paths.var)? != Kind::Missing {
            return Ok(Some(paths));
        }
    }
    Ok(None)
}

/// For each gene of `raw`, its position among those of `var`.
///
/// # Errors
/// Where the two do not have the same genes.
pub(super) fn positions(
    place: &Place,
    raw: &Frame,
    var: &Frame,
) -> Result<Option<Vec<u32>>, SourceError> {
    let (raw_ids, ids) = (raw.ids(0..raw.rows())?, var.ids(0..var.rows())?);
    if raw_ids == ids {
        return Ok(None);
    }
    let mut places: HashMap<&str, u32> = HashMap::new();
    let same = raw.rows() == var.rows()
        && (0u32..)
            .zip(ids.iter())
            .all(|(position, id)| places.insert(id.unwrap_or_default(), position).is_none());
    let moved: Option<Vec<u32>> = raw_ids
        .iter()
        .map(|id| places.remove(id.unwrap_or_default()))
        .collect();
    match moved.filter(|_| same) {
        Some(moved) => Ok(Some(moved)),
        None => Err(place.unsupported(
            format!(
                "a layer of other genes than those of X ({} in raw, {} in X)",
                raw.rows(),
                var.rows()
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
            let moved = chunk.genes.to_i64().ok().and_then(|positions| {
                positions
                    .into_iter()
                    .map(|position| genes.get(usize::try_from(position).ok()?).copied())
                    .collect::<Option<Vec<u32>>>()
            });
            match moved {
                Some(moved) => Ok(CellChunk {
                    genes: Numbers::UInt32(moved),
                    ..chunk
                }),
                None => {
                    Err(place.damaged(format!("an index lies outside the {} genes", genes.len())))
                }
            }
        }))
    }))
}
