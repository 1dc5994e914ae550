//! Distinguishes AnnData from other things stored in HDF5 files.

use crate::source::SourceError;
use crate::source::hdf5::{Hdf5File, Kind};

/// Refuses anything that is not an AnnData, naming what it is if known.
pub(super) fn check_is_anndata(file: &Hdf5File) -> Result<(), SourceError> {
    let place = file.place("");
    if file.kind("mod")? == Kind::Group {
        return Err(place.unsupported(
            "MuData (h5mu)",
            "write one of its modalities as h5ad: mdata.mod[\"rna\"].write_h5ad(NEW)",
        ));
    }
    for (object, role) in [("obs", "cells"), ("var", "genes")] {
        if file.kind(object)? == Kind::Missing {
            let help = if file.kind("matrix")? == Kind::Group {
                "it looks like a 10x matrix; leave out --format"
            } else if file.kind("col_attrs")? == Kind::Group {
                "it looks like loom; rewrite it as h5ad"
            } else {
                "give a file that anndata wrote"
            };
            return Err(place.unsupported(
                format!("a file without the group {object:?}, which describes the {role},"),
                help,
            ));
        }
    }
    Ok(())
}
