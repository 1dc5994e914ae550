//! Contents of h5ad files and SOMA experiments.

use std::path::{Path, PathBuf};

use hdf5_metno as hdf5;
use hdf5_metno::types::{FixedAscii, VarLenUnicode};
use slaf::dataset::{Dataset, DatasetConfig};
use slaf::table::TableName;

use crate::support::dataset::{floats, integers, table, texts, triplets};
use crate::support::h5ad_writer::{Filters, Stored, open_again, text_attribute, write_matrix};
use crate::support::program::{Run, convert, slaf};
use crate::support::repository;
use crate::support::soma::unpack;

/// Entries of a matrix of four cells and five genes.
const ENTRIES: [(usize, usize, f32); 6] = [
    (0, 0, 1.0),
    (0, 2, 2.0),
    (1, 1, 3.0),
    (1, 4, 4.0),
    (3, 0, 5.0),
    (3, 3, 6.0),
];

/// A small h5ad in a folder of its own.
struct Case {
    folder: tempfile::TempDir,
    input: PathBuf,
}

impl Case {
    fn new(edit: impl FnOnce(&hdf5::File)) -> Self {
        Case::with(Stored::Csr, None, edit)
    }

    fn with(stored: Stored, filters: Option<Filters>, edit: impl FnOnce(&hdf5::File)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in.h5ad");
        write_matrix(&input, [4, 5], &ENTRIES, stored, filters);
        edit(&open_again(&input));
        Case { folder, input }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out.slaf")
    }

    fn convert(&self, flags: &[&str]) -> Run {
        Run::of(&mut convert(&self.input, &self.output(), flags))
    }

    /// Converts the file, checks X, and returns the dataset's config.
    fn converted(&self, flags: &[&str]) -> DatasetConfig {
        self.convert(flags).succeeded();
        let entries =
            ENTRIES.map(|(cell, gene, value)| (cell as u64, gene as u64, f64::from(value)));
        assert_eq!(triplets(&self.output()), entries);
        Dataset::open(&self.output()).unwrap().config().clone()
    }

    fn column(&self, table_name: TableName, name: &str) -> arrow::array::ArrayRef {
        let table = table(&self.output(), table_name);
        table
            .column_by_name(name)
            .unwrap_or_else(|| panic!("no {name}"))
            .clone()
    }
}

fn left_out(config: &DatasetConfig) -> Vec<&str> {
    let notes = &config.sources[0].left_out;
    notes.iter().map(|note| note.object.as_str()).collect()
}

fn text(text: &str) -> VarLenUnicode {
    text.parse().unwrap()
}

/// Writes a list and its parent groups.
fn list<T: hdf5::H5Type>(file: &hdf5::File, object: &str, values: &[T]) -> hdf5::Dataset {
    let (group, name) = object.rsplit_once('/').unwrap();
    let dataset = groups(file, group).new_dataset_builder().with_data(values);
    dataset.create(name).unwrap()
}

fn list_of_texts(file: &hdf5::File, object: &str, values: &[&str]) {
    let values: Vec<VarLenUnicode> = values.iter().map(|value| text(value)).collect();
    list(file, object, &values);
}

fn groups(file: &hdf5::File, path: &str) -> hdf5::Group {
    let mut group = file.as_group().unwrap();
    for name in path.split('/') {
        group = match group.group(name) {
            Ok(group) => group,
            Err(_) => group.create_group(name).unwrap(),
        };
    }
    group
}

fn categorical(file: &hdf5::File, object: &str, categories: &[&str], codes: &[i8]) {
    let group = groups(file, object);
    text_attribute(&group, "encoding-type", "categorical");
    list_of_texts(file, &format!("{object}/categories"), categories);
    list(file, &format!("{object}/codes"), codes);
}

/// Sets the list of columns of a frame.
fn listed(file: &hdf5::File, frame: &str, columns: &[&str]) {
    let group = file.group(frame).unwrap();
    group.delete_attr("column-order").unwrap();
    let names: Vec<VarLenUnicode> = columns.iter().map(|name| text(name)).collect();
    let attribute = group.new_attr_builder().with_data(&names);
    attribute.create("column-order").unwrap();
}

fn sparse(file: &hdf5::File, object: &str, entries: &[(usize, usize, f32)], columns: usize) {
    let group = groups(file, object);
    text_attribute(&group, "encoding-type", "csr_matrix");
    let shape = group.new_attr::<i64>().shape(2).create("shape").unwrap();
    shape.write_raw(&[4, columns as i64]).unwrap();
    let ends = (0..=4).map(|end| entries.partition_point(|entry| entry.0 < end) as i32);
    list(
        file,
        &format!("{object}/indptr"),
        &ends.collect::<Vec<i32>>(),
    );
    let indices: Vec<i32> = entries.iter().map(|entry| entry.1 as i32).collect();
    list(file, &format!("{object}/indices"), &indices);
    let data: Vec<f32> = entries.iter().map(|entry| entry.2).collect();
    list(file, &format!("{object}/data"), &data);
}

// HDF5 interprets a slash as a path separator: the column CD4+/CD8- is the member CD8- of the group
// CD4+.
#[test]
fn r001_columns_with_slashes_are_read_by_path() {
    let case = Case::new(|file| {
        list(file, "obs/CD4+/CD8-", &[7i32, 8, 9, 10]);
        list(file, "obs/CD4+/old", &[1i32]);
        categorical(file, "obs/a/b/c", &["x", "y"], &[1, 0, -1, 1]);
        list(file, "var/p/q", &[1i32, 2, 3, 4, 5]);
        listed(file, "obs", &["CD4+/CD8-", "a/b/c"]);
        listed(file, "var", &["p/q"]);
    });
    let config = case.converted(&[]);
    assert_eq!(left_out(&config), ["obs/CD4+/old"]);
    assert_eq!(
        integers(&case.column(TableName::Cells, "CD4+/CD8-")),
        [7, 8, 9, 10]
    );
    let labels = texts(&case.column(TableName::Cells, "a/b/c"));
    let labels: Vec<Option<&str>> = labels.iter().map(Option::as_deref).collect();
    assert_eq!(labels, [Some("y"), Some("x"), None, Some("y")]);
    assert_eq!(
        integers(&case.column(TableName::Genes, "p/q")),
        [1, 2, 3, 4, 5]
    );
    std::fs::remove_dir_all(case.output()).unwrap();
    let config = case.converted(&["--skip", "obs:CD4+/CD8-", "--only", "obs:a/*"]);
    assert!(left_out(&config).contains(&"obs/CD4+/CD8-"));
    case.column(TableName::Cells, "a/b/c");
}

// A layer named a/b is the member b of a group without attributes.
#[test]
fn r002_layers_and_embeddings_with_slashes_are_read_by_path() {
    let case = Case::new(|file| {
        sparse(file, "layers/a/b", &ENTRIES, 5);
        groups(file, "layers/empty/group");
        list(file, "obsm/x/y", &[0.5f32, 1.5, 2.5, 3.5]);
    });
    let config = case.converted(&[]);
    assert_eq!(left_out(&config), ["layers/empty/group"]);
    let written = |part: slaf::source::Part, name: &str| {
        let mut notes = config.column_notes.iter();
        let note = notes.find(|note| note.part == part && note.column == name);
        note.unwrap().written_as.clone()
    };
    let layer = written(slaf::source::Part::Layers, "a/b");
    let values = floats(&case.column(TableName::Layers, &layer));
    assert_eq!(values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    case.column(TableName::Cells, &written(slaf::source::Part::Obsm, "x/y"));
    std::fs::remove_dir_all(case.output()).unwrap();
    let config = case.converted(&["--skip", "layers:a/b", "--skip", "obsm:x/*"]);
    assert!(left_out(&config).contains(&"layers/a/b") && config.layers.is_none());
}

// Writers in R store all numbers as doubles.
#[test]
fn r033_sizes_may_be_doubles() {
    let case = Case::new(|file| {
        sparse(file, "obsm/sp", &[(0, 0, 1.0), (3, 1, 4.0)], 2);
        for (object, sizes) in [("X", [4.0f64, 5.0]), ("obsm/sp", [4.0, 2.0])] {
            let group = file.group(object).unwrap();
            group.delete_attr("shape").unwrap();
            let shape = group.new_attr::<f64>().shape(2).create("shape").unwrap();
            shape.write_raw(&sizes).unwrap();
        }
    });
    let config = case.converted(&[]);
    assert_eq!(config.obsm.unwrap().dimensions["sp"], 2);
}

// anndata 0.7 stores categories next to the columns, under the same path.
#[test]
fn r240_categories_of_columns_with_slashes_lie_under_their_path() {
    let case = Case::new(|file| {
        let codes = list(file, "obs/T/NK", &[1i8, 0, -1, 1]);
        let reference = codes.new_attr::<i64>().create("categories").unwrap();
        reference.write_scalar(&0).unwrap();
        list_of_texts(file, "obs/__categories/T/NK", &["a", "b"]);
        listed(file, "obs", &["T/NK"]);
    });
    case.converted(&[]);
    let labels = texts(&case.column(TableName::Cells, "T/NK"));
    assert_eq!(labels[0].as_deref(), Some("b"));
    assert_eq!(labels[2], None);
}

// One member that could not be read ended the conversion.
#[test]
fn r242_nothing_in_uns_ends_a_conversion() {
    let case = Case::new(|file| {
        list(file, "uns/ok", &[5i32]);
        list(file, "uns/deep/er/fine", &[6i32]);
        let latin = FixedAscii::<8>::from_ascii("ok").unwrap();
        list(file, "uns/latin", &[latin]);
        let uns = file.group("uns").unwrap();
        uns.link_soft("/nowhere", "dangling").unwrap();
        uns.link_soft("/uns/loop", "loop").unwrap();
        uns.link_soft("/uns", "self").unwrap();
        uns.link_soft("/", "root").unwrap();
        uns.link_soft("/uns/deep", "deep/up").unwrap();
        uns.link_soft("/nowhere", "deep/er/gone").unwrap();
        let frame = groups(file, "uns/noindex");
        text_attribute(&frame, "encoding-type", "dataframe");
        let frame = groups(file, "uns/uneven");
        text_attribute(&frame, "encoding-type", "dataframe");
        text_attribute(&frame, "_index", "_index");
        list_of_texts(file, "uns/uneven/_index", &["a", "b"]);
        list(file, "uns/uneven/good/one", &[1i32, 2]);
        list(file, "uns/uneven/short", &[1i32]);
        let names = [text("good/one"), text("short"), text("no")];
        let names = frame.new_attr_builder().with_data(&names);
        names.create("column-order").unwrap();
        categorical(file, "uns/badcodes", &["only"], &[0, 9]);
        let odd = groups(file, "uns/odd");
        text_attribute(&odd, "encoding-type", "something-new");
    });
    // A byte that does not occur in UTF-8.
    let mut bytes = std::fs::read(&case.input).unwrap();
    let at = bytes
        .windows(8)
        .position(|window| window == b"ok\0\0\0\0\0\0")
        .unwrap();
    bytes[at] = 0xe9;
    std::fs::write(&case.input, bytes).unwrap();
    let config = case.converted(&[]);
    let expected = [
        "uns/badcodes",
        "uns/dangling",
        "uns/deep/er/gone",
        "uns/deep/up",
        "uns/latin",
        "uns/loop",
        "uns/noindex",
        "uns/odd",
        "uns/root",
        "uns/self",
        "uns/uneven/no",
        "uns/uneven/short",
    ];
    let mut found = left_out(&config);
    found.sort_unstable();
    assert_eq!(found, expected);
    let uns = std::fs::read(case.output().join("uns.json")).unwrap();
    let uns: serde_json::Value = serde_json::from_slice(&uns).unwrap();
    assert_eq!(uns["ok"][0], 5);
    assert_eq!(uns["deep"]["er"]["fine"][0], 6);
    assert_eq!(uns["uneven"]["good/one"], serde_json::json!([1, 2]));
}

// The helpful flag was not named, or did not help because the part was read first.
#[test]
fn r242_what_cannot_be_read_elsewhere_names_the_flag_that_helps() {
    type Edit = fn(&hdf5::File);
    let cases: [(&str, Edit); 6] = [
        ("layers:my layer", |file| {
            list(file, "layers/my layer", &[1i32, 2]);
        }),
        ("obsm:gone", |file| {
            groups(file, "obsm").link_soft("/nowhere", "gone").unwrap();
        }),
        ("varm:short", |file| {
            list(file, "varm/short", &[1.0f32]);
        }),
        ("obsp:odd", |file| {
            let group = groups(file, "obsp/odd");
            text_attribute(&group, "encoding-type", "something-new");
        }),
        ("obs:short", |file| {
            list(file, "obs/short", &[1.0f32]);
            listed(file, "obs", &["short"]);
        }),
        ("layers", |file| {
            file.link_soft("/nowhere", "layers").unwrap();
        }),
    ];
    for (pattern, edit) in cases {
        let case = Case::new(edit);
        let message = case.convert(&[]).refused(3).stderr;
        let flag = if pattern.contains(' ') {
            format!("--skip '{pattern}'")
        } else {
            format!("--skip {pattern}")
        };
        assert!(message.contains(&flag), "{message}");
        case.converted(&["--skip", pattern]);
    }
}

// The categories of raw.var are in raw.cat; those of var were used instead.
#[test]
fn r271_raw_of_anndata_06_has_categories_of_its_own() {
    #[derive(hdf5::H5Type, Clone)]
    #[repr(C)]
    struct Gene {
        index: VarLenUnicode,
        bt: i8,
    }
    let case = Case::new(|file| {
        let genes = |codes: [i8; 5]| -> Vec<Gene> {
            let genes = codes.iter().enumerate();
            let gene = |(gene, &bt): (usize, &i8)| Gene {
                index: text(&format!("gene{gene}")),
                bt,
            };
            genes.map(gene).collect()
        };
        file.unlink("var").unwrap();
        for (object, codes) in [("var", [2, 1, 0, 0, 1]), ("raw.var", [0, 1, 2, 0, 1])] {
            let genes = genes(codes);
            let var = file.new_dataset_builder().with_data(&genes);
            var.create(object).unwrap();
        }
        sparse(file, "raw.X", &ENTRIES, 5);
        list_of_texts(file, "uns/bt_categories", &["x", "y", "z"]);
        list_of_texts(file, "raw.cat/bt_categories", &["a", "b", "c"]);
    });
    let labels = || {
        let labels = texts(&case.column(TableName::Genes, "bt"));
        labels.into_iter().flatten().collect::<String>()
    };
    case.converted(&["--matrix", "raw"]);
    assert_eq!(labels(), "abcab");
    std::fs::remove_dir_all(case.output()).unwrap();
    case.converted(&[]);
    assert_eq!(labels(), "zyxxy");
}

// anndata does not see columns that column-order does not list; the file was refused.
#[test]
fn r280_members_that_are_not_listed_are_left_out_by_name() {
    let case = Case::new(|file| {
        list(file, "obs/n", &[1i32, 2, 3, 4]);
        list(file, "obs/stale", &[1i32; 7]);
        let extra = groups(file, "obs/extra");
        text_attribute(&extra, "encoding-type", "something");
        groups(file, "obs").link_soft("/nowhere", "gone").unwrap();
        listed(file, "obs", &["n"]);
    });
    let config = case.converted(&[]);
    assert_eq!(left_out(&config), ["obs/extra", "obs/gone", "obs/stale"]);
    assert_eq!(integers(&case.column(TableName::Cells, "n")), [1, 2, 3, 4]);
}

// pandas repeats a value that is stored once.
#[test]
fn r280_a_scalar_column_stands_for_all_rows() {
    let case = Case::new(|file| {
        let var = file.group("var").unwrap();
        let genome = var.new_dataset::<VarLenUnicode>().create("genome").unwrap();
        genome.write_scalar(&text("GRCh38")).unwrap();
        let number = var.new_dataset::<i32>().create("n").unwrap();
        number.write_scalar(&7).unwrap();
        listed(file, "var", &["genome", "n"]);
    });
    case.converted(&[]);
    let genomes = texts(&case.column(TableName::Genes, "genome"));
    assert_eq!(genomes, vec![Some("GRCh38".to_string()); 5]);
    assert_eq!(integers(&case.column(TableName::Genes, "n")), [7; 5]);
}

// A categorical index was refused.
#[test]
fn r283_an_index_may_be_categories() {
    let case = Case::new(|file| {
        file.group("obs").unwrap().unlink("_index").unwrap();
        categorical(file, "obs/_index", &["p", "q", "r", "s"], &[3, 2, 1, 0]);
    });
    case.converted(&[]);
    let ids = texts(&case.column(TableName::Cells, "cell_id"));
    let ids: Vec<&str> = ids.iter().flatten().map(String::as_str).collect();
    assert_eq!(ids, ["s", "r", "q", "p"]);
}

// A chunk with coordinates outside of its array was ignored, and the gap it left was read as zeros.
#[test]
fn hostile_06_a_chunk_outside_of_its_array_is_refused() {
    let filters = Filters {
        chunk: 2,
        gzip: false,
        shuffle: false,
        fletcher32: false,
    };
    for stored in [Stored::Csr, Stored::Csc, Stored::Dense] {
        let case = Case::with(stored, Some(filters), |_| ());
        case.converted(&[]);
        std::fs::remove_dir_all(case.output()).unwrap();
        // Nodes of the chunk index begin like this; the key of the second chunk follows that of the
        // first.
        let bytes = std::fs::read(&case.input).unwrap();
        let nodes: Vec<usize> = bytes
            .windows(6)
            .enumerate()
            .filter(|(_, window)| *window == b"TREE\x01\x00")
            .map(|(at, _)| at)
            .collect();
        assert!(!nodes.is_empty());
        for node in nodes {
            let dimensions = match stored {
                Stored::Dense => 3,
                _ => 2,
            };
            let key = 8 + 8 * dimensions;
            let second = node + 24 + key + 8 + 8;
            for far in [1u64 << 31, 1] {
                let mut damaged = bytes.clone();
                damaged[second..second + 8].copy_from_slice(&far.to_le_bytes());
                std::fs::write(&case.input, damaged).unwrap();
                let message = case.convert(&[]).refused(3).stderr;
                assert!(message.contains("X"), "{message}");
            }
        }
    }
}

// Chunks of a sparse matrix that were never written, or that a damaged index has lost, were read as
// zeros.
#[test]
fn hostile_06_a_sparse_matrix_with_holes_is_refused() {
    let case = Case::new(|file| {
        let x = file.group("X").unwrap();
        x.unlink("indices").unwrap();
        let indices = x
            .new_dataset::<i32>()
            .chunk(2)
            .shape(6)
            .create("indices")
            .unwrap();
        indices.write_slice(&[0, 2], 0..2).unwrap();
        indices.write_slice(&[0, 3], 4..6).unwrap();
    });
    let message = case.convert(&[]).refused(3).stderr;
    assert!(message.contains("indices was never written"), "{message}");
}

// libhdf5 allocates the claimed length of a string before it looks for the string.
#[test]
fn hostile_16_a_text_longer_than_its_heap_is_refused_at_once() {
    let case = Case::new(|_| ());
    // The first name, stored as a length of 5 and the address of a heap.
    let bytes = std::fs::read(&case.input).unwrap();
    let heap_at = |at: usize| {
        let address = bytes.get(at + 4..at + 12)?;
        let address = usize::try_from(u64::from_le_bytes(address.try_into().ok()?)).ok()?;
        bytes.get(address..address.checked_add(4)?)
    };
    let is_name =
        |at: usize| bytes[at..].starts_with(&[5, 0, 0, 0]) && heap_at(at) == Some(b"GCOL");
    // Names are contiguous; strings in attributes are not.
    let follows = |at: &usize| is_name(*at) && is_name(*at + 16);
    let names: Vec<usize> = (0..bytes.len() - 32).filter(follows).collect();
    assert_eq!(
        names.len(),
        8,
        "the names of cells and genes, but for the last"
    );
    for at in [names[0], names[7]] {
        let mut damaged = bytes.clone();
        damaged[at + 3] = 0xff;
        std::fs::write(&case.input, damaged).unwrap();
        let message = case.convert(&[]).refused(3).stderr;
        assert!(message.contains("claims 4278190085 bytes"), "{message}");
    }
}

fn experiment(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    unpack(&repository(&format!("fixtures/soma/{name}.tar.gz")), &path);
    let path = match path.join(name) {
        inner if inner.is_dir() => inner,
        _ => path,
    };
    (folder, path)
}

/// Removes the newest commit of an array.
fn uncommit(array: &Path) {
    let commits = std::fs::read_dir(array.join("__commits")).unwrap();
    let mut commits: Vec<PathBuf> = commits.map(|entry| entry.unwrap().path()).collect();
    commits.retain(|path| path.extension().is_some_and(|ending| ending == "wrt"));
    commits.sort();
    std::fs::remove_file(commits.last().unwrap()).unwrap();
}

// A frame without its only fragment was taken for an empty one, and all entries of X were left out.
#[test]
fn hostile_04_a_frame_that_lost_its_rows_is_refused() {
    for frame in ["obs", "ms/RNA/var"] {
        let (folder, path) = experiment("plain_counts");
        let output = folder.path().join("out.slaf");
        uncommit(&path.join(frame));
        let message = Run::of(&mut convert(&path, &output, &[])).refused(3).stderr;
        assert!(
            message.contains(frame) && message.contains("missing"),
            "{message}"
        );
    }
}

// What a delete or a lost write leaves in X caused the experiment to be refused.
#[test]
fn hostile_04_entries_without_a_row_are_left_out_and_counted() {
    let (folder, path) = experiment("deleted");
    let (whole, left) = (
        folder.path().join("whole.slaf"),
        folder.path().join("left.slaf"),
    );
    Run::of(&mut convert(&path, &whole, &[])).succeeded();
    // Restore the entries of X whose cells and genes were deleted.
    let commits = std::fs::read_dir(path.join("ms/RNA/X/data/__commits")).unwrap();
    for commit in commits.map(|entry| entry.unwrap().path()) {
        if commit.extension().is_some_and(|ending| ending == "del") {
            std::fs::remove_file(commit).unwrap();
        }
    }
    let run = Run::of(slaf(&["convert", "--json"]).arg(&path).arg(&left)).succeeded();
    assert!(run.stdout.contains("79 entries"), "{}", run.stdout);
    assert_eq!(triplets(&left), triplets(&whole));
    let config = Dataset::open(&left).unwrap().config().clone();
    let source = &config.sources[0];
    assert_eq!(source.canonicalized.strays, 79);
    assert!(
        source
            .warnings
            .iter()
            .any(|warning| warning.contains("79 entries"))
    );
    // Each is counted once, whatever the size of the shards.
    let small = folder.path().join("small.slaf");
    let flags = ["--fragment-rows", "20"];
    Run::of(&mut convert(&path, &small, &flags)).succeeded();
    let config = Dataset::open(&small).unwrap().config().clone();
    assert_eq!(config.sources[0].canonicalized.strays, 79);
}

// Duplicate float32 entries were summed in float32, in the order of the file.
#[test]
fn hostile_12_sums_of_duplicates_are_exact_or_refused() {
    let convert = |values: &[f32]| {
        let case = Case::new(|file| {
            let x = file.group("X").unwrap();
            for name in ["indptr", "indices", "data"] {
                x.unlink(name).unwrap();
            }
            let end = values.len() as i32;
            list(file, "X/indptr", &[0, end, end, end, end]);
            list(file, "X/indices", &vec![3i32; values.len()]);
            list(file, "X/data", values);
        });
        let run = case.convert(&[]);
        let sum = (run.code == Some(0)).then(|| {
            let [(0, 3, sum)] = triplets(&case.output())[..] else {
                panic!("one entry is expected")
            };
            sum
        });
        (run, sum)
    };
    assert_eq!(convert(&[16_777_216.0, 1.0, 1.0]).1, Some(16_777_218.0));
    assert_eq!(convert(&[16_777_216.0, 1.0]).1, Some(16_777_217.0));
    assert_eq!(convert(&[3e38, 3e38]).1, Some(f64::from(3e38f32) * 2.0));
    let (run, sum) = convert(&[1e30, 1.0]);
    let message = run.refused(3).stderr;
    assert!(
        sum.is_none() && message.contains("no exact sum"),
        "{message}"
    );
    assert!(message.contains("cell 0, gene 3"), "{message}");
}
