//! HDF5 files that are found next to inputs but are not inputs themselves.

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

/// What a file is by the names of the groups at its root, if that is none of what is read.
pub(super) fn called(names: &[String]) -> Option<&'static str> {
    let has = |name: &str| names.iter().any(|member| member == name);
    let is = |groups: &[&str]| groups.iter().all(|group| has(group));
    let found = FOREIGN.iter().find(|(_, groups)| is(groups));
    found.map(|(what, _)| *what)
}
