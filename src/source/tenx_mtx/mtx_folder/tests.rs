//! Folders as programs and people leave them.

use super::*;

fn shelf(names: &[&str]) -> MtxFolder {
    let files = names
        .iter()
        .map(|name| (name.to_string(), TextFile::new(name)));
    MtxFolder {
        files: files.collect(),
    }
}

fn lists(shelf: &MtxFolder, matrix: &str) -> [Option<String>; 2] {
    [Kind::Cells, Kind::Features].map(|kind| match shelf.list(matrix, kind) {
        Ok(Beside::Own(name) | Beside::Shared(name)) => Some(name.to_string()),
        Err(_) => None,
    })
}

fn why(shelf: &MtxFolder, matrix: &str, kind: Kind) -> String {
    match shelf.list(matrix, kind) {
        Err(NoList(why)) => why.unwrap_or_default(),
        Ok(found) => panic!("{found:?} is taken for {matrix}"),
    }
}

fn both(barcodes: &str, features: &str) -> [Option<String>; 2] {
    [Some(barcodes.into()), Some(features.into())]
}

#[test]
fn one_folder_one_matrix() {
    let files = shelf(&[
        "matrix.mtx.gz",
        "barcodes.tsv.gz",
        "features.tsv.gz",
        "._matrix.mtx.gz",
    ]);
    assert_eq!(files.matrices(), ["matrix.mtx.gz"]);
    assert_eq!(
        lists(&files, "matrix.mtx.gz"),
        both("barcodes.tsv.gz", "features.tsv.gz")
    );
    let kallisto = shelf(&[
        "cells_x_genes.mtx",
        "cells_x_genes.barcodes.txt",
        "cells_x_genes.genes.txt",
    ]);
    assert_eq!(kallisto.matrices(), ["cells_x_genes.mtx"]);
    assert_eq!(
        lists(&kallisto, "cells_x_genes.mtx"),
        both("cells_x_genes.barcodes.txt", "cells_x_genes.genes.txt")
    );
    let solo = shelf(&[
        "matrix.mtx",
        "UniqueAndMult-EM.mtx",
        "barcodes.tsv",
        "features.tsv",
    ]);
    assert_eq!(solo.matrices(), ["matrix.mtx"]);
    assert_eq!(
        lists(&solo, "UniqueAndMult-EM.mtx"),
        both("barcodes.tsv", "features.tsv")
    );
}

#[test]
fn prefixes_are_samples() {
    let files = shelf(&[
        "GSM1_a_matrix.mtx.gz",
        "GSM1_a_barcodes.tsv.gz",
        "GSM1_a_genes.tsv",
        "GSM2_b_counts.mtx.gz",
        "GSM2_b_barcodes.tsv.gz",
        "GSM2_b_features.tsv.gz",
    ]);
    assert_eq!(
        files.matrices(),
        ["GSM1_a_matrix.mtx.gz", "GSM2_b_counts.mtx.gz"]
    );
    assert_eq!(
        lists(&files, "GSM1_a_matrix.mtx.gz"),
        both("GSM1_a_barcodes.tsv.gz", "GSM1_a_genes.tsv")
    );
    assert_eq!(
        lists(&files, "GSM2_b_counts.mtx.gz"),
        both("GSM2_b_barcodes.tsv.gz", "GSM2_b_features.tsv.gz")
    );
    // Samples may share their features, but never their cells.
    let shared = shelf(&[
        "a_matrix.mtx",
        "b_matrix.mtx",
        "a_barcodes.tsv",
        "b_barcodes.tsv",
        "x_genes.tsv",
    ]);
    assert_eq!(shared.matrices().len(), 2);
    assert_eq!(
        lists(&shared, "b_matrix.mtx"),
        both("b_barcodes.tsv", "x_genes.tsv")
    );
    let velocity = shelf(&[
        "spliced.mtx",
        "unspliced.mtx",
        "barcodes.tsv",
        "features.tsv",
    ]);
    assert!(velocity.matrices().is_empty());
}

#[test]
fn generations_do_not_mix() {
    let two = shelf(&[
        "matrix.mtx",
        "genes.tsv",
        "barcodes.tsv",
        "matrix.mtx.gz",
        "features.tsv.gz",
        "barcodes.tsv.gz",
    ]);
    assert_eq!(
        lists(&two, "matrix.mtx.gz"),
        both("barcodes.tsv.gz", "features.tsv.gz")
    );
    // The other one may be a decompressed copy, to which the other lists do not belong.
    for kind in [Kind::Cells, Kind::Features] {
        assert!(why(&two, "matrix.mtx", kind).contains("two generations"));
    }
    assert_eq!(two.matrices(), ["matrix.mtx.gz"]);
    // A list of the other generation is not a substitute for one that is missing.
    let one = shelf(&["matrix.mtx", "genes.tsv", "barcodes.tsv", "matrix.mtx.gz"]);
    assert!(why(&one, "matrix.mtx.gz", Kind::Cells).contains("belongs to matrix.mtx"));
    let half = shelf(&[
        "matrix.mtx.gz",
        "features.tsv.gz",
        "barcodes.tsv",
        "genes.tsv",
    ]);
    assert!(why(&half, "matrix.mtx.gz", Kind::Cells).contains("goes with genes.tsv"));
    assert!(half.list("matrix.mtx.gz", Kind::Features).is_ok());
    // Two of the same generation, one of which must belong to another matrix.
    let names = shelf(&["matrix.mtx", "genes.tsv", "features.tsv", "barcodes.tsv"]);
    assert!(why(&names, "matrix.mtx", Kind::Features).contains("both"));
    // If only some of the files are compressed, that has no significance.
    for matrix in ["matrix.mtx", "matrix.mtx.gz"] {
        let mixed = shelf(&[matrix, "barcodes.tsv.gz", "genes.tsv"]);
        assert_eq!(lists(&mixed, matrix), both("barcodes.tsv.gz", "genes.tsv"));
    }
}

#[test]
fn samples_do_not_mix() {
    let plain = shelf(&[
        "matrix.mtx",
        "barcodes.tsv",
        "features.tsv",
        "GSM2_matrix.mtx",
    ]);
    assert!(why(&plain, "GSM2_matrix.mtx", Kind::Cells).contains("barcodes.tsv belongs to"));
    assert!(why(&plain, "GSM2_matrix.mtx", Kind::Features).contains("features.tsv belongs to"));
    let other = shelf(&["GSM2_matrix.mtx", "GSM1_barcodes.tsv", "GSM1_genes.tsv"]);
    for kind in [Kind::Cells, Kind::Features] {
        assert!(why(&other, "GSM2_matrix.mtx", kind).contains("another sample"));
    }
    let alone = shelf(&["GSM2_matrix.mtx", "barcodes.tsv", "features.tsv"]);
    assert_eq!(
        lists(&alone, "GSM2_matrix.mtx"),
        both("barcodes.tsv", "features.tsv")
    );
    let bare = shelf(&["GSM2_matrix.mtx", "notes.txt"]);
    assert_eq!(bare.list("GSM2_matrix.mtx", Kind::Cells), Err(NoList(None)));
}

#[test]
fn a_series_shares_its_features() {
    let series = shelf(&[
        "GSM1_x-matrix.mtx.gz",
        "GSM1_x-barcodes.tsv.gz",
        "GSM2_y-matrix.mtx.gz",
        "GSM2_y-barcodes.tsv.gz",
        "GSE9_features.tsv.gz",
    ]);
    for (matrix, barcodes) in [
        ("GSM1_x-matrix.mtx.gz", "GSM1_x-barcodes.tsv.gz"),
        ("GSM2_y-matrix.mtx.gz", "GSM2_y-barcodes.tsv.gz"),
    ] {
        assert_eq!(series.list(matrix, Kind::Cells), Ok(Beside::Own(barcodes)));
        assert_eq!(
            series.list(matrix, Kind::Features),
            Ok(Beside::Shared("GSE9_features.tsv.gz"))
        );
    }
    // A sample's own features are not those of the others.
    let own = shelf(&[
        "GSM1_matrix.mtx",
        "GSM1_barcodes.tsv",
        "GSM1_features.tsv",
        "GSM2_matrix.mtx",
        "GSM2_barcodes.tsv",
    ]);
    assert!(why(&own, "GSM2_matrix.mtx", Kind::Features).contains("belongs to GSM1_matrix.mtx"));
    let several = shelf(&[
        "GSM1_matrix.mtx",
        "GSM1_barcodes.tsv",
        "a_features.tsv",
        "b_features.tsv",
    ]);
    assert!(why(&several, "GSM1_matrix.mtx", Kind::Features).contains("one of 2"));
}

#[test]
fn alevin_fry_calls_its_lists_rows_and_columns() {
    let files = shelf(&[
        "quants_mat.mtx",
        "quants_mat_rows.txt",
        "quants_mat_cols.txt",
    ]);
    assert_eq!(
        lists(&files, "quants_mat.mtx"),
        both("quants_mat_rows.txt", "quants_mat_cols.txt")
    );
    let others = shelf(&["x.mtx", "x_rows.txt", "x_cols.txt"]);
    assert_eq!(lists(&others, "x.mtx"), [None, None]);
}
