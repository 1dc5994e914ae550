//! Promise: a 10x matrix is the same in every format, and is found wherever Cell Ranger and the
//! archives of published data store it.

use std::path::{Path, PathBuf};

use slaf::dataset::Dataset;
use slaf::source::{self, OpenOptions, SourceError, inputs_of};
use slaf::table::TableName;

use crate::support::dataset::{table, texts, triplets};
use crate::support::program::{Run, convert};
use crate::support::repository;
use crate::support::soma::unpacked;

fn fixture(name: &str) -> PathBuf {
    repository("fixtures").join(name)
}

/// Copies a folder and its contents.
fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(name));
        }
    } else {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    }
}

#[test]
fn one_matrix_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = |input: &str| {
        let output = folder.path().join(input.replace('/', "."));
        let path = fixture(input);
        let path = if input.starts_with("soma/") {
            unpacked(&path)
        } else {
            path
        };
        Run::of(&mut convert(&path, &output, &[])).succeeded();
        output
    };
    let digests = |dataset: &Path| {
        let dataset = Dataset::open(dataset).unwrap();
        let [source] = &dataset.config().sources[..] else {
            panic!("one source is expected");
        };
        source.digests.clone()
    };
    let column = |dataset: &Path, name: TableName, column: &str| {
        texts(table(dataset, name).column_by_name(column).unwrap())
    };
    // Some lists lack feature types, most lack genomes.
    let inputs = [
        ("10x_same.h5ad", 3),
        ("10x_h5/v3.h5", 3),
        ("soma/same.tar.gz", 3),
        ("10x_h5/v2.h5", 1),
        ("10x_h5/v3_contiguous_float64.h5", 3),
        ("10x_h5/v3_big_endian.h5", 3),
        ("10x_mtx/v3", 2),
        ("10x_mtx/unsorted", 2),
        ("10x_mtx/members", 2),
        ("10x_mtx/archive.tar.gz", 2),
        ("10x_mtx/v2", 1),
        ("10x_mtx/crlf", 1),
        ("10x_mtx/real_whole", 1),
        ("10x_mtx/by_gene", 1),
        ("10x_mtx/cells_by_genes", 1),
        ("10x_mtx/cells_by_genes_unsorted", 1),
    ];
    let [(h5ad, _), others @ ..] = inputs.map(|(input, columns)| (dataset(input), columns));
    let wanted = digests(&h5ad);
    assert!(wanted.contains_key("expression"), "{wanted:?}");
    for (other, columns) in &others {
        assert_eq!(digests(other), wanted, "{}", other.display());
        assert_eq!(triplets(other), triplets(&h5ad), "{}", other.display());
        let same = |name: TableName, wanted: &str| {
            let (found, wanted) = (column(other, name, wanted), column(&h5ad, name, wanted));
            assert_eq!(found, wanted, "{}", other.display());
        };
        same(TableName::Cells, "cell_id");
        same(TableName::Genes, "gene_id");
        for wanted in &["gene_ids", "feature_types", "genome"][..*columns] {
            same(TableName::Genes, wanted);
        }
    }
}

#[test]
fn flags_choose_genes() {
    let folder = tempfile::tempdir().unwrap();
    let input = fixture("10x_h5/v3_types.h5");
    let output = folder.path().join("out.slaf");
    let flags = ["--feature-type", "Gene Expression", "--gene-id", "ensembl"];
    Run::of(&mut convert(&input, &output, &flags)).succeeded();
    let genes = table(&output, TableName::Genes);
    let names = texts(genes.column_by_name("gene_id").unwrap());
    assert_eq!(names.len(), 5);
    assert_eq!(names[0].as_deref(), Some("ENSG01"));
    let symbols = texts(genes.column_by_name("gene_symbols").unwrap());
    assert_eq!(symbols[2].as_deref(), Some("TBCE"));
    // Another selection is another job.
    let run = Run::of(&mut convert(
        &fixture("h5ad/demo.h5ad"),
        &folder.path().join("x"),
        &["--genome", "x"],
    ));
    assert!(run.refused(3).stderr.contains("--genome"));
}

#[test]
fn inputs_of_files_folders_and_archives() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let same = |path: &Path| assert_eq!(inputs_of(path).unwrap(), [path], "{}", path.display());
    same(&fixture("10x_mtx/v3"));
    same(&fixture("10x_mtx/prefix"));
    same(&fixture("10x_mtx/archive.tar.gz"));
    same(&fixture("10x_mtx/counts.mtx.gz"));
    same(&fixture("h5ad/demo.h5ad"));
    // What cannot be read is reported when it is opened.
    same(&fixture("make_10x.py"));
    assert!(matches!(
        inputs_of(&root.join("missing")),
        Err(SourceError::Io { .. })
    ));
    assert!(matches!(
        inputs_of(root),
        Err(SourceError::UnknownFormat { .. })
    ));
    // Samples in folders, in all formats; hidden files and files that are not matrices are passed
    // over.
    copy(
        &fixture("10x_mtx/v3"),
        &root.join("b/filtered_feature_bc_matrix"),
    );
    copy(
        &fixture("10x_mtx/v2"),
        &root.join("a/outs/filtered_gene_bc_matrices/hg19"),
    );
    copy(
        &fixture("10x_mtx/v2"),
        &root.join("a/SC_RNA_COUNTER_CS/fork0/matrices"),
    );
    copy(&fixture("h5ad/demo.h5ad"), &root.join("c.h5ad"));
    copy(
        &fixture("10x_h5/v3.h5"),
        &root.join("d/outs/filtered_feature_bc_matrix.h5"),
    );
    copy(
        &fixture("10x_mtx/v3"),
        &root.join("d/outs/filtered_feature_bc_matrix"),
    );
    copy(
        &fixture("10x_h5/v3.h5"),
        &root.join("d/outs/raw_feature_bc_matrix.h5"),
    );
    copy(
        &fixture("10x_h5_refused/molecule_info.h5"),
        &root.join("d/outs/molecule_info.h5"),
    );
    copy(&fixture("10x_mtx/v3"), &root.join(".hidden"));
    copy(&fixture("make_10x.py"), &root.join("notes.py"));
    let wanted = [
        "a/outs/filtered_gene_bc_matrices/hg19",
        "b/filtered_feature_bc_matrix",
        "c.h5ad",
        "d/outs/filtered_feature_bc_matrix.h5",
    ]
    .map(|path| root.join(path));
    assert_eq!(inputs_of(root).unwrap(), wanted);
    assert_eq!(inputs_of(&root.join("b")).unwrap(), [wanted[1].clone()]);
    // A single input is expected here; a folder that contains one is equivalent to the input.
    let error = source::open(root, &OpenOptions::default())
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("4 inputs") && error.contains("c.h5ad"),
        "{error}"
    );
    let source = source::open(&root.join("a"), &OpenOptions::default()).unwrap();
    assert_eq!(source.description().path, wanted[0]);
    assert_eq!(source.files().len(), 3);
}

#[test]
fn samples_of_a_series_by_prefix_and_in_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let series = folder.path().join("series");
    std::fs::create_dir(&series).unwrap();
    for sample in ["GSM1", "GSM2"] {
        let write = |name: &str, text: &str| {
            std::fs::write(series.join(format!("{sample}_{name}")), text).unwrap();
        };
        write(
            "matrix.mtx",
            "%%MatrixMarket matrix coordinate integer general\n3 5 4\n3 1 1\n2 1 3\n3 3 3\n1 5 1\n",
        );
        write("genes.tsv", "ENSG01\tTP53\nENSG02\tTBCE\nENSG03\tTBCE\n");
        write("barcodes.tsv", "a\nb\nc\nd\ne\n");
    }
    let names = ["GSM1_matrix.mtx", "GSM2_matrix.mtx"];
    assert_eq!(
        inputs_of(&series).unwrap(),
        names.map(|name| series.join(name))
    );
    // As in GEO: one archive, compressed or not.
    for (archive, flags) in [("GSE1_RAW.tar", "-cf"), ("GSE1_RAW.tar.gz", "-czf")] {
        let archive = folder.path().join(archive);
        let made = std::process::Command::new("tar")
            .arg(flags)
            .arg(&archive)
            .arg("-C")
            .arg(&series)
            .arg(".")
            .status();
        if !made.is_ok_and(|status| status.success()) {
            crate::support::skipped("there is no tar");
            return;
        }
        let inputs = inputs_of(&archive).unwrap();
        assert_eq!(inputs.len(), 2);
        let wanted = ids(&series.join(names[1]));
        assert_eq!(ids(&inputs[1]), wanted);
        assert_eq!(wanted.len(), 5);
        let missing = inputs_of(&archive.join("GSM3_matrix.mtx")).unwrap_err();
        assert!(missing.to_string().contains("no file GSM3"), "{missing}");
        let error = source::open(&archive, &OpenOptions::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("2 inputs"), "{error}");
        let output = folder.path().join("out.slaf");
        Run::of(&mut convert(&inputs[1], &output, &[])).succeeded();
        let direct = folder.path().join("direct.slaf");
        Run::of(&mut convert(&series.join(names[1]), &direct, &[])).succeeded();
        assert_eq!(triplets(&output), triplets(&direct));
        for dataset in [output, direct] {
            std::fs::remove_dir_all(dataset).unwrap();
        }
    }
}

fn ids(input: &Path) -> Vec<Option<String>> {
    let options = OpenOptions::default().with("gene-id", "ensembl").unwrap();
    let source = source::open(input, &options).unwrap();
    let ids = source.obs_names(0..source.description().n_obs).unwrap();
    ids.iter().map(|id| id.map(str::to_string)).collect()
}

/// Disorder that begins long after the part that is inspected when a file is opened: what was
/// written is discarded, and the matrix is transposed.
#[test]
fn disorder_that_shows_late() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("sample");
    std::fs::create_dir(&input).unwrap();
    let (genes, cells) = (50, 2000);
    let mut entries: Vec<(usize, usize)> = Vec::new();
    for cell in 0..cells {
        entries.extend((0..40).map(|gene| (gene, cell)));
    }
    // The last gene of the first cell comes at the very end.
    entries.push((45, 0));
    let mut text = format!(
        "%%MatrixMarket matrix coordinate integer general\n{genes} {cells} {}\n",
        entries.len()
    );
    for (gene, cell) in &entries {
        text += &format!("{} {} {}\n", gene + 1, cell + 1, gene + cell % 7 + 1);
    }
    assert!(text.len() > 512 << 10);
    std::fs::write(input.join("matrix.mtx"), text).unwrap();
    let list = |count: usize, prefix: &str| -> String {
        (0..count).map(|i| format!("{prefix}{i}\n")).collect()
    };
    std::fs::write(input.join("barcodes.tsv"), list(cells, "c")).unwrap();
    std::fs::write(input.join("genes.tsv"), list(genes, "g")).unwrap();
    entries.sort_by_key(|&(gene, cell)| (cell, gene));
    let wanted: Vec<(u64, u64, f64)> = entries
        .iter()
        .map(|&(gene, cell)| (cell as u64, gene as u64, (gene + cell % 7 + 1) as f64))
        .collect();
    for flags in [&["--fragment-rows", "10000"][..], &["--threads", "1"]] {
        let output = folder.path().join("out.slaf");
        Run::of(&mut convert(&input, &output, flags)).succeeded();
        assert!(triplets(&output) == wanted);
        crate::support::dataset::assert_no_orphans(&output);
        std::fs::remove_dir_all(&output).unwrap();
    }
}
