//! 10x files hold the counts, and are read again.

use std::path::Path;

use super::{config, dataset, digest, export, exported, names, reconverted};
use crate::support::program::Run;
use crate::support::{fixtures, python, repository};

const MTX: [&str; 3] = ["barcodes.tsv.gz", "features.tsv.gz", "matrix.mtx.gz"];

/// Converts, exports in both formats, converts again, and compares. Returns the exports.
fn there_and_back(input: &Path, folder: &Path, number: usize) -> Option<[std::path::PathBuf; 2]> {
    let at = |ending: &str| folder.join(format!("{number}.{ending}"));
    let one = at("slaf");
    let open = slaf::source::OpenOptions::default();
    let plan = crate::support::converted::permissive();
    crate::support::converted::convert(input, open, &one, plan).ok()?;
    let (h5, mtx) = (at("h5"), at("mtx"));
    for (output, to) in [(&h5, "10x-h5"), (&mtx, "10x-mtx")] {
        let mut command = export(&one, output, &["--to", to]);
        let run = Run::of(&mut command);
        if run.code == Some(3) {
            // Some are no counts.
            assert!(run.stderr.contains("not exact"), "{}", run.stderr);
            assert!(!output.exists());
            return None;
        }
        run.succeeded();
        let again = at("again.slaf");
        reconverted(output, &again);
        assert_eq!(digest(&again), digest(&one), "{} {to}", input.display());
        assert_eq!(config(&again).digests["genes"].to_string().len(), 32);
        std::fs::remove_dir_all(again).unwrap();
    }
    assert_eq!(names(&mtx), MTX);
    Some([h5, mtx])
}

#[test]
fn counts_come_back_from_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = fixtures("fixtures/10x_h5", "h5");
    all.truncate(12);
    all.push(repository("fixtures/h5ad/demo.h5ad"));
    all.push(repository("fixtures/h5ad/everything.h5ad"));
    all.push(repository("fixtures/h5ad/csr_one_cell.h5ad"));
    let mut pairs = Vec::new();
    let mut done = 0;
    for (number, input) in all.iter().enumerate() {
        let Some([h5, mtx]) = there_and_back(input, folder.path(), number) else {
            continue;
        };
        done += 1;
        let dataset = folder.path().join(format!("{number}.slaf"));
        pairs.extend([(h5, dataset.clone()), (mtx, dataset)]);
    }
    assert!(done > 8, "{done} of {}", all.len());
    let paths = pairs
        .iter()
        .flat_map(|(file, dataset)| [file.as_path(), dataset.as_path()]);
    if let Some((same, text)) = python::run("exported_10x.py", paths) {
        assert!(same, "{text}");
        assert_eq!(
            text.lines().filter(|line| line.starts_with("ok ")).count(),
            pairs.len()
        );
    }
}

#[test]
fn what_is_no_count_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let input = repository("fixtures/h5ad/x_halves.h5ad");
    let halves = at("halves.slaf");
    reconverted(&input, &halves);
    for (output, to) in [(at("out.h5"), "10x-h5"), (at("out"), "10x-mtx")] {
        let run = Run::of(&mut export(&halves, &output, &["--to", to])).refused(3);
        assert!(
            run.stderr.contains("not exact") && run.stderr.contains("h5ad"),
            "{}",
            run.stderr
        );
        assert_eq!(names(folder.path()), ["halves.slaf"]);
    }
}

#[test]
fn metadata_lie_beside() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = at("d.slaf");
    reconverted(&repository("fixtures/h5ad/everything.h5ad"), &dataset);
    let description = slaf::open(&dataset).unwrap().description().clone();
    let summary = exported(
        &dataset,
        &at("mtx"),
        &["--to", "10x-mtx", "--with-metadata"],
    );
    let notes = summary["notes"].as_array().unwrap().iter();
    let notes: Vec<&str> = notes
        .filter(|note| note["reason"].as_str().unwrap().contains("no room"))
        .map(|note| note["object"].as_str().unwrap())
        .collect();
    assert!(notes.contains(&"layers/counts"), "{notes:?}");
    assert!(
        notes
            .iter()
            .all(|note| !note.starts_with("obs/") && !note.starts_with("obsm/")),
        "{notes:?}"
    );
    exported(&dataset, &at("out.h5"), &["--with-metadata"]);
    let lines = |path: &Path| -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().map(String::from).collect()
    };
    let metadata = lines(&at("mtx/metadata.tsv"));
    assert_eq!(metadata, lines(&at("out.metadata.tsv")));
    assert_eq!(metadata.len() as u64, description.n_obs + 1);
    let header: Vec<&str> = metadata[0].split('\t').collect();
    let columns: Vec<&str> = description.obs.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(header, [&["cell_id"][..], &columns].concat());
    for embedding in &description.obsm {
        let table = lines(&at(&format!("mtx/{}.tsv", embedding.name)));
        assert_eq!(table.len() as u64, description.n_obs + 1);
        assert_eq!(table[1].split('\t').count() as u64, embedding.width + 1);
    }
    // A folder with anything else is never replaced.
    let flags = ["--to", "10x-mtx", "--overwrite"];
    exported(&dataset, &at("mtx"), &flags);
    assert_eq!(names(&at("mtx")), MTX);
    std::fs::write(at("mtx/mine.txt"), "mine").unwrap();
    let run = Run::of(&mut export(&dataset, &at("mtx"), &flags)).refused(3);
    assert!(run.stderr.contains("mine.txt"), "{}", run.stderr);
    assert_eq!(names(&at("mtx")).len(), 4);
    let run = Run::of(&mut export(&dataset, &at("x.h5ad"), &["--with-metadata"])).refused(2);
    assert!(run.stderr.contains("h5ad"), "{}", run.stderr);
}

/// A run that is killed leaves nothing under the name, and the next one nothing else.
#[test]
fn folders_appear_whole() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(folder.path(), 100, 40, 8);
    let out = folder.path().join("out");
    for point in slaf::failpoint::EXPORT {
        let mut command = export(&dataset, &out, &["--to", "10x-mtx", "--with-metadata"]);
        assert_eq!(Run::of(command.env("SLAF_FAIL_AT", point)).code, None);
        assert_eq!(out.exists(), point == "export-named", "{point}");
        Run::of(&mut export(
            &dataset,
            &out,
            &["--to", "10x-mtx", "--overwrite"],
        ))
        .succeeded();
        assert_eq!(
            names(folder.path()),
            ["d.slaf", "input.h5ad", "out"],
            "{point}"
        );
        assert_eq!(names(&out), MTX);
        std::fs::remove_dir_all(&out).unwrap();
    }
}
