//! Faults of readers: data read at the wrong time, all at once, or not at all.

use std::path::{Path, PathBuf};

use hdf5_metno as hdf5;
use hdf5_metno::types::VarLenUnicode;
use slaf::table::TableName;

use super::job::Held;
use crate::support::dataset::{files_below, table, texts};
use crate::support::h5ad_writer::{Stored, open_again, write_matrix};
use crate::support::program::{Run, convert, slaf};
use crate::support::repository;
use crate::support::small::named;
use crate::support::soma::unpack;

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
    let mut files = files_below(&output).into_iter();
    let kept = files.find(|file| file.ends_with("before")).unwrap();
    let kept = output.join(kept);
    let sound = std::fs::read(&kept).unwrap();
    let cells = || table(&output, TableName::Cells).num_rows();
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

/// A small h5ad, of which one text of `length` bytes is made to claim 4 GiB.
fn claiming(input: &Path, length: u32) {
    let mut bytes = std::fs::read(input).unwrap();
    let is_reference = |at: &usize| {
        let Some(address) = bytes.get(at + 4..at + 12) else {
            return false;
        };
        let address = u64::from_le_bytes(address.try_into().unwrap());
        let heap = usize::try_from(address)
            .ok()
            .and_then(|at| bytes.get(at..at.checked_add(4)?));
        bytes[*at..].starts_with(&length.to_le_bytes()) && heap == Some(b"GCOL")
    };
    let found: Vec<usize> = (0..bytes.len()).filter(is_reference).collect();
    let [at] = found[..] else {
        panic!("{} texts of {length} bytes", found.len());
    };
    bytes[at + 3] = 0xff;
    std::fs::write(input, bytes).unwrap();
}

/// A text of so many bytes, as no other.
fn long(length: usize) -> VarLenUnicode {
    "x".repeat(length).parse().unwrap()
}

// Texts in attributes, in the header of a dataset and in fields were not looked at before they were read.
#[test]
fn hostile_16_texts_are_measured_wherever_they_are() {
    #[derive(hdf5::H5Type, Clone)]
    #[repr(C)]
    struct Cell {
        number: i8,
        index: VarLenUnicode,
        other: f64,
    }
    let cells = |length: usize| -> Vec<Cell> {
        let cell = |number: i8| Cell {
            number,
            index: long(if number == 1 {
                length
            } else {
                3 + number as usize
            }),
            other: 0.0,
        };
        (0..3).map(cell).collect()
    };
    type Change<'a> = &'a dyn Fn(&hdf5::File);
    let add = |group: &hdf5::Group, compact: bool| {
        let builder = group.new_dataset_builder();
        let builder = if compact {
            builder.layout(hdf5::dataset::Layout::Compact)
        } else {
            builder
        };
        let texts = [long(4), long(1234), long(5)];
        builder.with_data(&texts).create("t").unwrap();
    };
    let index = |file: &hdf5::File| {
        let obs = file.group("obs").unwrap();
        obs.delete_attr("_index").unwrap();
        let name = long(1234);
        obs.relink("_index", &name).unwrap();
        let attribute = obs.new_attr::<VarLenUnicode>().create("_index").unwrap();
        attribute.write_scalar(&name).unwrap();
    };
    let listed = |file: &hdf5::File| {
        let obs = file.group("obs").unwrap();
        obs.delete_attr("column-order").unwrap();
        let names = [long(1234)];
        obs.new_attr_builder()
            .with_data(&names)
            .create("column-order")
            .unwrap();
        obs.new_dataset_builder()
            .with_data(&[1.0, 2.0, 3.0])
            .create(&*names[0])
            .unwrap();
    };
    let compact = |file: &hdf5::File| {
        add(&file.group("obs").unwrap(), true);
        file.group("obs")
            .unwrap()
            .delete_attr("column-order")
            .unwrap();
    };
    let compound = |compact: bool| {
        move |file: &hdf5::File| {
            file.unlink("obs").unwrap();
            let builder = file.new_dataset_builder();
            let builder = if compact {
                builder.layout(hdf5::dataset::Layout::Compact)
            } else {
                builder
            };
            builder.with_data(&cells(1234)).create("obs").unwrap();
        }
    };
    let changes: [(&str, Change<'_>); 5] = [
        ("obs@_index", &index),
        ("obs@column-order", &listed),
        ("obs/t", &compact),
        ("obs/index", &compound(false)),
        ("obs/index", &compound(true)),
    ];
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["in.h5ad", "out.slaf"].map(|n| folder.path().join(n));
    for (object, change) in changes {
        for newest in [false, true] {
            write_matrix(
                &input,
                [3, 2],
                &[(0, 0, 1.0), (2, 1, 2.0)],
                Stored::Csr,
                None,
            );
            let other = rewritten(&input, newest);
            change(&other);
            drop(other);
            let whole = Run::of(&mut convert(&input, &output, &[]));
            whole.succeeded();
            std::fs::remove_dir_all(&output).unwrap();
            claiming(&input, 1234);
            let run = Run::of(&mut convert(&input, &output, &[])).refused(3);
            // The newest headers have checksums.
            let said =
                run.stderr.contains(object) && run.stderr.contains("claims 4278191314 bytes");
            assert!(said || newest, "{object}: {}", run.stderr);
        }
    }
}

/// Writes a small h5ad again, with headers of the oldest or the newest version.
fn rewritten(input: &Path, newest: bool) -> hdf5::File {
    let old = open_again(input);
    let place = input.with_extension("other");
    let mut builder = hdf5::FileBuilder::new();
    builder.with_fapl(|access| {
        if newest {
            access.libver_latest()
        } else {
            access.libver_earliest()
        }
    });
    let new = builder.create(&place).unwrap();
    copy(&old, &new);
    std::fs::rename(&place, input).unwrap();
    new
}

/// Copies the members of a small h5ad, so that their headers are of the version of the other file.
fn copy(from: &hdf5::Group, to: &hdf5::Group) {
    for name in from.attr_names().unwrap() {
        let attribute = from.attr(&name).unwrap();
        if let Ok(text) = attribute.read_scalar::<VarLenUnicode>() {
            let copied = to
                .new_attr::<VarLenUnicode>()
                .create(name.as_str())
                .unwrap();
            copied.write_scalar(&text).unwrap();
        } else {
            let numbers: Vec<i64> = attribute.read_raw().unwrap();
            let copied = to.new_attr::<i64>().shape(numbers.len());
            copied
                .create(name.as_str())
                .unwrap()
                .write_raw(&numbers)
                .unwrap();
        }
    }
    for name in from.member_names().unwrap() {
        if let Ok(group) = from.group(&name) {
            copy(&group, &to.create_group(&name).unwrap());
            continue;
        }
        let dataset = from.dataset(&name).unwrap();
        let builder = to.new_dataset_builder();
        if let Ok(texts) = dataset.read_raw::<VarLenUnicode>() {
            builder.with_data(&texts).create(name.as_str()).unwrap();
        } else if name == "data" {
            let numbers: Vec<f32> = dataset.read_raw().unwrap();
            builder.with_data(&numbers).create(name.as_str()).unwrap();
        } else {
            let numbers: Vec<i64> = dataset.read_raw().unwrap();
            builder.with_data(&numbers).create(name.as_str()).unwrap();
        }
    }
}

// Many references to one long text are many texts, though the file is small.
#[test]
fn hostile_16_an_attribute_has_no_more_text_than_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["in.h5ad", "out.slaf"].map(|n| folder.path().join(n));
    write_matrix(&input, [3, 2], &[(0, 0, 1.0)], Stored::Csr, None);
    let file = rewritten(&input, false);
    let obs = file.group("obs").unwrap();
    obs.delete_attr("column-order").unwrap();
    let names: Vec<VarLenUnicode> = (0..1000).map(|n| long(1 + n % 2)).collect();
    obs.new_attr_builder()
        .with_data(&names)
        .create("column-order")
        .unwrap();
    obs.new_dataset_builder()
        .with_data(&[long(60_000), long(1), long(1)])
        .create("t")
        .unwrap();
    drop((obs, file));
    let mut bytes = std::fs::read(&input).unwrap();
    let reference = |length: u32, from: usize| {
        let found = bytes[from..].windows(16).position(|window| {
            let address = u64::from_le_bytes(window[4..12].try_into().unwrap());
            let heap = usize::try_from(address)
                .ok()
                .and_then(|at| bytes.get(at..at.checked_add(4)?));
            window.starts_with(&length.to_le_bytes()) && heap == Some(b"GCOL")
        });
        from + found.unwrap()
    };
    let at = reference(60_000, 0);
    let long: [u8; 16] = bytes[at..at + 16].try_into().unwrap();
    // The list of names: references of 1 and 2 bytes in turn.
    let mut first = 0;
    loop {
        first = reference(1, first);
        if bytes[first + 16..].starts_with(&2u32.to_le_bytes()) {
            break;
        }
        first += 1;
    }
    for name in 0..1000 {
        bytes[first + 16 * name..][..16].copy_from_slice(&long);
    }
    std::fs::write(&input, bytes).unwrap();
    let run = Run::of(&mut convert(&input, &output, &[])).refused(3);
    assert!(
        run.stderr.contains("claims 60000000 bytes of text"),
        "{}",
        run.stderr
    );
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

const CELLS_BY_GENES: &str =
    "%%MatrixMarket matrix coordinate integer general\n2 3 3\n1 1 4\n1 3 5\n2 2 6\n";

fn column(output: &Path, name: &str) -> Option<Vec<Option<String>>> {
    let genes = table(output, TableName::Genes);
    Some(texts(genes.column_by_name(name)?))
}

// kb-python writes the names of genes beside their identifiers; they were passed over in silence.
#[test]
fn r92_names_of_genes_beside_their_identifiers() {
    let folder = tempfile::tempdir().unwrap();
    let [kb, output] = ["kb", "out.slaf"].map(|n| folder.path().join(n));
    write(
        &kb,
        &[
            ("cells_x_genes.mtx", CELLS_BY_GENES),
            ("cells_x_genes.barcodes.txt", "AA\nCC\n"),
            ("cells_x_genes.genes.txt", "E1.2\nE2.1\nE3.1\n"),
            ("cells_x_genes.genes.names.txt", "A\nB\nA\n"),
        ],
    );
    Run::of(&mut convert(&kb, &output, &[])).succeeded();
    let of = |texts: [&str; 3]| Some(texts.map(|text| Some(text.to_string())).to_vec());
    assert_eq!(column(&output, "gene_id"), of(["E1.2", "E2.1", "E3.1"]));
    assert_eq!(column(&output, "gene_name"), of(["A", "B", "A"]));
    let wanted = [
        ("AA", "E1.2", 4.0),
        ("AA", "E3.1", 5.0),
        ("CC", "E2.1", 6.0),
    ];
    let wanted = wanted.map(|(cell, gene, value)| (cell.to_string(), gene.to_string(), value));
    assert_eq!(named(&output), wanted);
    std::fs::remove_dir_all(&output).unwrap();
    // A change of the names is one of the input.
    let held = Held::at(
        "before-cells-commit",
        &mut convert(&kb, &output, &[]),
        folder.path(),
    );
    write(&kb, &[("cells_x_genes.genes.names.txt", "A\nB\nCC\n")]);
    let run = held.release().refused(3);
    assert!(
        run.stderr.contains("changed while it was read"),
        "{}",
        run.stderr
    );
    std::fs::remove_dir_all(&output).unwrap();
    for (names, problem) in [
        ("A\nB\n", "2 names of genes"),
        ("A\t1\nB\t1\nC\t1\n", "several columns"),
    ] {
        write(&kb, &[("cells_x_genes.genes.names.txt", names)]);
        let run = Run::of(&mut convert(&kb, &output, &[])).refused(3);
        assert!(
            run.stderr.contains("genes.names.txt") && run.stderr.contains(problem),
            "{}",
            run.stderr
        );
    }
    let genes = kb.join("cells_x_genes.genes.txt");
    let flags = ["--features", genes.to_str().unwrap()];
    Run::of(&mut convert(&kb, &output, &flags)).succeeded();
    assert_eq!(column(&output, "gene_name"), None);
}

// Spliced and unspliced counts lay side by side as two inputs.
#[test]
fn r92_other_counts_of_the_same_cells_are_no_other_input() {
    let folder = tempfile::tempdir().unwrap();
    let [kb, output] = ["kb", "out.slaf"].map(|n| folder.path().join(n));
    for kind in ["spliced", "unspliced"] {
        let name = |ending: &str| format!("{kind}.{ending}");
        let files = [name("mtx"), name("barcodes.txt"), name("genes.txt")];
        let [matrix, barcodes, genes] = files.each_ref().map(String::as_str);
        write(
            &kb,
            &[
                (matrix, CELLS_BY_GENES),
                (barcodes, "AA\nCC\n"),
                (genes, "E1\nE2\nE3\n"),
            ],
        );
    }
    let flags = ["--cell-id-prefix", "{source}_"];
    let run = Run::of(&mut convert(&kb, &output, &flags)).refused(3);
    for part in [
        "/spliced.mtx is passed over: unspliced.mtx",
        "/unspliced.mtx is passed over: spliced.mtx",
    ] {
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
    Run::of(&mut convert(&kb.join("spliced.mtx"), &output, &[])).succeeded();
    assert_eq!(named(&output).len(), 3);
    std::fs::remove_dir_all(&output).unwrap();
    std::fs::remove_file(kb.join("unspliced.mtx")).unwrap();
    Run::of(&mut convert(&kb, &output, &[])).succeeded();
}

// Sizes of 10x's HDF5 files were taken as whole numbers only; those of h5ad that are none were passed
// over.
#[test]
fn r033_sizes_are_whole_numbers_of_any_type() {
    let folder = tempfile::tempdir().unwrap();
    let [tenx, h5ad, output] = ["in.h5", "in.h5ad", "out.slaf"].map(|n| folder.path().join(n));
    for (sizes, code) in [(0.0, Some(0)), (0.5, Some(3))] {
        std::fs::copy(repository("fixtures/10x_h5/v3_probes.h5"), &tenx).unwrap();
        let mut permissions = std::fs::metadata(&tenx).unwrap().permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
        std::fs::set_permissions(&tenx, permissions).unwrap();
        let file = open_again(&tenx);
        let shape: Vec<i64> = file.dataset("matrix/shape").unwrap().read_raw().unwrap();
        file.unlink("matrix/shape").unwrap();
        let shape: Vec<f64> = shape.into_iter().map(|side| side as f64 + sizes).collect();
        file.new_dataset_builder()
            .with_data(&shape)
            .create("matrix/shape")
            .unwrap();
        drop(file);
        let run = Run::of(&mut convert(&tenx, &output, &[]));
        assert_eq!(run.code, code, "{}", run.stderr);
        let _ = std::fs::remove_dir_all(&output);
        write_matrix(&h5ad, [3, 2], &[(0, 0, 1.0)], Stored::Csr, None);
        let file = open_again(&h5ad);
        let x = file.group("X").unwrap();
        x.delete_attr("shape").unwrap();
        let attribute = x.new_attr::<f32>().shape(2).create("shape").unwrap();
        attribute.write_raw(&[3.0 + sizes as f32, 2.0]).unwrap();
        drop((attribute, x, file));
        let run = Run::of(&mut convert(&h5ad, &output, &[]));
        assert_eq!(run.code, code, "{}", run.stderr);
        let _ = std::fs::remove_dir_all(&output);
    }
}

// The root of a file was called "/".
#[test]
fn the_root_of_a_file_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["in.h5ad", "out.slaf"].map(|n| folder.path().join(n));
    hdf5::File::create(&input).unwrap();
    let run = Run::of(&mut convert(&input, &output, &[])).refused(3);
    assert!(
        run.stderr.contains("in.h5ad: root group: "),
        "{}",
        run.stderr
    );
    std::fs::write(&input, b"\x89HDF\r\n\x1a\nnothing").unwrap();
    let run = Run::of(&mut convert(&input, &output, &[])).refused(3);
    assert!(!run.stderr.contains("in.h5ad: /"), "{}", run.stderr);
}

fn soma(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    unpack(&repository(&format!("fixtures/soma/{name}.tar.gz")), &path);
    (folder, path)
}

// Of a dense matrix nobody saw that obs had lost cells, as entries of a sparse one tell.
#[test]
fn hostile_04_rows_of_a_dense_matrix_without_a_cell_are_said() {
    let (folder, dense) = soma("dense");
    let output = folder.path().join("out.slaf");
    let run = Run::of(&mut convert(&dense, &output, &[]));
    assert!(!run.succeeded().stdout.contains("does not have"));
    std::fs::remove_dir_all(&output).unwrap();
    // The obs of an experiment of one cell, with the joinid 0.
    let (_other, one_cell) = soma("one_cell");
    std::fs::remove_dir_all(dense.join("obs")).unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(one_cell.join("obs"))
        .arg(&dense)
        .status();
    assert!(copied.unwrap().success());
    let run = Run::of(slaf(&["convert"]).arg(&dense).arg(&output)).succeeded();
    let said = "ms/RNA/X/data: 11 of its rows are of cells that obs does not have";
    assert!(run.stdout.contains(said), "{}", run.stdout);
}
