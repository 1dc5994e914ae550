//! Promise: appended data is joined by identifier, and a dataset that has grown equals one
//! conversion of all inputs.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use slaf::dataset::{Dataset, DatasetConfig};
use slaf::table::TableName;

use crate::support::dataset::{Contents, assert_no_orphans, integers, table, texts};
use crate::support::h5ad_writer::{write_csr, write_named};
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::{Small, convert, named, smalls, wanted};

pub fn append(inputs: &[PathBuf], dataset: &Path, flags: &[&str]) -> Run {
    Run::of(
        slaf(&["append", "-q"])
            .args(inputs)
            .arg(dataset)
            .args(flags),
    )
}

pub fn verified(dataset: &Path, inputs: &[PathBuf]) {
    let mut verify = slaf(&["verify"]);
    verify.arg(dataset);
    if !inputs.is_empty() {
        verify.arg("--against").args(inputs);
    }
    let run = Run::of(&mut verify);
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}

pub fn config(dataset: &Path) -> DatasetConfig {
    Dataset::open(dataset).unwrap().config().clone()
}

/// Returns the sum of the expression digests of all sources.
fn expression_digest(dataset: &Path) -> slaf::chunk::Digest {
    let mut sum = slaf::chunk::Digest::default();
    for source in config(dataset).sources {
        sum.add(source.digests["expression"]);
    }
    sum
}

/// Points at which an append is killed in the property test; not every append reaches all of them.
const POINTS: [&str; 6] = [
    "before-record",
    "after-record",
    "after-expression-commit",
    "before-cells-commit",
    "before-config",
    "after-config",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn any_split_gives_the_same_dataset(
        smalls in smalls(),
        first in 1usize..3,
        kills in prop::collection::vec(prop::option::of(0..POINTS.len()), 4),
        fragment_rows in prop_oneof![Just("3"), Just("100000000")],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut inputs = Vec::new();
        for (number, small) in smalls.iter().enumerate() {
            inputs.push(folder.path().join(format!("{number}.h5ad")));
            small.write(&inputs[number], &format!("{number}-"));
        }
        let flags = ["--join", "outer", "--fragment-rows", fragment_rows, "--allow-duplicate-source"];
        let whole = folder.path().join("whole.slaf");
        convert(&inputs, &whole, &flags).succeeded();
        let grown = folder.path().join("grown.slaf");
        let first = first.min(inputs.len());
        convert(&inputs[..first], &grown, &flags).succeeded();
        for (input, kill) in inputs[first..].iter().zip(kills) {
            let input = std::slice::from_ref(input);
            if let Some(kill) = kill {
                let mut command = slaf(&["append", "-q"]);
                command.args(input).arg(&grown).args(flags);
                // An append without entries, for example, does not reach the points of their
                // records.
                let run = Run::of(command.env("SLAF_FAIL_AT", POINTS[kill]));
                if run.code.is_some() {
                    run.succeeded();
                    continue;
                }
            }
            append(input, &grown, &flags).succeeded();
        }
        let named_inputs = (0..).map(|number: usize| format!("{number}-")).zip(&smalls);
        prop_assert_eq!(named(&grown), wanted(named_inputs));
        prop_assert_eq!(expression_digest(&grown), expression_digest(&whole));
        prop_assert_eq!(config(&grown).digests, config(&whole).digests);
        prop_assert_eq!(config(&grown).array_shape, config(&whole).array_shape);
        let (grown_table, whole_table) = (table(&grown, TableName::Cells), table(&whole, TableName::Cells));
        prop_assert_eq!(grown_table, whole_table);
        prop_assert_eq!(table(&grown, TableName::Genes), table(&whole, TableName::Genes));
        prop_assert_eq!(
            table(&grown, TableName::Expression),
            table(&whole, TableName::Expression)
        );
        let counts = |dataset: &Path| config(dataset).metadata.expression_count;
        prop_assert_eq!(counts(&grown), counts(&whole));
        assert_no_orphans(&grown);
        verified(&grown, &inputs);
    }
}

pub fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect()
}

/// A dataset of the cells a0 and a1 with the genes g0, g1 and g2, and an input to append.
struct Pair {
    folder: tempfile::TempDir,
    dataset: PathBuf,
    input: PathBuf,
}

impl Pair {
    fn new(genes: &[String], entries: &[(usize, usize, f32)], flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [first, input, dataset] =
            ["first.h5ad", "input.h5ad", "data.slaf"].map(|name| folder.path().join(name));
        let own = [(0, 0, 1.0), (0, 2, 2.0), (1, 1, 3.0)];
        write_named(&first, &names("a", 2), &names("g", 3), &own);
        convert(&[first], &dataset, flags).succeeded();
        write_named(&input, &names("b", 2), genes, entries);
        Pair {
            folder,
            dataset,
            input,
        }
    }

    fn append(&self, flags: &[&str]) -> Run {
        append(std::slice::from_ref(&self.input), &self.dataset, flags)
    }

    fn first(&self) -> PathBuf {
        self.folder.path().join("first.h5ad")
    }
}

#[test]
fn genes_that_differ_are_refused_unless_a_join_is_asked_for() {
    let genes: Vec<String> = ["new", "g2", "g0"].map(String::from).to_vec();
    let entries = [(0, 0, 5.0), (0, 1, 6.0), (1, 2, 7.0)];
    let pair = Pair::new(&genes, &entries, &[]);
    let before = Contents::of(&pair.dataset);
    let run = pair.append(&[]).refused(3);
    assert!(run.stderr.contains("--join outer"), "{}", run.stderr);
    assert_eq!(Contents::of(&pair.dataset), before);
    assert_no_orphans(&pair.dataset);
    pair.append(&["--join", "outer"]).succeeded();
    let found = table(&pair.dataset, TableName::Genes);
    let ids = texts(found.column_by_name("gene_id").unwrap());
    assert_eq!(
        ids[3].as_deref(),
        Some("new"),
        "new genes come after the old"
    );
    assert_eq!(config(&pair.dataset).array_shape, [4, 4]);
    verified(&pair.dataset, &[pair.first(), pair.input.clone()]);

    let inner = Pair::new(&genes, &entries, &[]);
    inner.append(&["--join", "inner"]).succeeded();
    // Nothing is removed from the dataset.
    assert_eq!(config(&inner.dataset).array_shape, [4, 3]);
    let of_new = named(&inner.dataset)
        .into_iter()
        .filter(|row| row.0.starts_with('b'));
    assert_eq!(of_new.count(), 2);
    verified(&inner.dataset, &[inner.first(), inner.input.clone()]);
}

#[test]
fn cells_begin_where_the_table_says_over_the_whole_table() {
    let pair = Pair::new(&names("g", 3), &[(1, 0, 9.0)], &["--dtypes", "signed"]);
    pair.append(&[]).succeeded();
    let cells = table(&pair.dataset, TableName::Cells);
    let column = |name: &str| integers(cells.column_by_name(name).unwrap());
    assert_eq!(column("cell_start_index"), [0, 2, 3, 3]);
    assert_eq!(column("cell_integer_id"), [0, 1, 2, 3]);
    let config = config(&pair.dataset);
    assert_eq!(config.metadata.expression_count, 4);
    assert_eq!(config.metadata.expression_stats.max_value, 9.0);
    let files = config.multi_file.unwrap();
    assert_eq!((files.total_files, files.total_cells_from_files), (2, 4));
    assert_eq!(files.source_files[1].cell_offset, 2);
}

#[test]
fn the_same_again_is_refused() {
    let pair = Pair::new(&names("g", 3), &[(0, 0, 1.0)], &[]);
    pair.append(&[]).succeeded();
    let before = Contents::of(&pair.dataset);
    let run = pair.append(&[]).refused(3);
    assert!(
        run.stderr.contains("--allow-duplicate-source"),
        "{}",
        run.stderr
    );
    let run = pair.append(&["--allow-duplicate-source"]).refused(3);
    assert!(run.stderr.contains("2 cells"), "{}", run.stderr);
    assert_eq!(Contents::of(&pair.dataset), before);
    let flags = ["--allow-duplicate-source", "--cell-id-prefix", "again-"];
    pair.append(&flags).succeeded();
    assert_eq!(config(&pair.dataset).array_shape, [6, 3]);
}

/// Whichever of the two has more cells. Only reading shows it: the files differ in a zero that one
/// of them stores explicitly.
#[test]
fn the_same_content_is_refused() {
    let entries = [(0, 0, 1.0), (0, 2, 2.0), (1, 1, 3.0)];
    let pair = Pair::new(&names("g", 3), &entries, &[]);
    let with_zero = [&entries[..], &[(1, 2, 0.0)]].concat();
    write_named(&pair.input, &names("a", 2), &names("g", 3), &with_zero);
    let before = Contents::of(&pair.dataset);
    let flags = ["--allow-duplicate-cells"];
    let run = pair.append(&flags).refused(3);
    assert!(run.stderr.contains("first.h5ad"), "{}", run.stderr);
    assert!(Contents::of(&pair.dataset).without_checkpoint() == before);
    // What was written is kept.
    pair.append(&[&flags[..], &["--allow-duplicate-source"]].concat())
        .succeeded();
    assert_eq!(config(&pair.dataset).array_shape, [4, 3]);
    assert_no_orphans(&pair.dataset);
}

#[test]
fn values_that_do_not_fit_need_widening() {
    for dtypes in ["narrow", "signed"] {
        // The first is not a uint16, the second not exact in float32.
        let value = if dtypes == "narrow" {
            70_000.5
        } else {
            16_777_216.0
        };
        let entries = [(0, 0, value), (1, 2, 1.0)];
        let pair = Pair::new(&names("g", 3), &entries, &["--dtypes", dtypes]);
        if dtypes == "signed" {
            // It is exact in this type.
            pair.append(&[]).succeeded();
            continue;
        }
        let before = Contents::of(&pair.dataset);
        let run = pair.append(&[]).refused(3);
        assert!(run.stderr.contains("--widen"), "{}", run.stderr);
        assert_eq!(Contents::of(&pair.dataset), before);
        pair.append(&["--widen"]).succeeded();
        let values = config(&pair.dataset).value.unwrap();
        assert_eq!(values.r#type, "float32");
        verified(&pair.dataset, &[pair.first(), pair.input.clone()]);
        assert_no_orphans(&pair.dataset);
    }
}

/// Position of an entry, of 2,400,000, that no sample includes.
const UNSEEN: usize = 1_113_344;

/// A value found only when reading everything: the sample suggests another type.
#[test]
fn a_late_misfit_leaves_the_dataset_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let [first, input, dataset] =
        ["first.h5ad", "input.h5ad", "data.slaf"].map(|name| folder.path().join(name));
    write_csr(&first, 400, 2_000, 100, |entry| 1.0 + (entry % 7) as f32);
    write_csr(&input, 12_000, 2_000, 200, |entry| {
        if entry == UNSEEN { 70_000.0 } else { 2.0 }
    });
    convert(std::slice::from_ref(&first), &dataset, &[]).succeeded();
    let before = Contents::of(&dataset);
    let validated = Run::of(
        slaf(&["validate", "--cell-id-prefix", "new", "--against"]).args([&dataset, &input]),
    );
    assert_eq!(
        validated.code,
        Some(0),
        "the sample sees it: {}",
        validated.stderr
    );
    let flags = ["--cell-id-prefix", "new", "--fragment-rows", "400000"];
    let run = append(std::slice::from_ref(&input), &dataset, &flags).refused(3);
    assert!(
        run.stderr.contains("--widen") && run.stderr.contains("70000"),
        "{}",
        run.stderr
    );
    let now = Dataset::open(&dataset).unwrap();
    assert_eq!(now.config().array_shape, [400, 2_000]);
    let flags = [&flags[..], &["--widen", "--no-resume"]].concat();
    append(std::slice::from_ref(&input), &dataset, &flags).succeeded();
    assert_ne!(Contents::of(&dataset), before);
    assert_eq!(config(&dataset).value.unwrap().r#type, "uint32");
    verified(&dataset, &[first, input]);
    assert_no_orphans(&dataset);
}

#[test]
fn more_genes_than_the_identifiers_number_need_widening() {
    let folder = tempfile::tempdir().unwrap();
    let [first, input, dataset] =
        ["first.h5ad", "input.h5ad", "data.slaf"].map(|name| folder.path().join(name));
    write_named(
        &first,
        &names("a", 2),
        &names("g", 65_530),
        &[(0, 65_529, 1.0)],
    );
    write_named(&input, &names("b", 1), &names("h", 10), &[(0, 9, 2.0)]);
    convert(std::slice::from_ref(&first), &dataset, &[]).succeeded();
    let run = append(std::slice::from_ref(&input), &dataset, &["--join", "outer"]).refused(3);
    assert!(run.stderr.contains("--widen"), "{}", run.stderr);
    append(
        std::slice::from_ref(&input),
        &dataset,
        &["--join", "outer", "--widen"],
    )
    .succeeded();
    let last = named(&dataset).pop().unwrap();
    assert_eq!(last, ("b0".to_string(), "h9".to_string(), 2.0));
    verified(&dataset, &[first, input]);
}

#[test]
fn columns_layers_and_embeddings_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    let [kinds, numbers, everything] = ["columns_kinds", "columns_numbers", "everything"]
        .map(|name| repository(&format!("fixtures/h5ad/{name}.h5ad")));
    convert(std::slice::from_ref(&kinds), &dataset, &[]).succeeded();
    let flags = ["--join", "outer", "--cell-id-prefix", "{source}:"];
    let run = append(std::slice::from_ref(&numbers), &dataset, &flags).refused(3);
    assert!(run.stderr.contains("--obs-join outer"), "{}", run.stderr);
    let outer = [&flags[..], &["--obs-join", "outer", "--var-join", "outer"]].concat();
    append(std::slice::from_ref(&numbers), &dataset, &outer).succeeded();
    verified(&dataset, &[kinds.clone(), numbers.clone()]);
    append(std::slice::from_ref(&everything), &dataset, &outer).succeeded();
    let config = config(&dataset);
    assert_eq!(config.layers.unwrap().available.len(), 3);
    assert!(config.obsm.is_some() && config.tables.contains_key("layers"));
    verified(&dataset, &[kinds, numbers, everything]);
    assert_no_orphans(&dataset);
}

#[test]
fn everything_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    let everything = repository("fixtures/h5ad/everything.h5ad");
    convert(std::slice::from_ref(&everything), &dataset, &[]).succeeded();
    for prefix in ["b", "c"] {
        let flags = ["--allow-duplicate-source", "--cell-id-prefix", prefix];
        append(std::slice::from_ref(&everything), &dataset, &flags).succeeded();
    }
    let config = config(&dataset);
    assert_eq!(config.array_shape[0], 24);
    assert!(config.varp.is_some(), "the first input's stay");
    let pairs = table(&dataset, TableName::Obsp);
    let [i, j] = [0, 1].map(|column| integers(pairs.column(column)));
    let third = i.len() / 3;
    for begin in [third, 2 * third] {
        let offset = 8 * (begin / third) as i64;
        assert!((0..third).all(|row| i[begin + row] == i[row] + offset));
        assert!((0..third).all(|row| j[begin + row] == j[row] + offset));
    }
    verified(&dataset, &[]);
    assert_no_orphans(&dataset);
}

#[test]
fn formats_may_be_mixed() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    let demo = repository("fixtures/h5ad/demo.h5ad");
    convert(std::slice::from_ref(&demo), &dataset, &[]).succeeded();
    let mut others = Vec::new();
    for (genes, cells, name) in [(3usize, 2usize, "a"), (4, 3, "b")] {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).unwrap();
        let write = |file: &str, text: String| std::fs::write(path.join(file), text).unwrap();
        let lines = |prefix: &str, count: usize| names(prefix, count).join("\n") + "\n";
        write("barcodes.tsv", lines(&format!("{name}-cell"), cells));
        write(
            "genes.tsv",
            (0..genes).map(|g| format!("ENSG{g}\tsym{g}\n")).collect(),
        );
        let head = "%%MatrixMarket matrix coordinate integer general";
        write(
            "matrix.mtx",
            format!("{head}\n{genes} {cells} 2\n1 1 4\n3 2 5\n"),
        );
        others.push(path);
    }
    let flags = [
        "--join",
        "outer",
        "--obs-join",
        "outer",
        "--var-join",
        "outer",
    ];
    append(&others, &dataset, &flags).succeeded();
    assert_eq!(config(&dataset).array_shape, [205, 304]);
    verified(&dataset, &[vec![demo], others].concat());
}

#[test]
fn a_thousand_small_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("inputs.txt");
    let mut lines = String::new();
    let mut all = Vec::new();
    for number in 0..1_000usize {
        let path = folder.path().join(format!("{number}.h5ad"));
        let small = Small {
            genes: ["x", "y", "z"].map(String::from).to_vec(),
            cells: vec![
                vec![(number % 3, 1.0 + (number % 9) as f32)],
                vec![(2, 3.0)],
            ],
        };
        small.write(&path, &format!("{number}-"));
        lines += &format!("{}\n", path.display());
        all.push((format!("{number}-"), small));
    }
    std::fs::write(&list, lines).unwrap();
    let dataset = folder.path().join("data.slaf");
    let flags = ["--inputs", list.to_str().unwrap()];
    convert(&[], &dataset, &flags).succeeded();
    let all = wanted(all.iter().map(|(prefix, small)| (prefix.clone(), small)));
    assert_eq!(named(&dataset), all);
    let prefixed = [
        &flags[..],
        &["--allow-duplicate-source", "--cell-id-prefix", "b"],
    ]
    .concat();
    append(&[], &dataset, &prefixed).succeeded();
    assert_eq!(config(&dataset).array_shape, [4_000, 3]);
    assert_eq!(config(&dataset).sources.len(), 2_000);
    verified(&dataset, &[]);
}

#[test]
fn only_a_complete_dataset_is_appended_to() {
    let folder = tempfile::tempdir().unwrap();
    let demo = [repository("fixtures/h5ad/demo.h5ad")];
    let missing = folder.path().join("missing.slaf");
    let run = append(&demo, &missing, &[]).refused(3);
    assert!(run.stderr.contains("does not exist"), "{}", run.stderr);
    assert!(!missing.exists());
    let unfinished = folder.path().join("unfinished.slaf");
    let mut command = slaf(&["convert", "-q"]);
    command.args(&demo).arg(&unfinished);
    Run::of(command.env("SLAF_FAIL_AT", "before-config"));
    let run = append(&demo, &unfinished, &[]).refused(3);
    assert!(run.stderr.contains("not complete"), "{}", run.stderr);
}

#[test]
fn a_failing_input_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = folder.path().join("data.slaf");
    let demo = repository("fixtures/h5ad/demo.h5ad");
    let good = folder.path().join("good.h5ad");
    write_csr(&good, 300, 300, 120, |entry| (entry % 5 + 1) as f32);
    let bad = folder.path().join("bad.h5ad");
    write_csr(&bad, 12_000, 300, 200, |entry| {
        if entry == UNSEEN { -1.5 } else { 1.0 }
    });
    let flags = [
        "--join",
        "outer",
        "--obs-join",
        "outer",
        "--var-join",
        "outer",
    ];
    let flags = [
        &flags[..],
        &["--cell-id-prefix", "{source}", "--value-type", "uint16"],
    ]
    .concat();
    let flags = [&flags[..], &["--fragment-rows", "30000"]].concat();
    let run = convert(&[demo.clone(), good.clone(), bad], &dataset, &flags).refused(3);
    assert!(run.stderr.contains("bad.h5ad"), "{}", run.stderr);
    assert!(run.stderr.contains("--no-resume"), "{}", run.stderr);
    assert!(Dataset::open(&dataset).is_err());
    let flags = [&flags[..], &["--no-resume"]].concat();
    convert(&[demo, good], &dataset, &flags).succeeded();
    assert_no_orphans(&dataset);
}
