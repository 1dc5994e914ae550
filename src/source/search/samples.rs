//! Inputs that represent the same sample: its raw and its filtered matrix, in HDF5 and in Matrix
//! Market.
//!
//! Two inputs represent the same sample if their paths are equal apart from the words `raw` and
//! `filtered` and the parts that indicate the format.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Candidate, Finds, Form, PassedOver};

/// Which cells of a sample an input contains, in order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cells {
    Filtered,
    /// Not specified.
    Unsaid,
    Raw,
    /// Counts of probes rather than genes, for all cells.
    Probes,
}

/// How a sample is stored, in order of preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Written {
    /// In one file.
    Whole,
    /// In several.
    Apart,
    /// In an archive.
    Packed,
}

#[derive(Debug, PartialEq, Eq)]
struct Sample {
    /// Its path, without these words.
    name: Vec<String>,
    which: (Cells, Written),
}

/// Words in a name, and what they mean.
const WORDS: [(&str, Cells); 3] = [
    ("filtered", Cells::Filtered),
    ("unfiltered", Cells::Raw),
    ("raw", Cells::Raw),
];

/// What all of Cell Ranger's names for matrices contain (`filtered_feature_bc_matrix.h5`,
/// `raw_gene_bc_matrices/hg19`).
const CELL_RANGER: &str = "_bc_matri";

/// Suffixes of these names that indicate the format.
const ENDINGS: [&str; 7] = [".gz", ".tar", ".tgz", ".h5", ".hdf5", "_h5", "_mex"];

impl Sample {
    fn of(root: &Path, candidate: &Candidate) -> Self {
        let below = candidate.path.strip_prefix(root).unwrap_or(&candidate.path);
        let mut name: Vec<String> = Vec::new();
        let mut cells = Cells::Unsaid;
        let mut is_cell_rangers = false;
        for part in below.components() {
            let part = part.as_os_str().to_string_lossy();
            let (mut part, said) = without_word(&part);
            cells = said.unwrap_or(cells);
            if is_cell_rangers {
                // The folder of a genome, or the contents of the archive.
                continue;
            }
            if part.contains(CELL_RANGER) {
                is_cell_rangers = true;
                while let Some(short) = ENDINGS.iter().find_map(|e| part.strip_suffix(e)) {
                    part = short.to_string();
                }
                if part.contains("probe_bc_matrix") {
                    part = part.replace("probe_bc_matrix", "feature_bc_matrix");
                    cells = Cells::Probes;
                }
            }
            name.push(part);
        }
        let is_plain = |last: &String| last == "matrix.mtx" || last == "matrix.mtx.gz";
        if let Some(last) = name.last_mut().filter(|_| !is_cell_rangers) {
            match candidate.format.form() {
                Form::File => {
                    let short = last.strip_suffix(".h5");
                    *last = short.unwrap_or(last).to_string();
                }
                // Its name is that of the folder.
                Form::Files if is_plain(last) => {
                    name.pop();
                }
                Form::Files | Form::Folder => {}
            }
        }
        let written = match (candidate.format.form(), candidate.archive.is_some()) {
            (Form::Files | Form::Folder, false) => Written::Apart,
            (Form::File, false) => Written::Whole,
            (_, true) => Written::Packed,
        };
        Sample {
            name,
            which: (cells, written),
        }
    }
}

/// Replaces the word for the kind of cells in a name with `*`. Also returns that kind.
fn without_word(name: &str) -> (String, Option<Cells>) {
    let separates = |byte: Option<&u8>| byte.is_none_or(|byte| b"_.-".contains(byte));
    for (word, cells) in WORDS {
        for (at, _) in name.match_indices(word) {
            let before = at.checked_sub(1).and_then(|at| name.as_bytes().get(at));
            let end = at + word.len();
            if separates(before) && separates(name.as_bytes().get(end)) {
                return (format!("{}*{}", &name[..at], &name[end..]), Some(cells));
            }
        }
    }
    (name.to_string(), None)
}

/// Keeps the best input of each sample.
pub(super) fn keep_the_best(root: &Path, finds: &mut Finds) {
    let mut samples: BTreeMap<Vec<String>, Vec<(Candidate, (Cells, Written))>> = BTreeMap::new();
    for candidate in std::mem::take(&mut finds.candidates) {
        if !candidate.format.names_tell() {
            finds.candidates.push(candidate);
            continue;
        }
        let Sample { name, which } = Sample::of(root, &candidate);
        samples.entry(name).or_default().push((candidate, which));
    }
    for mut sample in samples.into_values() {
        // In a stable order. If there are several of a kind, such as genomes, all are kept.
        sample.sort_by(|a, b| (a.1, &a.0.path).cmp(&(b.1, &b.0.path)));
        let mut all = sample.into_iter();
        let Some((best, which)) = all.next() else {
            continue;
        };
        let taken = best.path.display().to_string();
        finds.candidates.push(best);
        for (candidate, other) in all {
            if other == which {
                finds.candidates.push(candidate);
                continue;
            }
            let reason = match (other.0, which.0) {
                (one, another) if one == another => format!("the same as {taken}, which is taken"),
                (Cells::Probes, _) => {
                    format!("it counts probes; {taken}, which counts genes, is taken")
                }
                _ => format!("the raw matrix of {taken}, which is taken"),
            };
            let passed_over = PassedOver::new(candidate.path, reason);
            finds.passed_over.push(passed_over);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{InputFormat, h5ad, tenx_mtx};

    const HDF5: &dyn InputFormat = &h5ad::H5ad;
    const MTX: &dyn InputFormat = &tenx_mtx::TenxMtx;

    fn kept(paths: &[(&str, &'static dyn InputFormat)]) -> Vec<String> {
        let mut finds = Finds::default();
        for (path, format) in paths {
            finds.candidates.push(Candidate {
                path: path.into(),
                format: *format,
                archive: path.contains(".tar").then(|| "x.tar".into()),
            });
        }
        keep_the_best(Path::new("top"), &mut finds);
        let kept = finds.candidates.iter();
        kept.map(|kept| kept.path.display().to_string()).collect()
    }

    #[test]
    fn raw_ones_are_those_of_the_same_sample() {
        for (paths, wanted) in [
            (
                &[
                    ("filtered_feature_bc_matrix.h5", HDF5),
                    ("raw_feature_bc_matrix.h5", HDF5),
                    ("filtered_feature_bc_matrix", MTX),
                    ("raw_probe_bc_matrix.h5", HDF5),
                    ("filtered_feature_bc_matrix.tar.gz", MTX),
                ][..],
                &["filtered_feature_bc_matrix.h5"][..],
            ),
            (
                &[
                    ("filtered_gene_bc_matrices/hg19", MTX),
                    ("filtered_gene_bc_matrices/mm10", MTX),
                    ("raw_gene_bc_matrices_h5.h5", HDF5),
                ],
                &[
                    "filtered_gene_bc_matrices/hg19",
                    "filtered_gene_bc_matrices/mm10",
                ],
            ),
            (
                &[("Gene/raw", MTX), ("Gene/filtered", MTX)],
                &["Gene/filtered"],
            ),
            (
                &[
                    ("counts_unfiltered/cells_x_genes.mtx", MTX),
                    ("counts_filtered/cells_x_genes.mtx", MTX),
                ],
                &["counts_filtered/cells_x_genes.mtx"],
            ),
            (&[("a.h5", HDF5), ("a", MTX)], &["a.h5"]),
            (
                &[
                    ("x_filtered_feature_bc_matrix.tar/filtered/matrix.mtx", MTX),
                    ("x_filtered_feature_bc_matrix.tar/raw/matrix.mtx", MTX),
                ],
                &["x_filtered_feature_bc_matrix.tar/filtered/matrix.mtx"],
            ),
        ] {
            assert_eq!(kept(paths), wanted);
        }
        for all in [
            [
                ("GSM1_filtered_feature_bc_matrix.h5", HDF5),
                ("GSM2_raw_feature_bc_matrix.h5", HDF5),
            ],
            [
                ("filtered_donor2.h5ad", HDF5),
                ("raw_counts_donor1.h5ad", HDF5),
            ],
            [("a.h5", HDF5), ("a/b.h5ad", HDF5)],
            [("a.h5", HDF5), ("a.mtx", MTX)],
            [("drawn.h5", HDF5), ("filtered.h5", HDF5)],
            [("a/filtered.h5", HDF5), ("b/raw.h5", HDF5)],
        ] {
            assert_eq!(kept(&all).len(), 2, "{all:?}");
        }
    }
}
