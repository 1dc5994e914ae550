//! Datasets with damaged data files.

use std::path::Path;

use super::adopt::{adopt, begin, input, verify};
use crate::append::append;
use crate::support::dataset::Contents;
use crate::support::program::{Run, slaf};

/// The first data file of a table.
fn data_file(dataset: &Path, table: &str) -> std::path::PathBuf {
    let files = std::fs::read_dir(dataset.join(table).join("data")).unwrap();
    files.map(|file| file.unwrap().path()).min().unwrap()
}

// An append does not read rows that are there: it added to a dataset that had lost some.
#[test]
fn nothing_is_appended_to_a_dataset_that_lost_a_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path(), &[]);
    let before = Contents::of(&dataset);
    let third = input(folder.path(), 2);
    for table in ["expression.lance", "cells.lance", "genes.lance"] {
        let path = data_file(&dataset, table);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let whole = std::fs::read(&path).unwrap();
        for damaged in [None, Some(&whole[..whole.len() - 1])] {
            std::fs::remove_file(&path).unwrap();
            if let Some(bytes) = damaged {
                std::fs::write(&path, bytes).unwrap();
            }
            let mut validate = slaf(&["validate"]);
            validate.arg(&third).arg("--against").arg(&dataset);
            for run in [
                append(std::slice::from_ref(&third), &dataset, &[]),
                adopt(&dataset, &["--accept-changes"]),
                Run::of(&mut validate),
            ] {
                let run = run.refused(3);
                let what = match damaged {
                    None => "is missing".to_string(),
                    Some(bytes) => format!("has {} bytes", bytes.len()),
                };
                for word in [name.as_str(), &what, "slaf verify"] {
                    assert!(run.stderr.contains(word), "{word}: {}", run.stderr);
                }
            }
            let run = verify(&dataset);
            assert_eq!(run.code, Some(4), "{}{}", run.stdout, run.stderr);
            assert!(run.stdout.contains(&name), "{}", run.stdout);
            std::fs::write(&path, &whole).unwrap();
        }
    }
    assert_eq!(Contents::of(&dataset), before);
    append(&[third], &dataset, &[]).succeeded();
}
