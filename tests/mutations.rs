//! Promise: no input and no dataset, however damaged, makes a command panic, abort or hang.
//!
//! Bytes of small inputs, finished datasets and unfinished ones are changed at random, always by the
//! same seed, and a command runs on them. `SLAF_MUTATIONS` asks for more rounds of each.

use std::path::{Path, PathBuf};

use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::convert;
use crate::support::soma::unpack;

/// Rounds of each test, unless the variable asks for others.
fn rounds(few: u64) -> u64 {
    std::env::var("SLAF_MUTATIONS").map_or(few, |text| text.parse().unwrap())
}

/// Numbers that are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn one<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// Changes some bytes, cuts the end off, repeats or moves a part.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            bytes.extend(self.next().to_le_bytes());
        }
        let length = bytes.len();
        let (at, part) = (self.below(length), 1 + self.below(64));
        let end = (at + part).min(length);
        match self.below(10) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            3 => bytes[at..end].fill(*[0, 0xff].get(part % 2).unwrap()),
            4 => {
                let words = [0, 1, u64::MAX, 1 << 31, 1 << 62, length as u64];
                let word = self.one(&words).to_le_bytes();
                bytes.splice(at..end.min(at + 8), word);
            }
            _ => {
                for _ in 0..=self.below(6) {
                    let at = self.below(length);
                    bytes[at] = match self.below(3) {
                        0 => bytes[at] ^ (1 << self.below(8)),
                        1 => self.next() as u8,
                        _ => *self.one(b"0919-.,eE[]{}\"\n\t \0"),
                    };
                }
            }
        }
    }
}

/// All files of a folder, in order; of a file, itself.
fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_path_buf()];
    }
    let entries = std::fs::read_dir(path).unwrap();
    let mut all: Vec<PathBuf> = entries
        .flat_map(|entry| files(&entry.unwrap().path()))
        .collect();
    all.sort();
    all
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::copy(&file, target).unwrap();
    }
}

/// Mutates a file of what is at `path`, and tells which.
fn mutate(random: &mut Random, path: &Path) -> PathBuf {
    let files = files(path);
    // config.json and other texts are a few of many files.
    let texts: Vec<PathBuf> = files
        .iter()
        .filter(|file| file.extension().is_some_and(|ending| ending == "json"))
        .cloned()
        .collect();
    let file = match random.below(3) {
        0 if !texts.is_empty() => random.one(&texts),
        _ => random.one(&files),
    };
    let mut bytes = std::fs::read(file).unwrap();
    random.mutate(&mut bytes);
    std::fs::write(file, bytes).unwrap();
    file.clone()
}

/// Runs a command, which must end with a code and, where it fails, with one message.
fn run(what: &str, arguments: &[&Path], codes: &[i32]) -> i32 {
    let words: Vec<&str> = what.split(' ').collect();
    let mut command = slaf(&words[..1]);
    // A library that never comes to an end is given up sooner than a user would want.
    command
        .args(arguments)
        .args(&words[1..])
        .env("SLAF_PATIENCE", "5");
    let run = Run::of(&mut command);
    let told = format!("{what} {arguments:?}: {:?}\n{}", run.code, run.stderr);
    let code = run
        .code
        .unwrap_or_else(|| panic!("ended by a signal: {told}"));
    assert!(codes.contains(&code), "{told}");
    assert!(!run.stderr.contains("panicked"), "{told}");
    if code != 0 && code != 4 {
        let errors = run.stderr.matches("slaf: error: ").count();
        assert_eq!(errors, 1, "{told}");
    }
    code
}

#[test]
fn inputs_in_folders_that_were_mutated() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = folder.path().join("experiment");
    unpack(
        &repository("fixtures/soma/plain_counts.tar.gz"),
        &experiment,
    );
    let originals = [
        repository("fixtures/h5ad/everything.h5ad"),
        repository("fixtures/10x_mtx/duplicates_zeros"),
        experiment,
    ];
    let mut random = Random(14);
    for round in 0..rounds(24) {
        let original = random.one(&originals).clone();
        let place = folder.path().join(format!("round {round}"));
        let input = place.join(original.file_name().unwrap());
        let output = place.join("out.slaf");
        std::fs::create_dir(&place).unwrap();
        if original.is_file() {
            std::fs::copy(&original, &input).unwrap();
        } else {
            copy(&original, &input);
        }
        let file = mutate(&mut random, &input);
        println!("{round}: {}", file.display());
        if run("convert -q", &[&input, &output], &[0, 1, 3]) != 0 {
            assert!(!output.exists(), "{round} left something behind");
        } else if run("verify -q", &[&output], &[0]) == 0 {
            let against = [output.as_path(), Path::new("--against"), &input];
            run("verify -q", &against, &[0]);
        }
        std::fs::remove_dir_all(&place).unwrap();
    }
}

#[test]
fn datasets_that_were_mutated() {
    let folder = tempfile::tempdir().unwrap();
    let input = repository("fixtures/h5ad/everything.h5ad");
    let original = folder.path().join("original.slaf");
    convert(
        std::slice::from_ref(&input),
        &original,
        &["--fragment-rows", "500"],
    )
    .succeeded();
    let again = "--allow-duplicate-source --allow-duplicate-cells";
    let mut random = Random(15);
    for round in 0..rounds(40) {
        let place = folder.path().join(format!("round {round}"));
        let dataset = place.join("data.slaf");
        copy(&original, &dataset);
        let mut changed = Vec::new();
        for _ in 0..=random.below(2) {
            changed.push(mutate(&mut random, &dataset));
        }
        println!("{round}: {changed:?}");
        run("info", &[&dataset], &[0, 1, 3]);
        run("verify -q", &[&dataset], &[0, 1, 3, 4]);
        match random.below(5) {
            0 => run(
                &format!("append -q {again}"),
                &[&input, &dataset],
                &[0, 1, 3],
            ),
            1 => run("adopt -q", &[&dataset], &[0, 1, 3]),
            2 => run("adopt -q --accept-changes", &[&dataset], &[0, 1, 3]),
            3 => run(
                "convert -q",
                &[&dataset, &place.join("copy.slaf")],
                &[0, 1, 3],
            ),
            _ => {
                let against = [input.as_path(), Path::new("--against"), &dataset];
                run(&format!("validate -q {again}"), &against, &[0, 1, 3])
            }
        };
        std::fs::remove_dir_all(&place).unwrap();
    }
}

#[test]
fn unfinished_work_that_was_mutated() {
    let folder = tempfile::tempdir().unwrap();
    let input = repository("fixtures/h5ad/everything.h5ad");
    let command = |output: &Path| {
        let mut command = slaf(&["convert", "-q", "--fragment-rows", "500", "--threads", "2"]);
        command.arg(&input).arg(output);
        command
    };
    let original = folder.path().join("original.slaf");
    let killed = Run::of(command(&original).env("SLAF_FAIL_AT", "after-record"));
    assert!(killed.code != Some(0) && original.join("config.json").exists());
    let mut random = Random(16);
    for round in 0..rounds(24) {
        let place = folder.path().join(format!("round {round}"));
        let output = place.join("data.slaf");
        copy(&original, &output);
        let file = mutate(&mut random, &output);
        println!("{round}: {}", file.display());
        run("info", &[&output], &[0, 1, 3]);
        let resumed = Run::of(&mut command(&output));
        let told = format!("{round}: {:?}\n{}", resumed.code, resumed.stderr);
        assert!(matches!(resumed.code, Some(0 | 1 | 3)), "{told}");
        assert!(!resumed.stderr.contains("panicked"), "{told}");
        if resumed.code == Some(0) {
            let against = [output.as_path(), Path::new("--against"), &input];
            // Of data files, a resumed run looks at the lengths: only a pass over all of it tells.
            let is_data = file.components().any(|part| part.as_os_str() == "data");
            run("verify -q", &against, if is_data { &[0, 4] } else { &[0] });
        } else {
            // Nothing of it is in the way of a new beginning.
            let mut anew = command(&output);
            let anew = Run::of(anew.args(["--no-resume", "--overwrite"]));
            assert!(matches!(anew.code, Some(0 | 3)), "{told}{}", anew.stderr);
        }
        std::fs::remove_dir_all(&place).unwrap();
    }
}
