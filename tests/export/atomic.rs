//! A file appears whole or not at all.

use slaf::failpoint;

use super::{dataset, digest, export, names, reconverted};
use crate::support::program::Run;

#[test]
fn dies_at_every_point_and_leaves_nothing_under_the_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = dataset(folder.path(), 200, 50, 10);
    let out = at("out.h5ad");
    for point in failpoint::EXPORT {
        let run = Run::of(export(&dataset, &out, &[]).env("SLAF_FAIL_AT", point));
        assert_eq!(run.code, None, "{point}: {}", run.stderr);
        // It has its name once it is complete.
        assert_eq!(out.exists(), point == "export-named", "{point}");
        let flags: &[&str] = if out.exists() { &["--overwrite"] } else { &[] };
        Run::of(&mut export(&dataset, &out, flags)).succeeded();
        assert_eq!(
            names(folder.path()),
            ["d.slaf", "input.h5ad", "out.h5ad"],
            "{point}"
        );
        reconverted(&out, &at("again.slaf"));
        assert_eq!(digest(&at("again.slaf")), digest(&dataset));
        std::fs::remove_dir_all(at("again.slaf")).unwrap();
        std::fs::remove_file(&out).unwrap();
    }
}

#[test]
fn what_is_there_stays_unless_it_is_to_be_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.h5ad");
    let dataset = dataset(folder.path(), 20, 30, 5);
    std::fs::write(&out, "mine").unwrap();
    let run = Run::of(&mut export(&dataset, &out, &[])).refused(3);
    assert!(run.stderr.contains("--overwrite"), "{}", run.stderr);
    // One that fails or is killed leaves what is there.
    let flags = ["--overwrite", "--where", "nothing = 1"];
    Run::of(&mut export(&dataset, &out, &flags)).refused(3);
    let mut command = export(&dataset, &out, &["--overwrite"]);
    assert_eq!(
        Run::of(command.env("SLAF_FAIL_AT", "export-written")).code,
        None
    );
    assert_eq!(std::fs::read(&out).unwrap(), b"mine");
    Run::of(&mut export(&dataset, &out, &["--overwrite"])).succeeded();
    assert!(std::fs::read(&out).unwrap().starts_with(b"\x89HDF"));
    assert_eq!(names(folder.path()).len(), 3);
}

#[test]
fn outputs_that_are_something_else_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = dataset(folder.path(), 20, 30, 5);
    std::fs::create_dir(at("folder.h5ad")).unwrap();
    std::os::unix::fs::symlink("nowhere", at("link.h5ad")).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(at("pipe.h5ad"))
        .status();
    assert!(made.unwrap().success());
    for (output, part) in [
        (at("folder.h5ad"), "a folder"),
        (at("link.h5ad"), "a link to nothing"),
        (at("pipe.h5ad"), "a pipe"),
        (at("none/out.h5ad"), "does not exist"),
        (dataset.join("out.h5ad"), "the dataset"),
        (dataset.join("cells.lance/out.h5ad"), "the dataset"),
    ] {
        let run = Run::of(&mut export(&dataset, &output, &["--overwrite"])).refused(3);
        assert!(run.stderr.contains(part), "{}", run.stderr);
        let name = output.file_name().unwrap().to_str().unwrap();
        assert!(run.stderr.contains(name), "{}", run.stderr);
    }
    let run = Run::of(&mut export(
        &dataset,
        &dataset,
        &["--to", "h5ad", "--overwrite"],
    ))
    .refused(3);
    assert!(run.stderr.contains("the dataset"), "{}", run.stderr);
}

#[test]
fn somebody_else_who_writes_it_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let dataset = dataset(folder.path(), 20, 30, 5);
    let (out, held) = (at("out.h5ad"), at("held"));
    let mut first = export(&dataset, &out, &[]);
    first
        .env("SLAF_HOLD_AT", "export-begun")
        .env("SLAF_HOLD_FILE", &held);
    let mut first = first.spawn().unwrap();
    while !held.exists() {
        assert!(first.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let run = Run::of(&mut export(&dataset, &out, &[])).refused(75);
    assert!(run.stderr.contains("another process"), "{}", run.stderr);
    std::fs::remove_file(held).unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(names(folder.path()), ["d.slaf", "input.h5ad", "out.h5ad"]);
}

#[test]
fn a_full_disk_is_one_message_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut mount = std::process::Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(&disk);
    if !mount.output().is_ok_and(|output| output.status.success()) {
        crate::support::skipped("no right to mount a small file system");
        return;
    }
    let dataset = dataset(folder.path(), 20_000, 2_000, 100);
    let mut runs = Vec::new();
    for flags in [&[][..], &["--compression", "none"], &["--to", "10x-h5"]] {
        runs.push(Run::of(&mut export(
            &dataset,
            &disk.join("out.h5ad"),
            flags,
        )));
    }
    runs.push(Run::of(&mut export(
        &dataset,
        &disk.join("mtx"),
        &["--to", "10x-mtx"],
    )));
    let left = names(&disk);
    let unmounted = std::process::Command::new("umount").arg(&disk).status();
    assert!(unmounted.unwrap().success());
    for run in runs {
        let run = run.refused(1);
        assert!(run.stderr.contains("no space left"), "{}", run.stderr);
        assert!(run.stderr.contains("/disk/"), "{}", run.stderr);
    }
    assert!(left.is_empty(), "{left:?}");
}
