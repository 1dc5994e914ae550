//! Faults of readers: data read at the wrong time, all at once, or not at all.

use std::path::Path;

use super::job::Held;
use crate::support::h5ad_writer::{Stored, write_matrix};
use crate::support::program::{Run, convert, slaf};

fn verified(output: &Path, input: &Path) {
    let mut verify = slaf(&["verify", "-q"]);
    Run::of(verify.arg(output).arg("--against").arg(input)).succeeded();
}

// The fingerprint of an input was taken when it was surveyed, but its headers and lists were read
// before.
#[test]
fn hostile_01_an_input_that_changes_while_it_is_opened_is_read_anew() {
    let folder = tempfile::tempdir().unwrap();
    let [input, other, output] =
        ["in.h5ad", "other.h5ad", "out.slaf"].map(|n| folder.path().join(n));
    write_matrix(
        &input,
        [3, 2],
        &[(0, 0, 1.0), (2, 1, 2.0)],
        Stored::Csr,
        None,
    );
    write_matrix(
        &other,
        [5, 2],
        &[(1, 0, 3.0), (4, 1, 7.0)],
        Stored::Csr,
        None,
    );
    let held = Held::at(
        "input-opened",
        &mut convert(&input, &output, &[]),
        folder.path(),
    );
    std::fs::copy(&other, &input).unwrap();
    held.release().succeeded();
    verified(&output, &other);
    std::fs::remove_dir_all(&output).unwrap();
    // From then on, it must not change.
    let held = Held::at(
        "checkpoint-created",
        &mut convert(&input, &output, &[]),
        folder.path(),
    );
    write_matrix(
        &input,
        [5, 2],
        &[(1, 0, 3.0), (4, 1, 8.0)],
        Stored::Csr,
        None,
    );
    let run = held.release().refused(3);
    assert!(
        run.stderr.contains("changed while it was read"),
        "{}",
        run.stderr
    );
}

// For a complete append whose folder was not cleaned up yet, an unprotected file was trusted for
// the state before the append.
#[test]
fn hostile_03_what_a_dataset_was_before_is_believed_as_it_was_written_only() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second, output] = ["a.h5ad", "b.h5ad", "out.slaf"].map(|n| folder.path().join(n));
    write_matrix(
        &first,
        [3, 2],
        &[(0, 0, 1.0), (2, 1, 2.0)],
        Stored::Csr,
        None,
    );
    write_matrix(&second, [2, 2], &[(1, 0, 3.0)], Stored::Csr, None);
    Run::of(&mut convert(&first, &output, &[])).succeeded();
    let append = |flags: &[&str]| {
        let mut command = slaf(&["append", "-q", "--cell-id-prefix", "more-"]);
        command.arg(&second).arg(&output).args(flags);
        command
    };
    let run = Run::of(append(&[]).env("SLAF_FAIL_AT", "after-config"));
    assert_eq!(run.code, None, "{}", run.stderr);
    let mut files = crate::support::dataset::files_below(&output).into_iter();
    let kept = files.find(|file| file.ends_with("before")).unwrap();
    let kept = output.join(kept);
    let sound = std::fs::read(&kept).unwrap();
    let cells =
        || crate::support::dataset::table(&output, slaf::table::TableName::Cells).num_rows();
    for at in (0..sound.len()).step_by(7) {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&kept, &bytes).unwrap();
        let run = Run::of(&mut append(&[])).refused(3);
        assert!(
            run.stderr.contains("before: ") && run.stderr.contains("--no-resume"),
            "{}",
            run.stderr
        );
    }
    assert_eq!(cells(), 5);
    // Unmodified, it shows that the append is complete.
    std::fs::write(&kept, &sound).unwrap();
    Run::of(&mut append(&[])).succeeded();
    assert_eq!(cells(), 5);
    assert!(!kept.exists());
    Run::of(slaf(&["verify", "-q"]).arg(&output)).succeeded();
}
