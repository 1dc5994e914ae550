//! What was converted comes back as it was.

use std::path::{Path, PathBuf};

use slaf::source::OpenOptions;

use super::{config, digest, export, exported, reconverted};
use crate::support::converted::{self, permissive};
use crate::support::program::Run;
use crate::support::{fixtures, python, repository, shared};

/// An original, its export, and the summary of that.
type Triple = [PathBuf; 3];

fn compare(triples: &[Triple]) {
    let paths = triples.iter().flatten().map(PathBuf::as_path);
    let Some((same, text)) = python::run("exported.py", paths) else {
        return;
    };
    let (fine, different): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("ok "));
    assert!(same, "{}", different.join("\n"));
    assert_eq!(fine.len(), triples.len(), "{text}");
}

/// Converts a file and exports the dataset; converts the export and compares the datasets. Returns
/// `None` if the file cannot be a dataset.
fn there_and_back(input: &Path, folder: &Path, number: usize) -> Option<Triple> {
    let at = |ending: &str| folder.join(format!("{number}.{ending}"));
    let (one, other) = (at("slaf"), at("again.slaf"));
    converted::convert(input, OpenOptions::default(), &one, permissive()).ok()?;
    let summary = exported(&one, &at("h5ad"), &[]);
    std::fs::write(at("json"), summary.to_string()).unwrap();
    reconverted(&at("h5ad"), &other);
    let (before, after) = (config(&one), config(&other));
    let name = input.display();
    assert_eq!(before.array_shape, after.array_shape, "{name}");
    assert_eq!(
        before.sources[0].digests, after.sources[0].digests,
        "{name}"
    );
    assert_eq!(summary["digest"], digest(&one).as_str(), "{name}");
    assert_eq!(before.obs_dtypes, after.obs_dtypes, "{name}");
    assert_eq!(before.var_dtypes, after.var_dtypes, "{name}");
    let rows = |config: &slaf::dataset::DatasetConfig| config.metadata.expression_count;
    assert_eq!(summary["nonzeros"], rows(&before), "{name}");
    for dataset in [one, other] {
        std::fs::remove_dir_all(dataset).unwrap();
    }
    Some([input.to_path_buf(), at("h5ad"), at("json")])
}

#[test]
fn every_fixture_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let all = fixtures("fixtures/h5ad", "h5ad");
    let triples: Vec<Triple> = all
        .iter()
        .enumerate()
        .filter_map(|(number, fixture)| there_and_back(fixture, folder.path(), number))
        .collect();
    assert!(triples.len() > 130, "{} of {}", triples.len(), all.len());
    compare(&triples);
}

#[test]
fn real_files_come_back_as_they_were() {
    let Some(group) = shared("data/h5ad") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let entries = std::fs::read_dir(group).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    let triples: Vec<Triple> = files
        .iter()
        .enumerate()
        .filter_map(|(number, file)| there_and_back(file, folder.path(), number))
        .collect();
    assert!(triples.len() > 20, "{} of {}", triples.len(), files.len());
    compare(&triples);
}

/// By gene, and without compression, it is the same.
#[test]
fn layouts_and_compressions_hold_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = super::dataset(folder.path(), 3_000, 500, 60);
    let wanted = digest(&dataset);
    for (number, flags) in [
        &["--layout", "csc"][..],
        &["--compression", "none"],
        &["--compression", "gzip:9", "--threads", "1"],
        &["--chunk-size", "7", "--threads", "3"],
    ]
    .iter()
    .enumerate()
    {
        let file = at(&format!("{number}.h5ad"));
        let summary = exported(&dataset, &file, flags);
        assert_eq!(summary["digest"], wanted.as_str());
        let again = at(&format!("{number}.slaf"));
        reconverted(&file, &again);
        assert_eq!(digest(&again), wanted, "{flags:?}");
    }
}

/// Whatever the number of threads and the size of chunks, the file is the same.
#[test]
fn the_same_contents_make_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let everything = at("everything.slaf");
    reconverted(&repository("fixtures/h5ad/everything.h5ad"), &everything);
    let large = super::dataset(folder.path(), 4_000, 500, 60);
    for (number, dataset) in [everything, large].iter().enumerate() {
        let mut first: Option<Vec<u8>> = None;
        for threads in ["1", "4"] {
            let file = at(&format!("{number}.{threads}.h5ad"));
            Run::of(&mut export(
                dataset,
                &file,
                &["--threads", threads, "--memory", "300MiB"],
            ))
            .succeeded();
            let bytes = std::fs::read(file).unwrap();
            assert!(first.get_or_insert_with(|| bytes.clone()) == &bytes);
        }
    }
}

/// What is chosen of a dataset is what convert chooses of the original.
#[test]
fn a_part_is_exported_as_convert_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let input = repository("fixtures/h5ad/everything.h5ad");
    let whole = at("whole.slaf");
    reconverted(&input, &whole);
    let genes = slaf::open(&whole).unwrap().var_names(1..4).unwrap();
    let genes: Vec<&str> = genes.iter().flatten().collect();
    let genes = genes.join(",");
    let flags = [
        "--genes",
        &genes,
        "--limit",
        "5",
        "--skip",
        "obsm",
        "--only",
        "layers:counts",
    ];
    exported(&whole, &at("part.h5ad"), &flags);
    reconverted(&at("part.h5ad"), &at("part.slaf"));
    let mut command = crate::support::program::convert(&input, &at("wanted.slaf"), &flags);
    Run::of(&mut command).succeeded();
    let (part, wanted) = (config(&at("part.slaf")), config(&at("wanted.slaf")));
    assert_eq!(part.array_shape, [5, 3]);
    assert_eq!(part.sources[0].digests, wanted.sources[0].digests);
    assert_eq!(part.obsm, None);
    // A layer becomes X.
    exported(&whole, &at("layer.h5ad"), &["--matrix", "counts"]);
    reconverted(&at("layer.h5ad"), &at("layer.slaf"));
    let layer = config(&at("layer.slaf")).sources[0].digests["expression"];
    assert_eq!(layer, config(&whole).sources[0].digests["layers/counts"]);
}

#[test]
fn what_does_not_exist_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = super::dataset(folder.path(), 20, 30, 5);
    for (flags, code, part) in [
        (&["--where", "tisue = 'x'"][..], 3, "tisue"),
        (&["--genes", "nobody"], 3, "nobody"),
        (&["--matrix", "nolayer"], 3, "nolayer"),
        (&["--compression", "gzip:11"], 2, "gzip"),
        (&["--to", "loom"], 2, "loom"),
    ] {
        let run = Run::of(&mut export(&dataset, &at("out.h5ad"), flags));
        assert_eq!(run.code, Some(code), "{flags:?} {}", run.stderr);
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
    let run = Run::of(&mut export(&dataset, &at("out.xyz"), &[])).refused(2);
    assert!(run.stderr.contains("--to"), "{}", run.stderr);
    let run = Run::of(&mut export(&at("none.slaf"), &at("out.h5ad"), &[])).refused(3);
    assert!(run.stderr.contains("none.slaf"), "{}", run.stderr);
    assert_eq!(super::names(folder.path()), ["d.slaf", "input.h5ad"]);
}

/// Memory does not grow with the number of cells.
#[test]
fn ten_times_the_cells_need_no_more_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut peaks = Vec::new();
    for cells in [20_000, 100_000] {
        let below = folder.path().join(cells.to_string());
        std::fs::create_dir(&below).unwrap();
        let dataset = super::dataset(&below, cells, 3_000, 200);
        let flags = ["--threads", "2", "--memory", "300MiB"];
        let summary = exported(&dataset, &below.join("out.h5ad"), &flags);
        peaks.extend(summary["peak_memory"].as_u64());
    }
    let [small, large] = peaks[..] else {
        crate::support::skipped("this system does not tell a process's memory");
        return;
    };
    let limit = 330 << 20;
    assert!(large < limit, "{large} bytes with 300 MiB");
    assert!(large < small + (64 << 20), "{small} and {large} bytes");
}
