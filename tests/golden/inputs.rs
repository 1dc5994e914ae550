//! Fixtures copied to a folder of their own with fixed modification times, by which jobs are
//! identified.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use crate::support::repository;

/// A fixed time in 2023.
const WRITTEN: Duration = Duration::from_secs(1_700_000_000);

/// Copies files and folders of `fixtures/` to a new folder under their own names.
pub fn copies(fixtures: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for fixture in fixtures {
        let from = repository(&format!("fixtures/{fixture}"));
        let to = folder.path().join(from.file_name().unwrap());
        copy(&from, &to);
    }
    folder
}

/// Copies a file or a folder, with old modification times.
pub fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        std::fs::copy(from, to).unwrap();
    }
    let time = SystemTime::UNIX_EPOCH + WRITTEN;
    File::open(to).unwrap().set_modified(time).unwrap();
}
