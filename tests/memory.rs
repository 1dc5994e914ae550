//! Promise: memory does not grow with the input.

use std::path::Path;

use crate::support::h5ad_writer::{write_csc, write_csr};
use crate::support::program::{Run, slaf};

/// The most memory that a conversion had, in bytes.
fn peak(input: &Path, output: &Path, memory: &str) -> u64 {
    let mut command = slaf(&["convert", "--json", "--threads", "2", "--memory", memory]);
    let run = Run::of(command.arg(input).arg(output)).succeeded();
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    std::fs::remove_dir_all(output).unwrap();
    report["peak_memory"].as_u64().unwrap()
}

#[test]
fn ten_times_the_cells_need_no_more_memory() {
    compare(write_csr);
}

/// A matrix sorted by gene is turned in a temporary file, whatever its size.
#[test]
fn nor_if_they_are_sorted_by_gene() {
    compare(write_csc);
}

type Write = fn(&Path, usize, usize, usize, fn(usize) -> f32);

fn compare(write: Write) {
    if !Path::new("/proc/self/status").exists() {
        println!("skipped: this system does not tell a process's memory");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let input = |cells: usize| {
        let path = folder.path().join(format!("{cells}.h5ad"));
        write(&path, cells, 3_000, 500, |entry| (entry % 11 + 1) as f32);
        path
    };
    let (small, large) = (input(20_000), input(200_000));
    for (memory, limit) in [("512MiB", 512u64 << 20), ("256MiB", 256 << 20)] {
        // How much the allocator keeps differs from run to run by a tenth or two; a long run meets
        // the most, so the most of several short ones is what it is held against.
        let few = (0..5).map(|_| peak(&small, &output, memory)).max().unwrap();
        let many = peak(&large, &output, memory);
        println!("{memory}: {few} and {many} bytes");
        assert!(
            few <= limit && many <= limit,
            "{few} and {many} bytes with {memory}"
        );
        assert!(
            many as f64 <= few as f64 * 1.25,
            "{few} bytes became {many} with {memory}"
        );
    }
}
