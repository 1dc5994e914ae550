//! Promise: memory usage does not grow with the input.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use arrow::array::AsArray;
use slaf::table::TableName;

use crate::support::dataset::table;
use crate::support::h5ad_writer::{add_categories, add_texts, open_again, write_csc, write_csr};
use crate::support::program::{Run, slaf};
use crate::support::repository;

/// Returns the peak memory of a conversion in bytes, and removes its output.
fn peak(input: &Path, output: &Path, memory: &str) -> u64 {
    let peak = peak_kept(input, output, memory);
    std::fs::remove_dir_all(output).unwrap();
    peak
}

/// Like [`peak`], but keeps the output.
fn peak_kept(input: &Path, output: &Path, memory: &str) -> u64 {
    let mut command = slaf(&["convert", "--json", "--threads", "2", "--memory", memory]);
    let run = Run::of(command.arg(input).arg(output)).succeeded();
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    report["peak_memory"].as_u64().unwrap()
}

#[test]
fn ten_times_the_cells_need_no_more_memory() {
    compare("h5ad", [20_000, 200_000], |path, cells| {
        write_csr(path, cells, 3_000, 500, |entry| (entry % 11 + 1) as f32);
    });
}

/// A matrix sorted by gene is transposed in a temporary file, whatever its size.
#[test]
fn nor_if_they_are_sorted_by_gene() {
    compare("h5ad", [20_000, 200_000], |path, cells| {
        write_csc(path, cells, 3_000, 500, |entry| (entry % 11 + 1) as f32);
    });
}

#[test]
fn nor_if_they_are_text() {
    // Many small buffers are allocated and freed; it takes longer to reach a steady state.
    compare("mtx", [60_000, 240_000], |path, cells| {
        write_mtx(path, cells, 3_000, 250);
    });
}

/// Strings that are short at first and long later, which headers do not show; together they exceed
/// the memory limit.
#[test]
fn long_texts_are_held_in_small_blocks() {
    if !Path::new("/proc/self/status").exists() {
        crate::support::skipped("this system does not tell a process's memory");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (
        folder.path().join("in.h5ad"),
        folder.path().join("out.slaf"),
    );
    let cells = 150_000;
    write_csr(&input, cells, 10, 1, |_| 1.0);
    let text = |row: usize| {
        let length = if row < 30_000 { 8 } else { 2000 };
        // Must not be compressible.
        let word = (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        format!("{word:016x}").repeat(length / 8)[..length].to_string()
    };
    add_texts(&input, "obs/notes", cells, text);
    add_texts(&input, "uns/log", cells, text);
    let limit = 256 << 20;
    let found = peak_kept(&input, &output, "256MiB");
    println!("{found} bytes");
    assert!(found <= limit, "{found} bytes with 256MiB");
    let notes = table(&output, TableName::Cells);
    let notes = notes.column_by_name("notes").unwrap().as_string::<i32>();
    for row in [0, 29_999, 30_000, cells - 1] {
        assert_eq!(notes.value(row), text(row), "row {row}");
    }
    let uns = std::fs::read_to_string(output.join("uns.json")).unwrap_or_default();
    assert!(!uns.contains("log"), "what does not fit is left out");
}

/// Returns the peak memory of a command in bytes, as reported by the system while it runs.
fn watched(command: &mut std::process::Command) -> u64 {
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Run::from(child.wait_with_output().unwrap()).succeeded();
    peak
}

/// All rows before an input used to be read and held before it was compared.
#[test]
fn a_large_input_before_another_is_not_held_by_verify() {
    if !Path::new("/proc/self/status").exists() {
        crate::support::skipped("this system does not tell a process's memory");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let inputs = [("large", 60_000), ("b", 500), ("c", 400)].map(|(name, cells)| {
        let path = folder.path().join(format!("{name}.h5ad"));
        write_csr(&path, cells, 3_000, 200, |entry| (entry % 11 + 1) as f32);
        path
    });
    let output = folder.path().join("out.slaf");
    let flags = ["--allow-duplicate-cells", "--allow-duplicate-source"];
    let mut command = slaf(&["convert", "-q"]);
    command.args(&inputs).arg("-o").arg(&output).args(flags);
    Run::of(&mut command).succeeded();
    let limit = (256u64 << 20) + (256 << 20) / 10;
    for against in [&inputs[..0], &inputs[2..], &inputs[..]] {
        let mut command = slaf(&["verify", "-q", "--threads", "2", "--memory", "256MiB"]);
        command.arg(&output);
        if !against.is_empty() {
            command.arg("--against").args(against);
        }
        let found = watched(&mut command);
        println!("{found} bytes against {} inputs", against.len());
        assert!(found > 0 && found <= limit, "{found} bytes with 256MiB");
    }
}

/// Runs every command on an input and its dataset. Each must stay within the given memory plus ten
/// percent.
fn stays_within(memory: u64, input: &Path, threads: &str) {
    if !Path::new("/proc/self/status").exists() {
        crate::support::skipped("this system does not tell a process's memory");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let granted = format!("{memory}MiB");
    let limit = (memory << 20) + (memory << 20) / 10;
    let (input, output) = (input.as_os_str(), output.as_os_str());
    let [against, threads_flag, accept] =
        ["--against", "--threads", "--accept-changes"].map(OsStr::new);
    let again = ["--allow-duplicate-source", "--allow-duplicate-cells"].map(OsStr::new);
    let threads = [threads_flag, OsStr::new(threads)];
    for (command, arguments) in [
        ("convert", &[input, output][..]),
        ("validate", &[input]),
        ("info", &[output]),
        ("verify", &[output]),
        ("verify", &[output, against, input]),
        ("validate", &[input, against, output, again[0], again[1]]),
        ("append", &[input, output, again[0], again[1]]),
        ("adopt", &[output]),
        ("adopt", &[output, accept]),
    ] {
        let mut run = slaf(&[command, "-q", "--memory", &granted]);
        run.args(arguments);
        if command != "info" {
            run.args(threads);
        }
        let found = watched(&mut run);
        let what = format!("{command} {:?}: {found} bytes", &arguments[1..]);
        println!("{what}");
        assert!(found > 0 && found <= limit, "{what} with {granted}");
    }
}

/// Ten layers took 1 GB, because the allocator kept memory for each of many threads.
#[test]
fn many_layers_need_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.h5ad");
    write_csr(&input, 10_000, 2_000, 100, |entry| {
        (entry % 97) as f32 * 0.37 + 0.1
    });
    let file = open_again(&input);
    let layers = file.create_group("layers").unwrap();
    for layer in 0..10 {
        layers.link_hard("/X", &format!("l{layer}")).unwrap();
    }
    file.close().unwrap();
    stays_within(256, &input, "2");
}

/// A megabyte of one letter needs a few bytes in a file; a thousand such strings were read at once.
#[test]
fn nor_do_texts_that_are_short_only_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.h5ad");
    write_csr(&input, 200, 200, 200, |_| 1.0);
    let text = |row: usize| ["a", "b", "c"][row % 3].repeat(1 << 20);
    add_texts(&input, "obs/notes", 200, text);
    stays_within(256, &input, "2");
}

/// config.json contains the categories; several copies of it were in memory. What is too much of
/// them is told before they are read.
#[test]
fn nor_do_many_categories() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.h5ad");
    let cells = 110_000;
    write_csr(&input, cells, 10, 1, |_| 1.0);
    for column in 0..6 {
        let name = |row: usize| format!("a long name of category {row} of column {column}");
        add_categories(&input, &format!("obs/k{column}"), cells, name);
    }
    stays_within(256, &input, "2");
}

#[test]
fn a_config_that_does_not_fit_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let input = repository("fixtures/h5ad/demo.h5ad");
    let dataset = folder.path().join("out.slaf");
    Run::of(slaf(&["convert", "-q"]).arg(&input).arg(&dataset)).succeeded();
    // Spaces are as long as categories.
    let config = dataset.join("config.json");
    let mut text = std::fs::read(&config).unwrap();
    text.resize(120 << 20, b' ');
    std::fs::write(&config, text).unwrap();
    for command in ["info", "verify", "adopt", "append"] {
        let mut run = slaf(&[command, "--memory", "256MiB"]);
        if command == "append" {
            run.arg(&input);
        }
        let refused = Run::of(run.arg(&dataset)).refused(3);
        assert!(
            refused.stderr.contains("config.json has 120.0 MiB"),
            "{refused:?}"
        );
        assert!(refused.stderr.contains("--memory"), "{refused:?}");
    }
    Run::of(slaf(&["info", "--memory", "512MiB"]).arg(&dataset)).succeeded();
}

/// The number of threads is limited by the memory.
#[test]
fn nor_do_many_threads() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.h5ad");
    write_csr(&input, 40_000, 3_000, 100, |entry| (entry % 11 + 1) as f32);
    stays_within(512, &input, "64");
}

/// Writes a folder with a sorted matrix and its lists.
fn write_mtx(folder: &Path, cells: usize, genes: usize, per_cell: usize) {
    std::fs::create_dir(folder).unwrap();
    let write = |name: &str, lines: &mut dyn Iterator<Item = String>| {
        let mut file = BufWriter::new(File::create(folder.join(name)).unwrap());
        lines.for_each(|line| writeln!(file, "{line}").unwrap());
    };
    write(
        "barcodes.tsv",
        &mut (0..cells).map(|cell| format!("CELL{cell:012}-1")),
    );
    write(
        "genes.tsv",
        &mut (0..genes).map(|gene| format!("ENSG{gene}\tgene{gene}")),
    );
    let head = format!(
        "%%MatrixMarket matrix coordinate integer general\n%\n{genes} {cells} {}",
        cells * per_cell
    );
    let entries = (0..cells * per_cell).map(|entry| {
        let (cell, number) = (entry / per_cell, entry % per_cell);
        let gene = (number * (genes / per_cell) + cell) % genes;
        format!("{} {} {}", gene + 1, cell + 1, entry % 11 + 1)
    });
    write("matrix.mtx", &mut std::iter::once(head).chain(entries));
}

/// Compares the memory needed for few and for many cells.
fn compare(ending: &str, cells: [usize; 2], write: impl Fn(&Path, usize)) {
    if !Path::new("/proc/self/status").exists() {
        crate::support::skipped("this system does not tell a process's memory");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out.slaf");
    let input = |cells: usize| {
        let path = folder.path().join(format!("{cells}.{ending}"));
        write(&path, cells);
        path
    };
    let [small, large] = cells.map(input);
    for (memory, limit) in [("512MiB", 512u64 << 20), ("256MiB", 256 << 20)] {
        // What the allocator retains varies by 10 to 20 % between runs. A long run reaches the
        // maximum, so it is compared with the maximum of several short ones.
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
