//! Matrix Market files and their lists.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use hdf5_metno::types::VarLenUnicode;
use slaf::ingest::{Job, OverwritePolicy, ResumePolicy, RunOptions};
use slaf::plan::{Plan, PlanOptions};
use slaf::progress::Event;
use slaf::source::{Inputs, OpenOptions};
use slaf::store::LockPolicy;
use slaf::survey::Survey;
use slaf::table::TableName;

use crate::support::dataset::{assert_no_orphans, table, texts, triplets};
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::{Named, convert, named};

/// A folder of text files.
struct Folder(tempfile::TempDir);

impl Folder {
    fn of(files: &[(&str, &str)]) -> Self {
        let folder = Folder(tempfile::tempdir().unwrap());
        files
            .iter()
            .for_each(|(name, text)| folder.write(name, text));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with(".gz") {
            let file = std::fs::File::create(path).unwrap();
            let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            std::io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
            gz.finish().unwrap();
        } else {
            std::fs::write(path, text).unwrap();
        }
    }

    /// Converts inputs, given by name, and returns the result and the messages.
    fn converted(&self, inputs: &[&str], flags: &[&str]) -> (Named, String) {
        let output = self.path("out.slaf");
        let paths: Vec<PathBuf> = inputs.iter().map(|input| self.path(input)).collect();
        let mut command = slaf(&["convert"]);
        let run = Run::of(command.args(&paths).arg(&output).args(flags)).succeeded();
        let found = named(&output);
        std::fs::remove_dir_all(&output).unwrap();
        (found, run.stdout + &run.stderr)
    }

    /// Returns the message with which inputs are refused.
    fn refused(&self, inputs: &[&str], flags: &[&str]) -> String {
        let paths: Vec<PathBuf> = inputs.iter().map(|input| self.path(input)).collect();
        let output = self.path("refused.slaf");
        let run = convert(&paths, &output, flags).refused(3);
        assert!(!output.exists());
        run.stderr
    }
}

/// Returns a matrix of five genes × four cells, with values multiplied by `times`.
fn counts(times: u32) -> String {
    let entries = [
        (1, 1, 1),
        (3, 1, 2),
        (2, 2, 3),
        (5, 2, 4),
        (1, 4, 5),
        (4, 4, 6),
    ];
    let lines = entries.map(|(gene, cell, value)| format!("{gene} {cell} {}\n", value * times));
    format!(
        "%%MatrixMarket matrix coordinate integer general\n5 4 6\n{}",
        lines.concat()
    )
}

/// The expected contents.
fn wanted(times: u32, cell: &str) -> Named {
    let entries = [
        (0, 0, 1),
        (0, 2, 2),
        (1, 1, 3),
        (1, 4, 4),
        (3, 0, 5),
        (3, 3, 6),
    ];
    let entries = entries.iter().map(|&(row, gene, value)| {
        let value = f64::from(value * times);
        (format!("{cell}{row}"), format!("g{gene}"), value)
    });
    entries.collect()
}

fn list(prefix: &str, count: usize) -> String {
    (0..count).map(|i| format!("{prefix}{i}\n")).collect()
}

fn genes() -> String {
    (0..5).map(|i| format!("ENSG{i}\tg{i}\n")).collect()
}

/// Makes a folder with a matrix of five genes × four cells, given as text.
fn trio(matrix: &str) -> Folder {
    let (genes, cells) = (genes(), list("c", 4));
    Folder::of(&[
        ("m/matrix.mtx", matrix),
        ("m/genes.tsv", &genes),
        ("m/barcodes.tsv", &cells),
    ])
}

/// STARsolo writes the field real as "float".
#[test]
fn r80_the_field_float_is_real() {
    let text = counts(1)
        .replace("integer", "float")
        .replace(" 4 6\n", " 4 0.0078125\n");
    let text = text.replacen("5 4 0.0078125", "5 4 6", 1);
    let folder = trio(&text);
    let mut wanted = wanted(1, "c");
    wanted[5].2 = 0.0078125;
    assert_eq!(folder.converted(&["m"], &[]).0, wanted);
}

/// The words of the banner may be separated by any white space, and blank lines may precede it.
#[test]
fn tabs_and_blank_lines_around_the_banner() {
    let text = counts(1).replace(' ', "\t");
    let text = format!("\n  \r\n{}", text.replacen('\n', " \t\r\n% c\r\n", 1));
    let folder = trio(&text);
    assert_eq!(folder.converted(&["m"], &[]).0, wanted(1, "c"));
}

/// R writes 100000 as 1e+05 everywhere; others write 100000.0.
#[test]
fn r84_whole_numbers_with_exponents() {
    let text = counts(100_000).replace("100000\n", "1e+05\n");
    let text = text
        .replace("200000\n", "200000.0\n")
        .replace("5 4 6\n", "5e0 4 6.0\n");
    let text = text.replace("\n5 2 400000", "\n0.5e1 2 40e+04");
    for (order, replaced) in [("sorted", &text[..]), ("by gene", "")] {
        let mut lines: Vec<&str> = text.lines().collect();
        if replaced.is_empty() {
            lines[2..].reverse();
        }
        let folder = trio(&(lines.join("\n") + "\n"));
        assert_eq!(
            folder.converted(&["m"], &[]).0,
            wanted(100_000, "c"),
            "{order}"
        );
    }
    for (value, why) in [
        ("1e-05", "1e-05 is not a whole number"),
        ("2.5", "2.5 is not a whole number"),
        ("1e+19", "1e+19 is larger than 64 bits hold"),
    ] {
        let folder = trio(&counts(1).replace("5 2 4\n", &format!("5 2 {value}\n")));
        let message = folder.refused(&["m"], &[]);
        assert!(
            message.contains(why) && message.contains("line 6"),
            "{message}"
        );
    }
}

/// The only list of features was used for every matrix, even those of other samples.
#[test]
fn r90_features_of_a_series() {
    let folder = Folder::of(&[
        ("m/GSM1_x-matrix.mtx.gz", &counts(1)),
        ("m/GSM2_y-matrix.mtx.gz", &counts(10)),
        ("m/GSM1_x-barcodes.tsv.gz", &list("a", 4)),
        ("m/GSM2_y-barcodes.tsv.gz", &list("b", 4)),
        ("m/GSE9_features.tsv.gz", &genes()),
    ]);
    let all = [wanted(1, "a"), wanted(10, "b")].concat();
    let matrices = ["m/GSM1_x-matrix.mtx.gz", "m/GSM2_y-matrix.mtx.gz"];
    let features = folder.path("m/GSE9_features.tsv.gz");
    let flags = ["--features", features.to_str().unwrap()];
    assert_eq!(folder.converted(&matrices, &flags).0, all);
    let (found, said) = folder.converted(&["m"], &[]);
    assert_eq!(found, all);
    assert!(said.contains("those of GSE9_features.tsv.gz"), "{said}");
    // One sample's features are not used for another.
    let (from, to) = ("m/GSE9_features.tsv.gz", "m/GSM1_x-features.tsv.gz");
    std::fs::rename(folder.path(from), folder.path(to)).unwrap();
    let message = folder.refused(&[matrices[1]], &[]);
    for mention in [
        "--features",
        "GSM1_x-features.tsv.gz belongs to GSM1_x-matrix.mtx.gz",
    ] {
        assert!(message.contains(mention), "{message}");
    }
    // A single list of cells for two matrices would be wrong for one of them.
    let output = folder.path("o");
    let barcodes = folder.path("m/GSM1_x-barcodes.tsv.gz");
    let paths = matrices.map(|matrix| folder.path(matrix));
    let flags = ["--barcodes", barcodes.to_str().unwrap()];
    let message = convert(&paths, &output, &flags).refused(2).stderr;
    assert!(
        message.contains("one matrix") && message.contains("2 inputs"),
        "{message}"
    );
}

/// Three cells × three genes, with cells as rows.
const SQUARE: &str =
    "%%MatrixMarket matrix coordinate integer general\n3 3 5\n1 1 1\n1 2 2\n2 2 3\n3 1 4\n3 3 5\n";

fn square(cells_by_genes: bool) -> Named {
    let entries = [
        (0, 0, 1.0),
        (0, 1, 2.0),
        (1, 1, 3.0),
        (2, 0, 4.0),
        (2, 2, 5.0),
    ];
    let entries = entries.iter().map(|&(row, column, value)| {
        let (cell, gene) = if cells_by_genes {
            (row, column)
        } else {
            (column, row)
        };
        (format!("c{cell}"), format!("g{gene}"), value)
    });
    let mut named: Named = entries.collect();
    named.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    named
}

/// A square matrix was always assumed to be genes × cells.
#[test]
fn r92_square_matrices() {
    let (cells, genes) = (list("c", 3), list("g", 3));
    let folder = Folder::of(&[
        ("kb/cells_x_genes.mtx", SQUARE),
        ("kb/cells_x_genes.barcodes.txt", &cells),
        ("kb/cells_x_genes.genes.txt", &genes),
        ("kb/cells_x_genes.genes.names.txt", &list("n", 3)),
        ("tenx/matrix.mtx", SQUARE),
        ("tenx/barcodes.tsv", &cells),
        ("tenx/genes.tsv", &genes),
        ("any/counts.mtx", SQUARE),
        ("any/barcodes.tsv", &cells),
        ("any/genes.tsv", &genes),
        (
            "same/counts.mtx",
            "%%MatrixMarket matrix coordinate integer symmetric\n3 3 1\n2 1 7\n",
        ),
        ("same/barcodes.tsv", &cells),
        ("same/genes.tsv", &genes),
    ]);
    let (found, said) = folder.converted(&["kb"], &[]);
    assert_eq!(found, square(true));
    assert!(
        said.contains("square") && said.contains("cells_x_genes.mtx"),
        "{said}"
    );
    let (found, said) = folder.converted(&["tenx"], &[]);
    assert_eq!(found, square(false));
    assert!(said.contains("--orientation cells-by-genes"), "{said}");
    let message = folder.refused(&["any"], &[]);
    assert!(
        message.contains("--orientation genes-by-cells"),
        "{message}"
    );
    // Transposing a symmetric matrix does not change it.
    assert_eq!(folder.converted(&["same"], &[]).0.len(), 2);
    for (orientation, cells_by_genes) in [("cells-by-genes", true), ("genes-by-cells", false)] {
        for input in ["kb", "tenx", "any"] {
            let (found, said) = folder.converted(&[input], &["--orientation", orientation]);
            assert_eq!(found, square(cells_by_genes), "{input}");
            assert!(!said.contains("square"), "{said}");
        }
    }
    // A dataset records the orientation given for its input.
    let output = folder.path("said.slaf");
    let flags = ["--orientation", "cells-by-genes"];
    convert(&[folder.path("any")], &output, &flags).succeeded();
    let mut verify = slaf(&["verify", "-q"]);
    Run::of(verify.arg(&output).arg("--against").arg(folder.path("any"))).succeeded();
}

/// A given orientation must not contradict the lengths of the lists.
#[test]
fn r92_an_orientation_that_cannot_be() {
    let folder = trio(&counts(1));
    let message = folder.refused(&["m"], &["--orientation", "cells-by-genes"]);
    assert!(message.contains("leave out --orientation"), "{message}");
    assert_eq!(
        folder
            .converted(&["m"], &["--orientation", "genes-by-cells"])
            .0,
        wanted(1, "c")
    );
    let h5 = repository("fixtures/10x_h5/v3.h5");
    let output = folder.path("refused.slaf");
    let run = convert(&[h5], &output, &["--orientation", "genes-by-cells"]).refused(3);
    assert!(run.stderr.contains("--orientation"), "{}", run.stderr);
}

/// alevin-fry names its lists after rows and columns.
#[test]
fn r94_lists_of_rows_and_columns() {
    let mut entries: Vec<String> = counts(1).lines().skip(2).map(String::from).collect();
    for entry in &mut entries {
        let [gene, cell, value] = entry.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{entry}");
        };
        *entry = format!("{cell} {gene} {value}");
    }
    let banner = "%%MatrixMarket matrix coordinate real general";
    let text = format!("{banner}\n4 5 6\n{}\n", entries.join("\n"));
    let folder = Folder::of(&[
        ("m/quants_mat.mtx", &text),
        ("m/quants_mat_rows.txt", &list("c", 4)),
        ("m/quants_mat_cols.txt", &list("g", 5)),
        ("square/quants_mat.mtx", SQUARE),
        ("square/quants_mat_rows.txt", &list("c", 3)),
        ("square/quants_mat_cols.txt", &list("g", 3)),
    ]);
    assert_eq!(folder.converted(&["m"], &[]).0, wanted(1, "c"));
    assert_eq!(folder.converted(&["square"], &[]).0, square(true));
    let [rows, columns] =
        ["rows", "cols"].map(|axis| folder.path(&format!("m/quants_mat_{axis}.txt")));
    let elsewhere = folder.path("alone/x.mtx");
    std::fs::create_dir(elsewhere.parent().unwrap()).unwrap();
    std::fs::rename(folder.path("m/quants_mat.mtx"), elsewhere).unwrap();
    let flags = [
        "--barcodes",
        rows.to_str().unwrap(),
        "--features",
        columns.to_str().unwrap(),
    ];
    assert_eq!(folder.converted(&["alone/x.mtx"], &flags).0, wanted(1, "c"));
    let message = folder.refused(&["alone/x.mtx"], &[]);
    assert!(message.contains("--barcodes"), "{message}");
}

/// Lists were found by name, compressed ones last: a matrix got lists of the other generation.
#[test]
fn r252_two_generations_in_a_folder() {
    let folder = Folder::of(&[
        ("m/matrix.mtx", &counts(10)),
        ("m/genes.tsv", &genes().replace('g', "h")),
        ("m/barcodes.tsv", &list("v2_c", 4)),
        ("m/matrix.mtx.gz", &counts(1)),
        ("m/features.tsv.gz", &genes()),
        ("m/barcodes.tsv.gz", &list("c", 4)),
    ]);
    assert_eq!(
        folder.converted(&["m/matrix.mtx.gz"], &[]).0,
        wanted(1, "c")
    );
    let mut second = wanted(10, "v2_c");
    second
        .iter_mut()
        .for_each(|entry| entry.1 = entry.1.replace('g', "h"));
    // The other may be the same uncompressed, next to older lists: its lists must be given.
    let message = folder.refused(&["m/matrix.mtx"], &[]);
    for mention in ["two generations", "--barcodes"] {
        assert!(message.contains(mention), "{message}");
    }
    let [cells, features] = ["barcodes.tsv", "genes.tsv"].map(|name| folder.path("m").join(name));
    let flags = [
        "--barcodes",
        cells.to_str().unwrap(),
        "--features",
        features.to_str().unwrap(),
    ];
    assert_eq!(folder.converted(&["m/matrix.mtx"], &flags).0, second);
    let (found, said) = folder.converted(&["m"], &[]);
    assert_eq!(found, wanted(1, "c"));
    assert!(said.contains("matrix.mtx.gz unpacked"), "{said}");
    // A missing list is not replaced by one of the other generation.
    std::fs::remove_file(folder.path("m/barcodes.tsv.gz")).unwrap();
    let message = folder.refused(&["m/matrix.mtx.gz"], &[]);
    for mention in ["barcodes.tsv belongs to matrix.mtx", "--barcodes"] {
        assert!(message.contains(mention), "{message}");
    }
    // Of two lists of features, one belongs to another matrix, unless they are equal.
    let folder = trio(&counts(1));
    folder.write("m/features.tsv", &genes().replace("ENSG0", "ENSG9"));
    let message = folder.refused(&["m"], &[]);
    assert!(message.contains("features.tsv and genes.tsv"), "{message}");
    folder.write("m/features.tsv", &genes());
    assert_eq!(folder.converted(&["m"], &[]).0, wanted(1, "c"));
}

/// Lists without a prefix were used for any matrix.
#[test]
fn r305_lists_of_another_sample() {
    let folder = Folder::of(&[
        ("f/matrix.mtx", &counts(1)),
        ("f/genes.tsv", &genes()),
        ("f/barcodes.tsv", &list("c", 4)),
        ("f/GSM2_matrix.mtx", &counts(10)),
        ("g/GSM2_matrix.mtx", &counts(10)),
        ("g/GSM1_barcodes.tsv", &list("c", 4)),
        ("g/genes.tsv", &genes()),
    ]);
    let message = folder.refused(&["f/GSM2_matrix.mtx"], &[]);
    for mention in ["barcodes.tsv belongs to matrix.mtx", "--barcodes"] {
        assert!(message.contains(mention), "{message}");
    }
    let message = folder.refused(&["g/GSM2_matrix.mtx"], &[]);
    assert!(
        message.contains("GSM1_barcodes.tsv") && message.contains("--barcodes"),
        "{message}"
    );
    let [cells, features] = ["barcodes.tsv", "genes.tsv"].map(|name| folder.path("f").join(name));
    let flags = [
        "--barcodes",
        cells.to_str().unwrap(),
        "--features",
        features.to_str().unwrap(),
    ];
    assert_eq!(
        folder.converted(&["f/GSM2_matrix.mtx"], &flags).0,
        wanted(10, "c")
    );
}

/// A line with commas was taken for a name.
#[test]
fn r253_lists_with_commas() {
    let rows = |prefix: &str, count: usize, rest: &str| -> String {
        (0..count).map(|i| format!("{prefix}{i}{rest}\n")).collect()
    };
    let cells = rows("c", 4, ",all,hg38");
    let genes: String = (0..5).map(|i| format!("ENSG{i},g{i},hg38\n")).collect();
    let folder = Folder::of(&[
        ("m/count_matrix.mtx", &counts(1)),
        ("m/cell_metadata.csv", &cells),
        ("m/all_genes.csv", &genes),
        (
            "h/cell_metadata.csv",
            &format!("bc_wells,sample,species\n{cells}"),
        ),
        (
            "h/all_genes.csv",
            &format!("gene_id,gene_name,genome\n{genes}"),
        ),
        ("t/cells.txt", &cells),
        ("t/genes.txt", &genes.replace(',', ";")),
        (
            "n/cells.csv",
            &format!("\"\",\"x\"\n{}", "1,a\n2,b\n3,c\n4,d\n"),
        ),
    ]);
    let with = |cells: &str, genes: &str| {
        let paths = [cells, genes].map(|name| folder.path(name).display().to_string());
        let [cells, genes] = paths;
        ["--barcodes".into(), cells, "--features".into(), genes]
    };
    for lists in ["m", "h"] {
        let names = ["cell_metadata", "all_genes"].map(|name| format!("{lists}/{name}.csv"));
        let flags = with(&names[0], &names[1]);
        let flags = flags.each_ref().map(String::as_str);
        let (found, said) = folder.converted(&["m/count_matrix.mtx"], &flags);
        assert_eq!(found, wanted(1, "c"), "{lists}");
        assert!(said.contains("split at commas"), "{said}");
        let output = folder.path("out.slaf");
        convert(&[folder.path("m/count_matrix.mtx")], &output, &flags).succeeded();
        let genes = table(&output, TableName::Genes);
        let column = |name: &str| genes.column_by_name(name).map(texts).unwrap_or_default();
        assert_eq!(column("gene_ids")[4].as_deref(), Some("ENSG4"));
        let genome = if lists == "h" {
            "genome"
        } else {
            "feature_column_3"
        };
        assert_eq!(column(genome)[0].as_deref(), Some("hg38"));
        std::fs::remove_dir_all(&output).unwrap();
    }
    for (cells, genes, mention) in [
        ("t/cells.txt", "m/all_genes.csv", "commas"),
        ("m/cell_metadata.csv", "t/genes.txt", "semicolons"),
        ("n/cells.csv", "m/all_genes.csv", "numbers its lines"),
    ] {
        let flags = with(cells, genes);
        let flags = flags.each_ref().map(String::as_str);
        let message = folder.refused(&["m/count_matrix.mtx"], &flags);
        assert!(message.contains(mention), "{message}");
    }
}

/// Number of genes, and number of entries per cell.
const GENES: usize = 50;
const OF_A_CELL: usize = 40;

/// Entries of a sample with this many cells: numbers of gene and cell, and value.
fn entries(cells: usize) -> Vec<(usize, usize, usize)> {
    let cells = (0..cells).flat_map(|cell| (0..OF_A_CELL).map(move |gene| (gene, cell)));
    cells
        .map(|(gene, cell)| (gene, cell, gene + cell % 7 + 1))
        .collect()
}

/// Writes a sample to a folder; the prefix is that of the files.
fn sample(folder: &Folder, prefix: &str, cells: usize, entries: &[(usize, usize, usize)]) {
    let lines = entries
        .iter()
        .map(|(gene, cell, value)| format!("{} {} {value}\n", gene + 1, cell + 1));
    let head = "%%MatrixMarket matrix coordinate integer general";
    let text = format!("{head}\n{GENES} {cells} {}\n", entries.len());
    folder.write(
        &format!("{prefix}matrix.mtx"),
        &(text + &lines.collect::<String>()),
    );
    let word = prefix.rsplit('/').next().unwrap();
    folder.write(
        &format!("{prefix}barcodes.tsv"),
        &list(&format!("{word}c"), cells),
    );
    folder.write(&format!("{prefix}genes.tsv"), &list("g", GENES));
}

/// Three samples in the folder m. In the last one, an entry of the first cell is at the very end,
/// long after the part that is inspected when a file is opened.
fn late_disorder() -> (Folder, [usize; 3]) {
    let folder = Folder::of(&[]);
    let cells = [500, 500, 2000];
    for (prefix, cells) in ["m/GSM1_", "m/GSM2_", "m/GSM3_"].into_iter().zip(cells) {
        let mut entries = entries(cells);
        if cells == 2000 {
            entries.push((45, 0, 77));
        }
        sample(&folder, prefix, cells, &entries);
    }
    (folder, cells.map(|cells| cells * OF_A_CELL))
}

/// One unsorted matrix among many caused the finished shards of all to be discarded.
#[test]
fn d4_an_unsorted_matrix_discards_its_own_shards_only() {
    let (folder, entries) = late_disorder();
    let paths = [1, 2, 3].map(|sample| folder.path(&format!("m/GSM{sample}_matrix.mtx")));
    let inputs = Inputs::of_paths(paths.map(|path| (path, OpenOptions::default())));
    let surveys = Survey::of_all(&inputs, 2).unwrap();
    let options = PlanOptions {
        fragment_rows: 10_000,
        ..PlanOptions::default()
    };
    let plan = Plan::new(&inputs, &surveys, &options).unwrap();
    // A shard may contain the end of one input and the beginning of the next.
    let others = plan.shards.iter();
    let others = others.filter(|shard| shard.parts.iter().all(|part| part.input != 2));
    let rows = others.flat_map(|shard| shard.parts.iter().map(|part| part.rows.clone()));
    let others = rows.map(|rows| rows.end - rows.start).sum::<u64>() * OF_A_CELL as u64;
    assert!(others > 20_000);
    let all = entries.iter().sum::<usize>() as u64 + 1;
    let output = folder.path("out.slaf");
    let options = RunOptions {
        threads: 1,
        memory: 512 << 20,
        chunk_cells: u64::MAX,
        existing: OverwritePolicy::Refuse,
        earlier: ResumePolicy::Resume,
        wait: LockPolicy::No,
    };
    let (kept, since) = (AtomicU64::new(0), AtomicU64::new(0));
    let progress = |event: Event<'_>| match event {
        Event::StartedOver { entries } => {
            assert_eq!(kept.swap(entries, Ordering::SeqCst), 0, "begun anew twice");
            since.store(0, Ordering::SeqCst);
        }
        Event::Written { entries } => {
            since.fetch_add(entries, Ordering::SeqCst);
        }
        _ => {}
    };
    let job = Job::begin(plan, &output, options).unwrap();
    job.run(&inputs, &progress).unwrap().close().unwrap();
    assert_eq!(kept.into_inner(), others);
    assert_eq!(since.into_inner(), all - others);
    assert_no_orphans(&output);
    let found = triplets(&output);
    assert_eq!(found.len() as u64, all);
    let late = found
        .iter()
        .filter(|(cell, gene, _)| (*cell, *gene) == (1000, 45));
    assert_eq!(late.map(|row| row.2).collect::<Vec<_>>(), [77.0]);
}

/// A resumed run did not know that an input is unsorted. If a part of its rows was written, the
/// rest alone may look sorted.
#[test]
fn d4_a_resumed_run_knows_that_an_input_is_unsorted() {
    let (folder, _) = late_disorder();
    let run = |output: &str, point: Option<&str>| {
        let mut command = slaf(&[
            "convert",
            "-v",
            "--threads",
            "1",
            "--fragment-rows",
            "10000",
        ]);
        command.arg(folder.path("m")).arg(folder.path(output));
        if let Some(point) = point {
            command.env("SLAF_FAIL_AT", point);
        }
        Run::of(&mut command)
    };
    let wanted = run("wanted.slaf", None).succeeded();
    let transposed = "is not in the order of its cells";
    assert!(wanted.stderr.contains(transposed), "{}", wanted.stderr);
    // Four shards of others, eight of the last input, which are discarded, and three of it again.
    let killed = run("out.slaf", Some("after-record:15"));
    assert_eq!(killed.code, None);
    assert!(killed.stderr.contains(transposed), "{}", killed.stderr);
    let resumed = run("out.slaf", None).succeeded();
    assert!(
        resumed.stderr.contains("after 7 finished shards"),
        "{}",
        resumed.stderr
    );
    assert!(!resumed.stderr.contains(transposed), "{}", resumed.stderr);
    let [output, wanted] = ["out.slaf", "wanted.slaf"].map(|name| folder.path(name));
    assert_eq!(triplets(&output), triplets(&wanted));
    assert_no_orphans(&output);
}

/// The message about the disorder of an input in an archive names the archive, so the input was not
/// recognised.
#[test]
fn d4_disorder_in_an_archive() {
    let (folder, entries) = late_disorder();
    let archive = folder.path("GSE1_RAW.tar");
    let mut tar = std::process::Command::new("tar");
    tar.arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(folder.path("m"))
        .arg(".");
    assert!(tar.status().unwrap().success());
    let output = folder.path("out.slaf");
    let flags = ["--fragment-rows", "10000", "--threads", "2"];
    convert(&[archive], &output, &flags).succeeded();
    assert_eq!(triplets(&output).len(), entries.iter().sum::<usize>() + 1);
}

/// Reading only some cells missed entries of theirs that come later.
#[test]
fn d4_a_part_of_an_unsorted_matrix() {
    let (folder, _) = late_disorder();
    for flags in [
        &["--limit", "3"][..],
        &["--where", "cell_id in ('GSM3_c0', 'GSM3_c1', 'GSM3_c2')"],
    ] {
        let (found, _) = folder.converted(&["m/GSM3_matrix.mtx"], flags);
        assert_eq!(found.len(), 3 * OF_A_CELL + 1, "{flags:?}");
        assert!(found.contains(&("GSM3_c0".into(), "g45".into(), 77.0)));
    }
}

/// Disorder that shows up late ended a comparison.
#[test]
fn d4_verify_against_an_unsorted_matrix() {
    let (folder, _) = late_disorder();
    let (input, output) = (folder.path("m/GSM3_matrix.mtx"), folder.path("out.slaf"));
    convert(std::slice::from_ref(&input), &output, &[]).succeeded();
    let mut verify = slaf(&["verify", "-q"]);
    Run::of(verify.arg(&output).arg("--against").arg(&input)).succeeded();
}

/// Returns a modified copy of a fixture.
fn changed(fixture: &str, change: impl FnOnce(&hdf5_metno::File)) -> Folder {
    let folder = Folder::of(&[]);
    let input = folder.path("in.h5");
    std::fs::copy(repository(fixture), &input).unwrap();
    let mut permissions = std::fs::metadata(&input).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    std::fs::set_permissions(&input, permissions).unwrap();
    change(&hdf5_metno::File::open_rw(&input).unwrap());
    folder
}

/// A complex number, as h5py writes it.
#[derive(Clone, Copy, hdf5_metno::H5Type)]
#[repr(C)]
struct Complex {
    r: f32,
    i: f32,
}

/// A column that does not contain numbers was left out silently.
#[test]
fn hostile_18_2_barcodes_filtered_by_complex_numbers() {
    const OBJECT: &str = "matrix/filtered_barcodes";
    for complex in [true, false] {
        let folder = changed("fixtures/10x_h5/v3_probes.h5", |file| {
            let count = file.dataset(OBJECT).unwrap().size();
            file.unlink(OBJECT).unwrap();
            let builder = file.new_dataset_builder();
            if complex {
                builder
                    .with_data(&vec![Complex { r: 1.0, i: 0.0 }; count])
                    .create(OBJECT)
                    .unwrap()
            } else {
                let text: VarLenUnicode = "yes".parse().unwrap();
                builder
                    .with_data(&vec![text; count])
                    .create(OBJECT)
                    .unwrap()
            };
        });
        let (found, said) = folder.converted(&["in.h5"], &[]);
        assert!(!found.is_empty());
        assert!(said.contains(OBJECT), "{said}");
    }
}

/// A feature column that is stored once for all features was refused.
#[test]
fn a_scalar_stands_for_all_features() {
    const GENOME: &str = "matrix/features/genome";
    let folder = changed("fixtures/10x_h5/v3.h5", |file| {
        file.unlink(GENOME).unwrap();
        let genome = file.new_dataset::<VarLenUnicode>().create(GENOME).unwrap();
        genome
            .write_scalar(&"GRCh38".parse::<VarLenUnicode>().unwrap())
            .unwrap();
        let release = file
            .new_dataset::<i32>()
            .create("matrix/features/release")
            .unwrap();
        release.write_scalar(&109).unwrap();
    });
    let output = folder.path("out.slaf");
    let flags = ["--genome", "GRCh38"];
    convert(&[folder.path("in.h5")], &output, &flags).succeeded();
    let genes = table(&output, TableName::Genes);
    let genomes = texts(genes.column_by_name("genome").unwrap());
    assert!(genomes.len() > 1 && genomes.iter().all(|text| text.as_deref() == Some("GRCh38")));
    let releases = crate::support::dataset::integers(genes.column_by_name("release").unwrap());
    assert_eq!(releases, vec![109; genomes.len()]);
    // A column that distinguishes features cannot have a single value for all.
    let folder = changed("fixtures/10x_h5/v3.h5", |file| {
        file.unlink("matrix/features/id").unwrap();
        let id = file
            .new_dataset::<VarLenUnicode>()
            .create("matrix/features/id")
            .unwrap();
        id.write_scalar(&"ENSG".parse::<VarLenUnicode>().unwrap())
            .unwrap();
    });
    let message = folder.refused(&["in.h5"], &[]);
    assert!(message.contains("matrix/features/id"), "{message}");
}

/// Text files and archives have no objects; messages named one as "/".
#[test]
fn hostile_18_4_no_object_where_there_is_none() {
    let folder = trio(&counts(1).replace("5 2 4\n", "5 2 x\n"));
    folder.write("m/other.txt", "");
    for (input, flags) in [
        ("m", &[][..]),
        ("m/genes.tsv", &["--format", "10x-mtx"]),
        ("m/matrix.mtx", &["--matrix", "raw"]),
        ("m/matrix.mtx", &["--measurement", "RNA"]),
    ] {
        let message = folder.refused(&[input], flags);
        assert!(
            !message.contains(" /: ") && !message.contains(": /,"),
            "{message}"
        );
    }
    let message = folder.refused(&["m"], &[]);
    assert!(message.contains("matrix.mtx: line 6: "), "{message}");
}
