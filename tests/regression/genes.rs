//! Joins of genes with wrong genes.

use std::path::{Path, PathBuf};

use serde_json::Value;
use slaf::dataset::Dataset;
use slaf::table::TableName;

use crate::support::dataset::{table, texts};
use crate::support::h5ad_writer::{add_texts, write_named};
use crate::support::program::{Run, slaf};
use crate::support::small::{Named, convert, named};

/// Genes: names, and identifiers if there are any.
type Genes<'a> = &'a [(&'a str, &'a str)];

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| text.to_string()).collect()
}

/// Writes an h5ad of two cells `PREFIX0` and `PREFIX1`; in the first, gene i has the value FIRST +
/// i.
fn h5ad(path: &Path, prefix: &str, names: &[&str], ids: Option<&[&str]>, first: f32) {
    let cells = strings(&[&format!("{prefix}0"), &format!("{prefix}1")]);
    let entries: Vec<_> = (0..names.len())
        .map(|gene| (0, gene, first + gene as f32))
        .collect();
    write_named(path, &cells, &strings(names), &entries);
    if let Some(ids) = ids {
        add_texts(path, "var/gene_ids", ids.len(), |gene| {
            ids[gene].to_string()
        });
    }
}

/// Writes a 10x matrix in a folder with the same contents.
fn tenx(path: &Path, prefix: &str, genes: Genes<'_>, first: usize) {
    std::fs::create_dir(path).unwrap();
    let features: String = genes
        .iter()
        .map(|(name, id)| format!("{id}\t{name}\tGene Expression\n"))
        .collect();
    std::fs::write(path.join("features.tsv"), features).unwrap();
    let barcodes = format!("{prefix}0\n{prefix}1\n");
    std::fs::write(path.join("barcodes.tsv"), barcodes).unwrap();
    let head = "%%MatrixMarket matrix coordinate integer general";
    let mut matrix = format!("{head}\n{0} 2 {0}\n", genes.len());
    for gene in 0..genes.len() {
        matrix += &format!("{} 1 {}\n", gene + 1, first + gene);
    }
    std::fs::write(path.join("matrix.mtx"), matrix).unwrap();
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn paths<const N: usize>(&self, names: [&str; N]) -> Vec<PathBuf> {
        names.map(|name| self.path(name)).to_vec()
    }
}

fn append(input: &Path, dataset: &Path, flags: &[&str]) -> Run {
    Run::of(slaf(&["append"]).arg(input).arg(dataset).args(flags))
}

fn validate(inputs: &[PathBuf], flags: &[&str]) -> (Run, Value) {
    let run = Run::of(slaf(&["validate", "--json"]).args(inputs).args(flags));
    let report = serde_json::from_str(&run.stdout).unwrap();
    (run, report)
}

#[track_caller]
fn says(run: &Run, words: &[&str]) {
    for word in words {
        assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
    }
}

fn verified(dataset: &Path, inputs: &[PathBuf]) {
    let run = Run::of(slaf(&["verify"]).arg(dataset).arg("--against").args(inputs));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

fn sorted(mut values: Named) -> Named {
    values.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    values
}

fn of(values: &[(&str, &str, f64)]) -> Named {
    let values = values.iter();
    sorted(
        values
            .map(|(cell, gene, value)| (cell.to_string(), gene.to_string(), *value))
            .collect(),
    )
}

const OUTER: [&str; 4] = ["--join", "outer", "--var-join", "outer"];

/// The message named the file being joined, not the one that has the repeated names.
#[test]
fn r147_the_file_that_repeats_names_is_named() {
    let folder = Folder::new();
    let [a, b, c] = ["a.h5ad", "b.h5ad", "c.h5ad"].map(|name| folder.path(name));
    h5ad(&a, "a", &["g", "g", "h"], None, 1.0);
    h5ad(&b, "b", &["h", "g", "g"], None, 1.0);
    h5ad(&c, "c", &["g", "h", "k"], None, 1.0);
    let output = folder.path("out.slaf");
    for (inputs, named) in [
        ([a.clone(), c.clone()], "a.h5ad: "),
        ([c.clone(), a.clone()], "a.h5ad: "),
        ([a.clone(), b.clone()], "b.h5ad: "),
    ] {
        let run = convert(&inputs, &output, &["--join", "outer"]).refused(3);
        says(&run, &[named, "\"g\"", "--gene-key"]);
    }
    convert(&[a], &output, &[]).succeeded();
    let run = append(&c, &output, &["--join", "outer"]).refused(3);
    says(&run, &["out.slaf: ", "\"g\"", "--gene-key"]);
}

/// Inputs with equal cell and gene identifiers and the same number of entries were taken for the
/// same input.
#[test]
fn r151_other_values_are_another_input() {
    let folder = Folder::new();
    let inputs = folder.paths(["a.h5ad", "b.h5ad"]);
    h5ad(&inputs[0], "c", &["g", "h"], None, 1.0);
    h5ad(&inputs[1], "c", &["g", "h"], None, 5.0);
    let output = folder.path("out.slaf");
    let run = convert(&inputs, &output, &[]).refused(3);
    says(&run, &["2 cells", "\"c0\"", "--allow-duplicate-cells"]);
    convert(&inputs, &output, &["--allow-duplicate-cells"]).succeeded();
    assert_eq!(named(&output).len(), 4);
    // A copy is the same input, and so is the file that the dataset already contains.
    let copy = folder.path("copy.h5ad");
    std::fs::copy(&inputs[0], &copy).unwrap();
    let flags = ["--allow-duplicate-cells", "--overwrite"];
    let run = convert(&[inputs[0].clone(), copy.clone()], &output, &flags).refused(3);
    says(&run, &["is the same as", "--allow-duplicate-source"]);
    for again in [&inputs[1], &copy] {
        let run = append(again, &output, &["--allow-duplicate-cells"]).refused(3);
        says(&run, &["in the dataset already"]);
    }
    let (run, report) = validate(&inputs, &["--allow-duplicate-cells"]);
    assert_eq!(run.code, Some(0), "{report}");
}

/// An inner join of disjoint genes resulted in cells without values.
#[test]
fn r267_nothing_shared_is_refused_and_what_is_dropped_is_told() {
    let folder = Folder::new();
    let inputs = folder.paths(["a.h5ad", "b.h5ad", "c.h5ad"]);
    h5ad(&inputs[0], "a", &["g", "h", "i"], None, 1.0);
    h5ad(&inputs[1], "b", &["x", "y"], None, 1.0);
    h5ad(&inputs[2], "c", &["x", "h", "z"], None, 1.0);
    let [a, b, c] = &inputs[..] else { panic!() };
    let output = folder.path("out.slaf");
    let inner = &["--join", "inner"][..];
    let run = convert(&[a.clone(), b.clone()], &output, inner).refused(3);
    says(
        &run,
        &["b.h5ad has none of the genes", "x, y", "--join outer"],
    );
    // Any two have genes in common, but all three together do not.
    let pairs = [a.clone(), c.clone(), b.clone()];
    convert(&pairs, &output, inner).refused(3);
    let (run, report) = validate(&pairs, inner);
    assert_eq!(run.code, Some(3), "{report}");
    convert(std::slice::from_ref(a), &output, &[]).succeeded();
    let run = append(b, &output, inner).refused(3);
    says(&run, &["b.h5ad has none of the genes"]);
    let run = append(c, &output, inner).succeeded();
    let told = "c.h5ad: 1 of 3 are shared; 2 are left out with their 2 values";
    assert!(run.stdout.contains(told), "{}", run.stdout);
    assert!(run.stdout.contains("only 1 of its 3"), "{}", run.stdout);
    let config = Dataset::open(&output).unwrap().config().clone();
    let join = config.sources[1].gene_join.clone().unwrap();
    assert_eq!((join.shared, join.dropped), (1, 2));
    assert_eq!(config.sources[1].canonicalized.dropped, 2);
    verified(&output, &[a.clone(), c.clone()]);
    // An outer join reports the number of shared genes, and warns if there are few.
    let (run, report) = validate(&[a.clone(), c.clone()], &["--join", "outer"]);
    assert_eq!(run.code, Some(0), "{report}");
    let warning = report["inputs"][1]["warnings"][0].as_str().unwrap();
    assert!(warning.contains("only 1 of its 3"), "{warning}");
}

/// `A` and `A-1` depend on the order in a file: M1 of one file was joined with M2 of another.
#[test]
fn r311_suffixes_given_by_place_are_no_genes() {
    let folder = Folder::new();
    let inputs = folder.paths(["a", "b", "c.h5ad"]);
    tenx(&inputs[0], "a", &[("A", "M1"), ("A", "M2"), ("C", "M3")], 1);
    tenx(
        &inputs[1],
        "b",
        &[("A", "M2"), ("A", "M1"), ("C", "M3")],
        11,
    );
    h5ad(&inputs[2], "c", &["A", "C", "F"], None, 21.0);
    let [a, b, c] = &inputs[..] else { panic!() };
    let output = folder.path("out.slaf");
    for orders in [[a, b, c], [c, a, b], [b, c, a]] {
        let inputs: Vec<PathBuf> = orders.map(PathBuf::clone).to_vec();
        let run = convert(&inputs, &output, &OUTER).refused(3);
        says(&run, &["\"A\"", "given by place", "--gene-key"]);
        let (run, report) = validate(&inputs, &OUTER);
        assert_eq!(run.code, Some(3), "{report}");
    }
    let both = [a.clone(), b.clone()];
    convert(&both, &output, &[]).succeeded();
    let wanted = of(&[
        ("a0", "A", 1.0),
        ("a0", "A-1", 2.0),
        ("a0", "C", 3.0),
        ("b0", "A-1", 11.0),
        ("b0", "A", 12.0),
        ("b0", "C", 13.0),
    ]);
    assert_eq!(named(&output), wanted);
    let run = append(c, &output, &OUTER).refused(3);
    says(&run, &["\"A\"", "c.h5ad"]);
    // A list without the name is joined on the names it has.
    let d = folder.path("d.h5ad");
    h5ad(&d, "d", &["F", "C"], None, 31.0);
    append(&d, &output, &OUTER).succeeded();
    verified(&output, &[a.clone(), b.clone(), d]);
}

/// The same for names that anndata or R made unique: there are no identifiers to distinguish genes.
#[test]
fn r311_names_that_look_made_unique_are_joined_in_the_same_list_only() {
    let folder = Folder::new();
    let inputs = folder.paths(["a.h5ad", "b.h5ad", "c.h5ad"]);
    for (names, others) in [
        (["A", "A-1", "C"], ["C", "A", "A-1"]),
        (["A", "A.1", "C"], ["C", "A", "A.1"]),
    ] {
        h5ad(&inputs[0], "a", &names, None, 1.0);
        h5ad(&inputs[1], "b", &names, None, 1.0);
        h5ad(&inputs[2], "c", &others, None, 1.0);
        let output = folder.path("out.slaf");
        convert(&inputs[..2], &output, &["--overwrite"]).succeeded();
        let run = append(&inputs[2], &output, &[]).refused(3);
        says(&run, &["\"A\"", "--gene-key gene_id"]);
        append(&inputs[2], &output, &["--gene-key", "gene_id"]).succeeded();
        assert_eq!(named(&output).len(), 9);
        verified(&output, &inputs);
    }
    // A name with a number is an original name if no other list has it without the number.
    h5ad(&inputs[0], "a", &["NKX2-1", "C"], None, 1.0);
    h5ad(&inputs[1], "b", &["C", "NKX2-1"], None, 1.0);
    let output = folder.path("out.slaf");
    convert(&inputs[..2], &output, &["--overwrite"]).succeeded();
}

/// Genes were joined by name because one file has no identifiers, although those of the others
/// differ.
#[test]
fn r316_a_name_of_two_identifiers_joins_nothing() {
    let folder = Folder::new();
    let inputs = folder.paths(["a.h5ad", "b.h5ad", "c.h5ad"]);
    h5ad(&inputs[0], "a", &["g", "h"], Some(&["M1", "M2"]), 1.0);
    h5ad(&inputs[1], "b", &["g", "h"], Some(&["M9", "M2"]), 11.0);
    h5ad(&inputs[2], "c", &["g", "h"], None, 21.0);
    let [a, b, c] = &inputs[..] else { panic!() };
    let output = folder.path("out.slaf");
    for orders in [[a, b, c], [a, c, b], [c, a, b], [c, b, a]] {
        let inputs: Vec<PathBuf> = orders.map(PathBuf::clone).to_vec();
        let run = convert(&inputs, &output, &OUTER).refused(3);
        says(&run, &["\"g\"", "M1", "M9", "a.h5ad", "b.h5ad"]);
    }
    // By identifier, the two are different genes.
    convert(&[a.clone(), b.clone()], &output, &OUTER).succeeded();
    assert_eq!(Dataset::open(&output).unwrap().config().n_genes, 3);
    let run = append(c, &output, &OUTER).refused(3);
    says(&run, &["\"g\"", "M1", "M9"]);
    // A gene joined by name takes over the identifier of the other.
    for orders in [[a, c, b], [c, a, b]] {
        convert(&[orders[0].clone()], &output, &["--overwrite"]).succeeded();
        append(orders[1], &output, &OUTER).succeeded();
        assert_eq!(Dataset::open(&output).unwrap().config().n_genes, 2);
        verified(&output, &[orders[0].clone(), orders[1].clone()]);
        let run = append(orders[2], &output, &OUTER).refused(3);
        says(&run, &["\"g\"", "M1", "M9"]);
    }
    // At the user's request, names alone count, and the consequences are reported.
    let flags = [&OUTER[..], &["--gene-key", "gene_id"]].concat();
    let run = Run::of(
        slaf(&["convert", "--overwrite"])
            .args(&inputs)
            .arg(&output)
            .args(&flags),
    );
    let run = run.succeeded();
    assert!(
        run.stdout.contains("g (M1 and M9)"),
        "{}{}",
        run.stdout,
        run.stderr
    );
}

/// Identifiers take precedence; a gene without one is identified by name.
#[test]
fn r316_genes_are_joined_by_identifier_where_they_have_one() {
    let folder = Folder::new();
    let inputs = folder.paths(["a.h5ad", "b.h5ad", "c.h5ad", "d.h5ad"]);
    h5ad(&inputs[0], "a", &["g", "h"], Some(&["M1", "M2"]), 1.0);
    h5ad(&inputs[1], "b", &["h", "old"], Some(&["M2", "M1"]), 11.0);
    h5ad(&inputs[2], "c", &["h", "g"], None, 21.0);
    // A name that is an Ensembl identifier serves as an identifier.
    let ids = ["ENSG00000000001", "M2"];
    h5ad(&inputs[3], "d", &["e", "h"], Some(&ids), 31.0);
    let wanted = [
        ("a0", "g", 1.0),
        ("a0", "h", 2.0),
        ("b0", "h", 11.0),
        ("b0", "g", 12.0),
        ("c0", "h", 21.0),
        ("c0", "g", 22.0),
    ];
    let output = folder.path("out.slaf");
    for join in ["exact", "outer", "inner"] {
        let flags = ["--join", join, "--var-join", "inner", "--overwrite"];
        convert(&inputs[..3], &output, &flags).succeeded();
        assert_eq!(named(&output), of(&wanted), "{join}");
        let ids = table(&output, TableName::Genes);
        let ids = texts(ids.column_by_name("gene_ids").unwrap());
        assert_eq!(ids, [Some("M1".to_string()), Some("M2".to_string())]);
        verified(&output, &inputs[..3]);
    }
    let e = folder.path("e.h5ad");
    h5ad(&e, "e", &["ENSG00000000001", "g"], None, 41.0);
    append(&inputs[3], &output, &OUTER).succeeded();
    append(&e, &output, &OUTER).succeeded();
    let more = [
        ("d0", "e", 31.0),
        ("d0", "h", 32.0),
        ("e0", "e", 41.0),
        ("e0", "g", 42.0),
    ];
    assert_eq!(named(&output), of(&[&wanted[..], &more].concat()));
    verified(&output, &[&inputs[..], &[e]].concat());
}

const VERSIONED: [&str; 4] = [
    "ENSG00000000001.3",
    "ENSG00000182378.15",
    "ENSG00000182378.15_PAR_Y",
    "RP11-34P13.7",
];
const PLAIN: [&str; 4] = [
    "RP11-34P13.7",
    "ENSG00000182378_PAR_Y",
    "ENSG00000000001",
    "ENSG00000182378",
];

/// Returns a column of a dataset's genes table.
fn genes_of(dataset: &Path, column: &str) -> Vec<Option<String>> {
    texts(
        table(dataset, TableName::Genes)
            .column_by_name(column)
            .unwrap(),
    )
}

/// `ENSG….3` of one file and `ENSG…` of another became two genes in an outer join.
#[test]
fn versions_of_identifiers_do_not_double_genes() {
    let folder = Folder::new();
    let inputs = folder.paths(["a.h5ad", "b.h5ad"]);
    h5ad(&inputs[0], "a", &VERSIONED, None, 1.0);
    h5ad(&inputs[1], "b", &PLAIN, None, 11.0);
    let [a, b] = &inputs[..] else { panic!() };
    let output = folder.path("out.slaf");
    let [one, x, y, clone] = [PLAIN[2], PLAIN[3], PLAIN[1], PLAIN[0]];
    let of_a = [
        ("a0", one, 1.0),
        ("a0", x, 2.0),
        ("a0", y, 3.0),
        ("a0", clone, 4.0),
    ];
    let of_b = [
        ("b0", clone, 11.0),
        ("b0", y, 12.0),
        ("b0", one, 13.0),
        ("b0", x, 14.0),
    ];
    let wanted = of(&[of_a, of_b].concat());
    for inputs in [[a, b], [b, a]] {
        let inputs: Vec<PathBuf> = inputs.map(PathBuf::clone).to_vec();
        for join in ["exact", "outer", "inner"] {
            convert(&inputs, &output, &["--join", join, "--overwrite"]).succeeded();
            assert_eq!(named(&output), wanted, "{join}");
            verified(&output, &inputs);
        }
    }
    let kept: Vec<_> = VERSIONED.iter().map(|id| Some(id.to_string())).collect();
    convert(&inputs, &output, &["--overwrite"]).succeeded();
    assert_eq!(genes_of(&output, "gene_id_version"), kept);
    // They are kept on request, and validate reports the consequences.
    let keep = ["--join", "outer", "--gene-id-version", "keep"];
    convert(&inputs, &output, &[&keep[..], &["--overwrite"]].concat()).succeeded();
    assert_eq!(Dataset::open(&output).unwrap().config().n_genes, 7);
    let (run, report) = validate(&inputs, &keep);
    assert_eq!(run.code, Some(0), "{report}");
    let proposal = report["proposals"][0].as_str().unwrap();
    assert!(proposal.contains("--gene-id-version strip"), "{report}");
    assert_eq!(report["inputs"][1]["genes"]["shared"], 1);
    let (_, report) = validate(&inputs, &[]);
    assert_eq!(report["inputs"][1]["genes"]["shared"], 4, "{report}");
}

/// The same in an append, whichever side has the versions, and from then on.
#[test]
fn versions_of_identifiers_do_not_double_genes_in_an_append() {
    let folder = Folder::new();
    let inputs = folder.paths(["a.h5ad", "b.h5ad", "c.h5ad"]);
    h5ad(&inputs[0], "a", &VERSIONED, None, 1.0);
    h5ad(&inputs[1], "b", &PLAIN, None, 11.0);
    h5ad(
        &inputs[2],
        "c",
        &["ENSG00000000001.4", "ENSG00000000009.1"],
        None,
        21.0,
    );
    let output = folder.path("out.slaf");
    for [first, second] in [[0, 1], [1, 0]] {
        let [first, second] = [&inputs[first], &inputs[second]];
        convert(std::slice::from_ref(first), &output, &["--overwrite"]).succeeded();
        append(second, &output, &[]).succeeded();
        append(&inputs[2], &output, &["--join", "outer"]).succeeded();
        assert_eq!(Dataset::open(&output).unwrap().config().n_genes, 5);
        let run = append(&inputs[2], &output, &["--gene-id-version", "keep"]).refused(3);
        says(&run, &["without the versions"]);
        verified(&output, &[first.clone(), second.clone(), inputs[2].clone()]);
    }
}

/// Likewise for the column gene_ids; two genes never become one.
#[test]
fn versions_are_kept_where_two_genes_would_become_one() {
    let folder = Folder::new();
    let inputs = folder.paths(["a.h5ad", "b.h5ad", "c.h5ad"]);
    let ids = ["ENSG00000000001.3", "ENSG00000000002.1"];
    h5ad(&inputs[0], "a", &["g", "h"], Some(&ids), 1.0);
    h5ad(
        &inputs[1],
        "b",
        &["H", "G"],
        Some(&["ENSG00000000002", "ENSG00000000001"]),
        11.0,
    );
    let twice = ["ENSG00000000001.3", "ENSG00000000001.4"];
    h5ad(&inputs[2], "c", &["g", "h"], Some(&twice), 21.0);
    let output = folder.path("out.slaf");
    convert(&inputs[..2], &output, &[]).succeeded();
    let wanted = [
        ("a0", "g", 1.0),
        ("a0", "h", 2.0),
        ("b0", "h", 11.0),
        ("b0", "g", 12.0),
    ];
    assert_eq!(named(&output), of(&wanted));
    let kept = ids.map(|id| Some(id.to_string()));
    assert_eq!(genes_of(&output, "gene_ids_version"), kept);
    verified(&output, &inputs[..2]);
    let both = [inputs[1].clone(), inputs[2].clone()];
    let outer = ["--join", "outer", "--overwrite"];
    convert(&both, &output, &outer).succeeded();
    assert_eq!(Dataset::open(&output).unwrap().config().n_genes, 4);
    let strip = [&outer[..], &["--gene-id-version", "strip"]].concat();
    let run = convert(&both, &output, &strip).refused(3);
    says(&run, &["c.h5ad", twice[0], twice[1]]);
}

/// Names are mapped to identifiers, so that files with and without identifiers are joined by them.
#[test]
fn a_gene_map_gives_identifiers_to_names() {
    let folder = Folder::new();
    let inputs = folder.paths(["a.h5ad", "b.h5ad"]);
    h5ad(
        &inputs[0],
        "a",
        &["g", "h", "i"],
        Some(&["M1", "M2", "M3"]),
        1.0,
    );
    h5ad(&inputs[1], "b", &["old", "g", "new"], None, 11.0);
    let map = folder.path("map.tsv");
    std::fs::write(&map, "old\tM2\ng\tM1\nx\tM7\n").unwrap();
    let output = folder.path("out.slaf");
    let flags = ["--join", "outer", "--gene-map", map.to_str().unwrap()];
    let mut command = slaf(&["convert"]);
    command.args(&inputs).arg(&output).args(flags);
    let run = Run::of(&mut command).succeeded();
    assert!(
        run.stdout.contains("1 of 3 genes have no identifier in"),
        "{}",
        run.stdout
    );
    let wanted = [
        ("a0", "g", 1.0),
        ("a0", "h", 2.0),
        ("a0", "i", 3.0),
        ("b0", "h", 11.0),
        ("b0", "g", 12.0),
        ("b0", "new", 13.0),
    ];
    assert_eq!(named(&output), of(&wanted));
    verified(&output, &inputs);
    // The map is part of the job.
    std::fs::write(&map, "old\tM3\ng\tM1\n").unwrap();
    let run = Run::of(
        slaf(&["verify"])
            .arg(&output)
            .arg("--against")
            .args(&inputs),
    );
    assert_ne!(run.code, Some(0));
    assert!(run.stderr.contains("--gene-map"), "{}", run.stderr);
    // A name with several identifiers is reported and not joined.
    std::fs::write(&map, "old\tM2\ng\tM1\ng\tM9\n").unwrap();
    let overwrite = [&flags[..], &["--overwrite"]].concat();
    let run = convert(&inputs, &output, &overwrite).refused(3);
    says(&run, &["\"g\"", "b.h5ad"]);
    for (text, mention) in [("q\tM1\n", "none of the genes"), ("q\n", "two columns")] {
        std::fs::write(&map, text).unwrap();
        let run = convert(&inputs, &output, &overwrite).refused(3);
        says(&run, &[mention, "--gene-map"]);
    }
    let folder = folder.path("folder");
    std::fs::create_dir(&folder).unwrap();
    let flags = ["--gene-map", folder.to_str().unwrap()];
    let run = convert(&inputs, &output, &flags).refused(3);
    says(&run, &["regular file"]);
}
