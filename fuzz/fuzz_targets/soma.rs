//! The first byte chooses the file of an experiment that the others replace. `SLAF_EXPERIMENT` names
//! the folder of an experiment, of which a copy should be made: it is written to.

#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static EXPERIMENT: LazyLock<PathBuf> = LazyLock::new(|| {
    let experiment = std::env::var_os("SLAF_EXPERIMENT").expect("SLAF_EXPERIMENT names a folder");
    PathBuf::from(experiment)
});

static FILES: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
    let mut files = Vec::new();
    walk(&EXPERIMENT, &mut files);
    files.sort();
    files
});

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the experiment can be read") {
        let path = entry.expect("the experiment can be read").path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((&number, bytes)) = bytes.split_first() {
        let file = &FILES[usize::from(number) % FILES.len()];
        slaf::fuzzing::soma(&EXPERIMENT, file, bytes);
    }
});
