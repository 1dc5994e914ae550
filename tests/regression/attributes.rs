//! Attributes of HDF5 that are not in the header of their object.

use std::path::{Path, PathBuf};

use hdf5_metno as hdf5;
use slaf::table::TableName;

use crate::support::dataset::table;
use crate::support::h5ad_writer::{text_attribute, write_named};
use crate::support::program::{Run, convert};

/// Columns of obs: so many names are too long for a block of a heap.
const COLUMNS: usize = 300;

/// An h5ad whose obs has more attributes than a header holds, and a long one.
fn dense(folder: &Path) -> PathBuf {
    let input = folder.join("in.h5ad");
    let names = |letter: char, count| {
        (0..count)
            .map(|n| format!("{letter}{n}"))
            .collect::<Vec<_>>()
    };
    let entries: Vec<(usize, usize, f32)> = (0..20).map(|cell| (cell, cell % 10, 1.0)).collect();
    write_named(&input, &names('c', 20), &names('g', 10), &entries);
    let file = hdf5::FileBuilder::new()
        .with_fapl(|access| access.libver_latest())
        .open_rw(&input)
        .unwrap();
    let obs = file.create_group("wide").unwrap();
    obs.link_hard("/obs/_index", "_index").unwrap();
    for number in 0..40 {
        text_attribute(&obs, &format!("attribute {number}"), "of somebody else");
    }
    text_attribute(&obs, "encoding-type", "dataframe");
    text_attribute(&obs, "encoding-version", "0.2.0");
    text_attribute(&obs, "_index", "_index");
    let values: Vec<i32> = (0..20).collect();
    let first = obs.new_dataset_builder().with_data(&values);
    let first = first.create("column-0000").unwrap();
    text_attribute(&first, "encoding-type", "array");
    text_attribute(&first, "encoding-version", "0.2.0");
    let names: Vec<String> = (0..COLUMNS).map(|n| format!("column-{n:04}")).collect();
    for name in &names[1..] {
        obs.link_hard("column-0000", name).unwrap();
    }
    let names: Vec<hdf5::types::VarLenUnicode> =
        names.iter().map(|name| name.parse().unwrap()).collect();
    let order = obs.new_attr_builder().with_data(&names);
    order.create("column-order").unwrap();
    file.unlink("obs").unwrap();
    file.relink("wide", "obs").unwrap();
    file.close().unwrap();
    input
}

fn refused(folder: &Path, input: &Path, bytes: &[u8]) -> String {
    std::fs::write(input, bytes).unwrap();
    let output = folder.join("out.slaf");
    let run = Run::of(&mut convert(input, &output, &[])).refused(3);
    assert!(!output.exists());
    run.stderr
}

/// Places at which a reference to a text of this length begins.
fn references(bytes: &[u8], length: u32) -> Vec<usize> {
    let heap = |at: usize| {
        let address = u64::from_le_bytes(bytes.get(at + 4..at + 12)?.try_into().ok()?);
        bytes.get(usize::try_from(address).ok()?..)?.get(..4)
    };
    let is_one =
        |at: &usize| bytes[*at..].starts_with(&length.to_le_bytes()) && heap(*at) == Some(b"GCOL");
    (0..bytes.len()).filter(is_one).collect()
}

/// Only attributes in headers were measured before libhdf5 read them.
#[test]
fn attributes_in_heaps_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let input = dense(folder.path());
    let output = folder.path().join("out.slaf");
    Run::of(&mut convert(&input, &output, &[])).succeeded();
    let cells = table(&output, TableName::Cells);
    let last = format!("column-{:04}", COLUMNS - 1);
    assert!(
        cells.column_by_name(&last).is_some(),
        "{:?}",
        cells.schema()
    );
}

#[test]
fn texts_of_attributes_in_heaps_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let input = dense(folder.path());
    let bytes = std::fs::read(&input).unwrap();
    // A long attribute, and a short one: `dataframe` of obs, which was written last.
    let long = references(&bytes, "column-0000".len() as u32);
    assert!(long.len() >= COLUMNS);
    let short = references(&bytes, "dataframe".len() as u32);
    for at in [long[COLUMNS / 2], *short.last().unwrap()] {
        let mut damaged = bytes.clone();
        damaged[at..at + 4].copy_from_slice(&0xf000_0000u32.to_le_bytes());
        let message = refused(folder.path(), &input, &damaged);
        // Blocks of short ones have a checksum.
        let told = message.contains("claims 4026531840 bytes") || message.contains("checksum");
        assert!(told, "{message}");
        assert!(
            at != long[COLUMNS / 2] || message.contains("claims"),
            "{message}"
        );
    }
}

#[test]
fn a_long_attribute_in_a_heap_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let input = dense(folder.path());
    let mut bytes = std::fs::read(&input).unwrap();
    // The index of long objects of the heap: its node has address, length and number of each.
    let head = bytes.windows(6).position(|w| w == b"BTHD\0\x01").unwrap();
    let root = u64::from_le_bytes(bytes[head + 16..head + 24].try_into().unwrap());
    let length = usize::try_from(root).unwrap() + 6 + 8;
    let real = u64::from_le_bytes(bytes[length..length + 8].try_into().unwrap());
    assert!(
        real > (COLUMNS * 16) as u64 && real < (COLUMNS * 32) as u64,
        "{real}"
    );
    bytes[length..length + 8].copy_from_slice(&(8u64 << 30).to_le_bytes());
    let message = refused(folder.path(), &input, &bytes);
    assert!(message.contains("damaged"), "{message}");
    // Of a file that is as long: a hole takes no room on the disk.
    std::fs::write(&input, &bytes).unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&input)
        .unwrap();
    file.set_len(16 << 30).unwrap();
    let output = folder.path().join("out.slaf");
    let run = Run::of(&mut convert(&input, &output, &[])).refused(3);
    assert!(
        run.stderr.contains("it has 8589934592 bytes"),
        "{}",
        run.stderr
    );
}
