//! Promise: wherever a job is killed, the same command finishes it, and the result equals that of
//! an uninterrupted run, without leftover files.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use slaf::dataset::{ConfigFile, Dataset, JobState};
use slaf::failpoint;

use crate::support::dataset::{Contents, assert_no_orphans, files_below, triplets};
use crate::support::h5ad_writer::write_csr;
use crate::support::program::{Run, convert, slaf};
use crate::support::repository;

/// Flags that divide the demo into several shards.
const FLAGS: [&str; 4] = ["--fragment-rows", "1500", "--threads", "2"];

fn demo() -> PathBuf {
    repository("fixtures/h5ad/demo.h5ad")
}

/// An input with layers, embeddings, pairwise matrices and uns, and flags that divide it into
/// several shards: it passes every fail point.
fn everything() -> (PathBuf, [&'static str; 4]) {
    let input = repository("fixtures/h5ad/everything.h5ad");
    (input, ["--fragment-rows", "10", "--threads", "2"])
}

/// Result of an uninterrupted run on an input.
fn uninterrupted(input: &Path, folder: &Path, flags: &[&str]) -> Contents {
    let output = folder.join("uninterrupted.slaf");
    Run::of(&mut convert(input, &output, flags)).succeeded();
    Contents::of(&output)
}

fn is_complete(output: &Path) -> bool {
    Dataset::open(output).is_ok()
}

/// Kills a run at a fail point; returns whether the run passed the point. Otherwise it must have
/// succeeded.
fn die_at(point: &str, input: &Path, output: &Path, flags: &[&str]) -> bool {
    let run = Run::of(convert(input, output, flags).env("SLAF_FAIL_AT", point));
    assert!(
        matches!(run.code, None | Some(0)),
        "{point}: {}",
        run.stderr
    );
    run.code.is_none()
}

#[test]
fn dies_at_every_point_and_is_finished_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    let (input, flags) = everything();
    let wanted = uninterrupted(&input, folder.path(), &flags);
    let mut deaths = 0;
    for point in failpoint::ALL {
        // Points that are passed once per shard or table: early, in the middle, and late.
        for time in [1, 2, 5] {
            let output = folder.path().join("dies.slaf");
            let place = format!("{point}:{time}");
            if !die_at(&place, &input, &output, &flags) {
                std::fs::remove_dir_all(&output).unwrap();
                continue;
            }
            deaths += 1;
            let complete = is_complete(&output);
            let after = ["after-config", "before-cleanup", "after-cleanup"].contains(&point);
            assert_eq!(complete, after, "a dataset that looks complete at {place}");
            Run::of(&mut convert(&input, &output, &flags)).succeeded();
            assert_eq!(Contents::of(&output), wanted, "{place}");
            assert_no_orphans(&output);
            std::fs::remove_dir_all(&output).unwrap();
        }
    }
    assert!(deaths >= 30, "only {deaths} deaths");
}

#[test]
fn dies_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    // With one thread, shards of cells and genes come after those of matrices in every run; with more,
    // either may be done when a run dies at the other.
    let (input, flags) = (everything().0, ["--fragment-rows", "10", "--threads", "1"]);
    let wanted = uninterrupted(&input, folder.path(), &flags);
    let output = folder.path().join("dies.slaf");
    let (mut deaths, mut finished) = (0, false);
    for point in failpoint::ALL {
        // What is recorded or committed is not done again, so that a run may miss the point.
        finished = !die_at(point, &input, &output, &flags);
        deaths += usize::from(!finished);
        if finished || is_complete(&output) {
            break;
        }
    }
    assert!(deaths >= 20, "only {deaths} deaths");
    if !finished {
        Run::of(&mut convert(&input, &output, &flags)).succeeded();
    }
    assert_eq!(Contents::of(&output), wanted);
    assert_no_orphans(&output);
}

#[test]
fn a_replaced_dataset_stays_whole_until_the_new_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let small = repository("fixtures/h5ad/csr_gzip.h5ad");
    let (input, flags) = everything();
    let wanted = uninterrupted(&input, folder.path(), &flags);
    let flags = [&flags[..], &["--overwrite"]].concat();
    for point in failpoint::ALL {
        let output = folder.path().join("replaced.slaf");
        Run::of(&mut convert(&small, &output, &[])).succeeded();
        let old = Contents::of(&output);
        assert!(
            die_at(point, &input, &output, &flags),
            "{point} is not passed"
        );
        // At every moment, the name refers to a complete dataset, either the old or the new one.
        let now = Contents::of(&output);
        assert!(now == old || now == wanted, "{point}");
        Run::of(&mut convert(&input, &output, &flags)).succeeded();
        assert_eq!(Contents::of(&output), wanted, "{point}");
        assert_no_orphans(&output);
        std::fs::remove_dir_all(&output).unwrap();
    }
}

/// Waits until the output of a running child satisfies a condition, or the child has ended.
fn wait_until(child: &mut Child, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "nothing happens");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn killed_at_random_moments() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.h5ad");
    // A value that does not fit what the sample suggests, so that runs are also killed during a
    // widening.
    write_csr(&input, 12_000, 2_000, 200, |entry| {
        if entry == 1_113_344 {
            70_000.0
        } else {
            1.0 + (entry % 7) as f32
        }
    });
    let flags = [
        "--fragment-rows",
        "160000",
        "--threads",
        "2",
        "--chunk-size",
        "200",
    ];
    let started = Instant::now();
    let wanted = uninterrupted(&input, folder.path(), &flags);
    let length = started.elapsed();
    // SLAF_KILLS requests more kills than a test run can afford.
    let kills = std::env::var("SLAF_KILLS").map_or(20, |text| text.parse().unwrap());
    for kill in 0..kills {
        let output = folder.path().join("killed.slaf");
        let mut child = convert(&input, &output, &flags).spawn().unwrap();
        // Spread over the run and beyond its end, in a non-repeating order.
        let part = (f64::from(kill) * 0.618_033_988_75).fract() * 1.1;
        std::thread::sleep(length.mul_f64(part));
        child.kill().unwrap();
        let killed = child.wait().unwrap().code().is_none();
        if killed {
            let run = Run::of(&mut convert(&input, &output, &flags));
            // The run may have been killed when only exiting was left to do.
            if !run.stderr.contains("exists already") {
                run.succeeded();
            }
        }
        assert!(
            Contents::of(&output) == wanted,
            "kill {kill} after {part:.3} of the run"
        );
        assert_no_orphans(&output);
        std::fs::remove_dir_all(&output).unwrap();
    }
}

#[test]
fn what_was_written_is_not_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    assert!(die_at("after-record:2", &demo(), &output, &FLAGS));
    let config = ConfigFile::read(&output).unwrap().unwrap();
    let JobState::Known(checkpoint) = config.job(&output).unwrap() else {
        panic!("the job is not known");
    };
    assert_eq!(checkpoint.shards.len(), 2);
    let kept = &checkpoint.shards[0].fragments[0].files[0].path;
    let info = Run::of(&mut slaf(&["info".as_ref(), output.as_os_str()])).succeeded();
    assert!(
        info.stdout.contains("conversion in progress"),
        "{}",
        info.stdout
    );
    let mut command = slaf(&["convert", "--json"]);
    let run = Run::of(command.arg(demo()).arg(&output).args(FLAGS)).succeeded();
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    // Cells, genes and notes may have been recorded, too.
    assert!(report["resumed_shards"].as_u64() >= Some(2));
    assert!(files_below(&output).contains(&format!("expression.lance/data/{kept}")));
}

#[test]
fn another_job_is_refused_until_the_old_one_is_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    assert!(die_at("after-record", &demo(), &output, &FLAGS));
    let other = ["--fragment-rows", "999"];
    let run = Run::of(&mut convert(&demo(), &output, &other)).refused(3);
    assert!(
        run.stderr.contains("--no-resume") && run.stderr.contains("demo.h5ad"),
        "{}",
        run.stderr
    );
    // Resources are not part of the job.
    Run::of(&mut convert(
        &demo(),
        &output,
        &[
            "--fragment-rows",
            "1500",
            "--threads",
            "1",
            "--memory",
            "300MiB",
        ],
    ))
    .succeeded();
    std::fs::remove_dir_all(&output).unwrap();
    assert!(die_at("after-record", &demo(), &output, &FLAGS));
    Run::of(&mut convert(
        &demo(),
        &output,
        &[&other[..], &["--no-resume"]].concat(),
    ))
    .succeeded();
    assert_no_orphans(&output);
}

#[test]
fn an_input_that_changed_is_another_job() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    std::fs::copy(demo(), &input).unwrap();
    assert!(die_at("after-record", &input, &output, &FLAGS));
    let file = std::fs::File::options().append(true).open(&input).unwrap();
    file.set_modified(std::time::SystemTime::now() + Duration::from_secs(5))
        .unwrap();
    let run = Run::of(&mut convert(&input, &output, &FLAGS)).refused(3);
    assert!(run.stderr.contains("changed"), "{}", run.stderr);
}

#[test]
fn the_input_may_move_between_two_runs() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let (here, there) = (folder.path().join("in.h5ad"), folder.path().join("there"));
    std::fs::copy(demo(), &here).unwrap();
    let wanted = triplets_of(&here, folder.path());
    assert!(die_at("after-record:2", &here, &output, &FLAGS));
    std::fs::create_dir(&there).unwrap();
    std::fs::rename(&here, there.join("in.h5ad")).unwrap();
    Run::of(&mut convert(&there.join("in.h5ad"), &output, &FLAGS)).succeeded();
    assert_eq!(triplets(&output), wanted);
}

fn triplets_of(input: &Path, folder: &Path) -> Vec<(u64, u64, f64)> {
    let output = folder.join("whole.slaf");
    Run::of(&mut convert(input, &output, &[])).succeeded();
    triplets(&output)
}

#[test]
fn a_second_writer_is_told_to_try_again() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let input = folder.path().join("input.h5ad");
    write_csr(&input, 20_000, 2_000, 200, |entry| (entry % 5 + 1) as f32);
    let mut first = convert(&input, &output, &["--threads", "1"])
        .spawn()
        .unwrap();
    wait_until(&mut first, || output.join("config.json").exists());
    // While it is stopped, the first writer keeps its lock as long as the test needs.
    let signal = |name: &str| {
        // The shell's builtin, since there may be no other.
        let status = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("kill {name} {}", first.id()))
            .status();
        assert!(status.unwrap().success());
    };
    signal("-STOP");
    let run = Run::of(&mut convert(&input, &output, &["--threads", "1"])).refused(75);
    assert!(run.stderr.contains("another process"), "{}", run.stderr);
    signal("-CONT");
    assert!(first.wait().unwrap().success());
    assert_no_orphans(&output);
    let run = Run::of(&mut convert(&input, &output, &[])).refused(3);
    assert!(run.stderr.contains("--overwrite"), "{}", run.stderr);
}

#[test]
fn a_full_disk_is_one_message_and_room_lets_it_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let mut command = std::process::Command::new("mount");
        command
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&disk);
        command.output().is_ok_and(|output| output.status.success())
    };
    if !mount("size=3m") {
        crate::support::skipped("no right to mount a small file system");
        return;
    }
    let input = folder.path().join("input.h5ad");
    write_csr(&input, 20_000, 2_000, 200, |entry| {
        ((entry * 7919) % 251 + 1) as f32
    });
    let output = disk.join("out.slaf");
    let flags = ["--fragment-rows", "400000"];
    let run = Run::of(&mut convert(&input, &output, &flags));
    let complete = is_complete(&output);
    let grown = mount("remount,size=200m");
    let resumed = Run::of(&mut convert(&input, &output, &flags));
    let rows = is_complete(&output).then(|| triplets(&output).len());
    let unmounted = std::process::Command::new("umount").arg(&disk).status();
    assert!(unmounted.unwrap().success() && grown);
    let run = run.refused(1);
    assert!(run.stderr.contains("no space left"), "{}", run.stderr);
    assert!(!complete);
    resumed.succeeded();
    assert_eq!(rows, Some(4_000_000));
}
