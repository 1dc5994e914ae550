//! Promise: an append is atomic, whenever the dataset is read and whenever the append is killed,
//! and appends do not run concurrently.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use slaf::dataset::Dataset;
use slaf::failpoint;
use slaf::store::{FolderLock, LockPolicy};
use slaf::table::{TableFolder, TableName};

use crate::append::append;
use crate::support::dataset::{Contents, assert_no_orphans, block_on};
use crate::support::h5ad_writer::write_named;
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::convert;

const FLAGS: [&str; 5] = [
    "--allow-duplicate-source",
    "--cell-id-prefix",
    "b",
    "--fragment-rows",
    "10",
];

fn everything() -> PathBuf {
    repository("fixtures/h5ad/everything.h5ad")
}

/// Makes a dataset to append to that could be another program's: without our additional keys.
fn begin(folder: &Path) -> PathBuf {
    let dataset = folder.join("data.slaf");
    convert(&[everything()], &dataset, &["--fragment-rows", "10"]).succeeded();
    dataset
}

fn command(dataset: &Path, flags: &[&str]) -> std::process::Command {
    let mut command = slaf(&["append", "-q"]);
    command.arg(everything()).arg(dataset).args(flags);
    command
}

#[test]
fn dies_at_every_point_and_is_finished_by_the_same_command() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path());
    let old = Contents::of(&dataset);
    append(&[everything()], &dataset, &FLAGS).succeeded();
    let new = Contents::of(&dataset);
    std::fs::remove_dir_all(&dataset).unwrap();
    let mut deaths = 0;
    for point in failpoint::ALL {
        for time in [1, 2, 4] {
            begin(folder.path());
            let place = format!("{point}:{time}");
            let run = Run::of(command(&dataset, &FLAGS).env("SLAF_FAIL_AT", &place));
            if run.code.is_none() {
                deaths += 1;
                // Without the checkpoint, which is stored next to the description.
                let now = Contents::of(&dataset).without_checkpoint();
                assert!(now == old || now == new, "neither old nor new at {place}");
                append(&[everything()], &dataset, &FLAGS).succeeded();
            }
            assert_eq!(Contents::of(&dataset), new, "{place}");
            assert_no_orphans(&dataset);
            std::fs::remove_dir_all(&dataset).unwrap();
        }
    }
    assert!(deaths >= 25, "only {deaths} deaths");
}

#[test]
fn dies_again_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path());
    append(&[everything()], &dataset, &FLAGS).succeeded();
    let new = Contents::of(&dataset);
    std::fs::remove_dir_all(&dataset).unwrap();
    begin(folder.path());
    // An append replaces nothing, and does not change uns and varp.
    // Cells and notes may be recorded before a run dies elsewhere.
    let not_passed = ["swap", "uns", "gene-pairs", "frame"];
    let passed = |point: &&str| not_passed.iter().all(|part| !point.contains(part));
    let (mut deaths, mut finished) = (0, false);
    for point in failpoint::ALL.into_iter().filter(passed) {
        let run = Run::of(command(&dataset, &FLAGS).env("SLAF_FAIL_AT", point));
        if run.code.is_some() {
            // What is recorded or committed is not done again, so the run did not reach this point.
            run.succeeded();
            finished = true;
            break;
        }
        deaths += 1;
    }
    assert!(deaths >= 10, "only {deaths} deaths");
    if !finished {
        append(&[everything()], &dataset, &FLAGS).succeeded();
    }
    assert_eq!(Contents::of(&dataset), new);
    assert_no_orphans(&dataset);
}

#[test]
fn an_unfinished_append_can_be_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    for point in [
        "checkpoint-created",
        "plan-written",
        "after-record",
        "after-expression-commit",
        "after-cell-pairs-commit",
        "before-config",
    ] {
        let dataset = begin(folder.path());
        let run = Run::of(command(&dataset, &FLAGS).env("SLAF_FAIL_AT", point));
        assert_eq!(run.code, None, "{point} is not passed");
        let other = ["--allow-duplicate-source", "--cell-id-prefix", "other"];
        // Without its plan, nothing was written and there is nothing to discard.
        if point != "checkpoint-created" {
            let run = append(&[everything()], &dataset, &other).refused(3);
            assert!(run.stderr.contains("--no-resume"), "{}", run.stderr);
        }
        let other = [&other[..], &["--no-resume"]].concat();
        append(&[everything()], &dataset, &other).succeeded();
        let run = Run::of(slaf(&["verify"]).arg(&dataset));
        assert_eq!(run.code, Some(0), "{point}: {}{}", run.stdout, run.stderr);
        let config = Dataset::open(&dataset).unwrap().config().clone();
        assert_eq!((config.array_shape[0], config.sources.len()), (16, 2));
        std::fs::remove_dir_all(&dataset).unwrap();
    }
}

/// Checks what a reader that follows config.json sees: it must be a consistent state.
fn consistent_state(dataset: &Path) -> u64 {
    let dataset = Dataset::open(dataset).unwrap();
    let config = dataset.config();
    let rows = |name: TableName| {
        let dataset = &dataset;
        block_on(async move {
            let table = dataset.table(name).await.unwrap();
            table.count_rows(None).await.unwrap() as u64
        })
    };
    assert_eq!(rows(TableName::Cells), config.n_cells);
    assert_eq!(
        rows(TableName::Expression),
        config.metadata.expression_count
    );
    assert_eq!(rows(TableName::Genes), config.n_genes);
    config.n_cells
}

/// Checks what a reader that opens the newest versions sees: never a cell without its rows.
fn newest_state(dataset: &Path, rows_per_cell: u64) {
    let count = |name: TableName| {
        let folder = TableFolder::new(dataset.join(name.folder()));
        block_on(async move {
            let newest = folder.newest().await.unwrap().unwrap();
            newest.count_rows(None).await.unwrap() as u64
        })
    };
    let cells = count(TableName::Cells);
    assert!(count(TableName::Expression) >= cells * rows_per_cell);
}

#[test]
fn readers_see_only_complete_states() {
    let folder = tempfile::tempdir().unwrap();
    let genes: Vec<String> = (0..3).map(|gene| format!("g{gene}")).collect();
    let input = |number: usize| {
        let path = folder.path().join(format!("{number}.h5ad"));
        let cells: Vec<String> = (0..50).map(|cell| format!("{number}-{cell}")).collect();
        let entries: Vec<_> = (0..50)
            .flat_map(|cell| [(cell, 0, 1.0), (cell, 2, 2.0)])
            .collect();
        write_named(&path, &cells, &genes, &entries);
        path
    };
    let dataset = folder.path().join("data.slaf");
    convert(&[input(0)], &dataset, &[]).succeeded();
    let done = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                seen.insert(consistent_state(&dataset));
                newest_state(&dataset, 2);
            }
            seen
        });
        for number in 1..9 {
            append(&[input(number)], &dataset, &[]).succeeded();
        }
        done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(seen.iter().all(|cells| cells % 50 == 0), "{seen:?}");
    assert_eq!(consistent_state(&dataset), 450);
}

#[test]
fn a_second_writer_waits_or_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path());
    let lock = FolderLock::acquire(&dataset, LockPolicy::No).unwrap();
    let run = append(&[everything()], &dataset, &FLAGS).refused(75);
    assert!(run.stderr.contains("another process"), "{}", run.stderr);
    let mut waiting = slaf(&["append", "--wait"]);
    waiting.arg(everything()).arg(&dataset).args(FLAGS);
    let mut waiting = waiting.spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(waiting.try_wait().unwrap().is_none(), "it does not wait");
    drop(lock);
    let run = Run::from(waiting.wait_with_output().unwrap()).succeeded();
    assert!(run.stderr.contains("waiting"), "{}", run.stderr);
    assert_eq!(consistent_state(&dataset), 16);
}

#[test]
fn writers_that_wait_for_each_other_plan_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = begin(folder.path());
    let prefixes = ["b", "c", "d", "e"];
    let running: Vec<_> = prefixes
        .map(|prefix| {
            let flags = [
                "--allow-duplicate-source",
                "--cell-id-prefix",
                prefix,
                "--wait",
            ];
            command(&dataset, &flags).spawn().unwrap()
        })
        .into_iter()
        .collect();
    for child in running {
        Run::from(child.wait_with_output().unwrap()).succeeded();
    }
    assert_eq!(consistent_state(&dataset), 40);
    assert_no_orphans(&dataset);
    let run = Run::of(slaf(&["verify"]).arg(&dataset));
    assert_eq!(run.code, Some(0), "{}{}", run.stdout, run.stderr);
}
