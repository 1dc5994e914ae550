//! Distinguishes AnnData from other things stored in HDF5 files.

use crate::remedy::{Advice, Remedy};
use crate::source::format::Probe;
use crate::source::hdf5::{Hdf5File, Kind};
use crate::source::other_hdf5;
use crate::source::{OpenOptions, SourceError};

/// What AnnData is known by.
const ANNDATA: [&str; 3] = ["X", "obs", "var"];

/// What MuData is known by; an X beside it is none of an AnnData.
const MUDATA: &str = "mod";

/// What an HDF5 file is to AnnData.
pub(super) fn probe(file: &Hdf5File) -> Result<Probe, SourceError> {
    let names = file.members("")?;
    let has = |name: &str| names.iter().any(|member| member == name);
    let is_anndata = ANNDATA.iter().any(|name| has(name));
    Ok(match other_hdf5::called(&names) {
        Some(what) if !is_anndata || has(MUDATA) => Probe::Unlikely(what.into()),
        _ if is_anndata => Probe::Yes,
        _ => Probe::Unlikely(match names.as_slice() {
            [] => "an HDF5 file with nothing in it".into(),
            names => format!(
                "an HDF5 file without X, obs, var or a matrix of 10x Genomics ({})",
                some_of(names)
            ),
        }),
    })
}

/// A few names, in order.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    let more = names.len() > SHOWN;
    names.truncate(SHOWN);
    names.join(", ") + if more { ", …" } else { "" }
}

/// Refuses anything that is not an AnnData, naming what it is if known.
pub(super) fn check_is_anndata(file: &Hdf5File, options: &OpenOptions) -> Result<(), SourceError> {
    let place = file.place("");
    if file.kind(MUDATA)? == Kind::Group {
        return Err(place.unsupported(
            "MuData (h5mu)",
            "write one of its modalities as h5ad: mdata.mod[\"rna\"].write_h5ad(NEW)",
        ));
    }
    for (object, role) in [("obs", "cells"), ("var", "genes")] {
        if file.kind(object)? == Kind::Missing {
            let help = match other_hdf5::called(&file.members("")?) {
                Some(what) => format!("it looks like {what}; rewrite it as h5ad").into(),
                None if options.format.is_some() => [
                    Remedy::omit("format"),
                    Remedy::Other("give a file that anndata wrote".into()),
                ]
                .into(),
                None => Advice::from("give a file that anndata wrote"),
            };
            return Err(place.unsupported(
                format!("a file without the group {object:?}, which describes the {role},"),
                help,
            ));
        }
    }
    Ok(())
}
