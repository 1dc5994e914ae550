//! HDF5 files that are found next to inputs but are not inputs themselves.

use super::SourceError;
use super::hdf5::{Hdf5File, Kind};
use super::tenx_h5;

/// Groups at the root of such files, by the kind of file.
const FOREIGN: [(&str, &[&str]); 7] = [
    ("MuData (h5mu)", &["mod"]),
    ("a loom file", &["row_attrs", "col_attrs"]),
    ("a Seurat object (h5Seurat)", &["assays", "cell.names"]),
    (
        "an analysis of Cell Ranger or Space Ranger",
        &["clustering"],
    ),
    (
        "an analysis of Cell Ranger or Space Ranger",
        &["pca", "tsne"],
    ),
    ("a feature slice of Space Ranger", &["feature_slices"]),
    ("a posterior of CellBender", &["posterior_noise_log_prob"]),
];

/// Groups that identify AnnData.
const ANNDATA: [&str; 3] = ["X", "obs", "var"];

/// Returns what a file is if it is not an input, and `None` if it is one or should be.
pub(super) fn called(file: &Hdf5File) -> Result<Option<String>, SourceError> {
    let names = file.members("")?;
    let has = |name: &str| names.iter().any(|member| member == name);
    let called = FOREIGN
        .iter()
        .find(|(_, groups)| groups.iter().all(|group| has(group)))
        .map(|(what, _)| (*what).to_string());
    let kind = tenx_h5::kind_of(file)?;
    // With `mod` it is MuData even if there is an X; AnnData may have any of the other groups too.
    let is_anndata = ANNDATA.iter().any(|name| has(name));
    Ok(match (called, kind) {
        (Some(what), _) if !is_anndata || has("mod") => Some(what),
        (_, tenx_h5::Kind::Molecules) => Some("a molecule_info file of Cell Ranger".into()),
        (_, tenx_h5::Kind::Matrix) => None,
        (_, tenx_h5::Kind::Other) if is_anndata || is_10x(file)? => None,
        (_, tenx_h5::Kind::Other) => Some(match names.as_slice() {
            [] => "an HDF5 file with nothing in it".into(),
            names => format!(
                "an HDF5 file without X, obs, var or a matrix of 10x Genomics ({})",
                some_of(names)
            ),
        }),
    })
}

/// Whether there is a group with 10x's name, in which case the file is 10x HDF5 with a damaged
/// matrix.
fn is_10x(file: &Hdf5File) -> Result<bool, SourceError> {
    Ok(file.kind("matrix")? == Kind::Group)
}

/// Lists a few of the names, sorted.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    let more = names.len() > SHOWN;
    names.truncate(SHOWN);
    names.join(", ") + if more { ", …" } else { "" }
}
