//! Promise: whatever is wrong, the program ends with one message that names it, the right exit
//! code, and no dataset that looks complete.

use std::path::Path;

use serde::Deserialize;
use slaf::dataset::Dataset;

use crate::support::dataset::triplets;
use crate::support::expectation::Expectation;
use crate::support::program::{Run, convert, slaf};
use crate::support::{described_fixtures, fixtures, repository};

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    mentions: Vec<String>,
    #[serde(default)]
    flags: Vec<String>,
}

#[test]
fn refused_fixtures_name_file_and_object() {
    let folder = tempfile::tempdir().unwrap();
    let all = fixtures("fixtures/h5ad_refused", "h5ad")
        .into_iter()
        .chain(described_fixtures("fixtures/10x_h5_refused"))
        .chain(described_fixtures("fixtures/10x_mtx_refused"));
    for fixture in all {
        let name = fixture.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(fixture.with_extension("json")).unwrap();
        let expected: Refusal = serde_json::from_str(&text).unwrap();
        let output = folder.path().join("out.slaf");
        let flags: Vec<&str> = expected.flags.iter().map(String::as_str).collect();
        let run = Run::of(&mut convert(&fixture, &output, &flags)).refused(3);
        assert!(run.stderr.contains(&name), "{}", run.stderr);
        let message = run.stderr.to_lowercase();
        for mention in expected.mentions {
            assert!(
                message.contains(&mention.to_lowercase()),
                "{name}: {mention:?} is not in {message}"
            );
        }
        assert!(!output.exists(), "{name} left something behind");
    }
}

#[test]
fn inputs_that_are_not_there_or_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let run = Run::of(&mut convert(
        &folder.path().join("missing.h5ad"),
        &output,
        &[],
    ))
    .refused(3);
    assert!(run.stderr.contains("missing.h5ad"), "{}", run.stderr);
    let run = Run::of(&mut convert(folder.path(), &output, &[])).refused(3);
    assert!(run.stderr.contains("is a folder"), "{}", run.stderr);
    assert!(!output.exists());
}

#[test]
fn outputs_that_are_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let input = repository("fixtures/h5ad/csr_gzip.h5ad");
    let refused = |output: &Path, flags: &[&str], mention: &str| {
        let run = Run::of(&mut convert(&input, output, flags)).refused(3);
        assert!(run.stderr.contains(mention), "{}", run.stderr);
        assert!(
            run.stderr
                .contains(&*output.file_name().unwrap().to_string_lossy())
        );
    };
    let file = folder.path().join("a_file");
    std::fs::write(&file, "precious").unwrap();
    for flags in [&[][..], &["--overwrite"]] {
        refused(&file, flags, "is a file");
    }
    let other = folder.path().join("photos");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("cat.jpg"), "precious").unwrap();
    for flags in [&[][..], &["--overwrite"], &["--no-resume"]] {
        refused(&other, flags, "not a SLAF dataset");
    }
    assert_eq!(
        std::fs::read_to_string(other.join("cat.jpg")).unwrap(),
        "precious"
    );
    let dataset = folder.path().join("out.slaf");
    Run::of(&mut convert(&input, &dataset, &[])).succeeded();
    let before = triplets(&dataset);
    refused(&dataset, &[], "--overwrite");
    assert_eq!(triplets(&dataset), before);
    Run::of(&mut convert(&input, &dataset, &["--overwrite"])).succeeded();
    assert_eq!(triplets(&dataset), before);
    // An empty folder is treated as non-existent.
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    Run::of(&mut convert(&input, &empty, &[])).succeeded();
}

#[test]
fn outputs_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let input = repository("fixtures/h5ad/csr_gzip.h5ad");
    std::fs::write(folder.path().join("file"), "").unwrap();
    let output = folder.path().join("file").join("out.slaf");
    let run = Run::of(&mut convert(&input, &output, &[])).refused(1);
    assert!(run.stderr.contains("file/out.slaf"), "{}", run.stderr);
    // Nobody, not even root, can create folders there.
    if Path::new("/proc/self").exists() {
        let run = Run::of(&mut convert(&input, Path::new("/proc/self/out.slaf"), &[])).refused(1);
        assert!(run.stderr.contains("/proc/self/out.slaf"), "{}", run.stderr);
    }
}

#[test]
fn wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let input = repository("fixtures/h5ad/csr_gzip.h5ad");
    let output = folder.path().join("out.slaf");
    let usage = |flags: &[&str], mention: &str| {
        let run = Run::of(&mut convert(&input, &output, flags));
        assert_eq!(run.code, Some(2), "{flags:?}: {}", run.stderr);
        assert!(run.stderr.contains(mention), "{flags:?}: {}", run.stderr);
        assert!(!output.exists());
    };
    usage(&["--dtypes", "wide"], "--dtypes");
    usage(&["--memory", "1MiB"], "too little");
    usage(&["--fragment-rows", "0"], "--fragment-rows");
    usage(&["--config", "/no/such/file.toml"], "/no/such/file.toml");
    usage(
        &["--dtypes", "signed", "--value-type", "uint16"],
        "--value-type",
    );
    usage(&["--scratch-dir", "/no/such/folder"], "/no/such/folder");
    usage(
        &["--source-name", "a", "--source-name", "b"],
        "2 times for 1 inputs",
    );
    usage(&["--add-column", "tissue"], "KEY=VALUE");
    let run = Run::of(slaf(&["convert"]).arg(&input));
    assert_eq!(run.code, Some(2));
}

#[test]
fn values_that_a_forced_type_does_not_hold() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    for (name, forced, mention) in [
        ("x_nan_inf", "uint32", "NaN"),
        ("x_halves", "uint16", "0.5"),
        ("x_int64", "float32", "float32"),
    ] {
        let input = repository(&format!("fixtures/h5ad/{name}.h5ad"));
        let run = Run::of(&mut convert(&input, &output, &["--value-type", forced])).refused(3);
        let message = &run.stderr;
        assert!(
            message.contains(mention) && message.contains("--value-type"),
            "{message}"
        );
        assert!(!output.exists());
    }
}

#[test]
fn datasets_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let info = |path: &Path| {
        Run::of(&mut slaf(&["info".as_ref(), path.as_os_str()]))
            .refused(3)
            .stderr
    };
    assert!(info(&folder.path().join("nothing")).contains("does not exist"));
    assert!(info(folder.path()).contains("no SLAF dataset"));
    std::fs::write(folder.path().join("config.json"), "{\"array_shape\": 3}").unwrap();
    assert!(info(folder.path()).contains("config.json"));
    let dataset = folder.path().join("out.slaf");
    Run::of(&mut convert(
        &repository("fixtures/h5ad/demo.h5ad"),
        &dataset,
        &[],
    ))
    .succeeded();
    std::fs::remove_dir_all(dataset.join("cells.lance")).unwrap();
    assert!(info(&dataset).contains("cells.lance"));
}

/// A random number generator that is the same on all platforms.
struct TypedVec(u64);

impl TypedVec {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % below as u64) as usize
    }
}

/// Damage that once crashed libhdf5: reading a fill value that is not set.
#[test]
fn a_damaged_fill_value_is_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("damaged.h5ad"),
        folder.path().join("out.slaf"),
    );
    let mut bytes = std::fs::read(repository("fixtures/h5ad/demo.h5ad")).unwrap();
    {
        let (at, byte) = (44663, 255);
        bytes[at] = byte;
    }
    std::fs::write(&input, bytes).unwrap();
    let run = Run::of(&mut convert(&input, &output, &[])).refused(3);
    assert!(run.stderr.contains("fill"), "{}", run.stderr);
}

#[test]
fn damaged_bytes_end_in_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("damaged"),
        folder.path().join("out.slaf"),
    );
    let names = [
        "h5ad/demo.h5ad",
        "h5ad/csr_gzip.h5ad",
        "h5ad/dense_gzip.h5ad",
        "h5ad/columns_kinds.h5ad",
        "h5ad/latest_csr.h5ad",
        "h5ad/csr_shuffle_gzip_fletcher32.h5ad",
        "10x_h5/v3_types.h5",
        "10x_h5/v2_genomes.h5",
        "10x_mtx/archive.tar.gz",
        "10x_mtx/long_names.tar",
    ];
    let mut random = TypedVec(20_261_121);
    // SLAF_MUTATIONS requests more rounds than a test run can afford.
    let rounds = std::env::var("SLAF_MUTATIONS").map_or(15, |text| text.parse().unwrap());
    for name in names {
        let fixture = repository(&format!("fixtures/{name}"));
        let bytes = std::fs::read(&fixture).unwrap();
        let shape = Expectation::beside(&fixture).shape;
        for round in 0..rounds {
            let mut damaged = bytes.clone();
            for _ in 0..=random.next(8) {
                // Most headers are in the first half.
                let length = if random.next(2) == 0 {
                    damaged.len() / 2
                } else {
                    damaged.len()
                };
                let at = random.next(length);
                damaged[at] = [0, 0xff, 1, 0x80, damaged[at] ^ 0x10][random.next(5)];
            }
            std::fs::write(&input, &damaged).unwrap();
            // Give up on a library that hangs sooner than a user would want.
            let run = Run::of(convert(&input, &output, &[]).env("SLAF_PATIENCE", "5"));
            match run.code {
                // The damage may be in an unused place, or result in another valid value.
                Some(0) => {
                    let dataset = Dataset::open(&output).unwrap();
                    let found = dataset.config().array_shape;
                    // A group with another name is not taken for a genome.
                    let fewer = name.ends_with("genomes.h5") && found[1] <= shape[1];
                    assert!(found == shape || fewer, "{name} {round}: {found:?}");
                    std::fs::remove_dir_all(&output).unwrap();
                }
                code => {
                    if code != Some(3) {
                        let kept = std::env::temp_dir().join("slaf-damaged");
                        std::fs::copy(&input, &kept).unwrap();
                        println!("{name} {round}: see {}", kept.display());
                    }
                    run.refused(3);
                    assert!(!output.exists(), "{name} {round} left something behind");
                }
            }
        }
    }
}
