//! Faults of readers: what they read at the wrong time, at once, or not at all.

use std::path::Path;

use super::job::Held;
use crate::support::h5ad_writer::{Stored, write_matrix};
use crate::support::program::{Run, convert, slaf};

fn verified(output: &Path, input: &Path) {
    let mut verify = slaf(&["verify", "-q"]);
    Run::of(verify.arg(output).arg("--against").arg(input)).succeeded();
}

// What an input was is what it was when it was looked at, but its headers and lists were read before.
#[test]
fn hostile_01_an_input_that_changes_while_it_is_opened_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let [input, other, output] = ["in.h5ad", "other.h5ad", "out.slaf"].map(|n| folder.path().join(n));
    write_matrix(&input, [3, 2], &[(0, 0, 1.0), (2, 1, 2.0)], Stored::Csr, None);
    write_matrix(&other, [5, 2], &[(1, 0, 3.0), (4, 1, 7.0)], Stored::Csr, None);
    let held = Held::at("input-opened", &mut convert(&input, &output, &[]), folder.path());
    std::fs::copy(&other, &input).unwrap();
    held.release().succeeded();
    verified(&output, &other);
    std::fs::remove_dir_all(&output).unwrap();
    // Afterwards it must stay what it was.
    let held = Held::at("checkpoint-created", &mut convert(&input, &output, &[]), folder.path());
    write_matrix(&input, [5, 2], &[(1, 0, 3.0), (4, 1, 8.0)], Stored::Csr, None);
    let run = held.release().refused(3);
    assert!(run.stderr.contains("changed while it was read"), "{}", run.stderr);
}
