//! Locates the raw matrix of an AnnData and its genes.

use crate::source::SourceError;
use crate::source::hdf5::{Hdf5File, Kind};

/// The objects of the raw matrix: members of the group `raw` or, before anndata 0.7, objects in the
/// root.
pub(super) struct RawPaths {
    /// Path of the matrix.
    pub x: &'static str,
    /// Path of the genes.
    pub var: &'static str,
    /// Path of the embeddings of genes.
    pub varm: &'static str,
}

impl RawPaths {
    /// Finds the raw matrix of a file, if it has one.
    pub fn find(file: &Hdf5File) -> Result<Option<Self>, SourceError> {
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
}
