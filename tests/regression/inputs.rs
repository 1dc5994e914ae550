//! Folders and archives, and the inputs found in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use hdf5_metno as hdf5;
use slaf::dataset::Dataset;
use slaf::source::{OpenOptions, discover, inputs_of};
use slaf::table::TableName;

use crate::support::dataset::{assert_no_orphans, table, texts, triplets};
use crate::support::program::{Run, slaf};
use crate::support::repository;
use crate::support::small::{Named, Small, named};
use crate::support::soma::unpack;

/// An input of two genes and two cells, with values that start at `first`.
fn small(first: u16) -> Small {
    let first = f32::from(first);
    Small {
        genes: vec!["g0".into(), "g1".into()],
        cells: vec![vec![(0, first)], vec![(0, first + 1.0), (1, first + 2.0)]],
    }
}

/// Contents of a dataset of such inputs, whose cells are named PREFIX0 and PREFIX1.
fn values(inputs: &[(&str, u16)]) -> Named {
    let mut all: Named = Vec::new();
    for (prefix, first) in inputs {
        let value = |more: u16| f64::from(first + more);
        let cell = |number: usize| format!("{prefix}{number}");
        all.push((cell(0), "g0".into(), value(0)));
        all.push((cell(1), "g0".into(), value(1)));
        all.push((cell(1), "g1".into(), value(2)));
    }
    all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    all
}

/// Writes the same as Matrix Market files with a prefix.
fn write_mtx(folder: &Path, prefix: &str, cells: &str, first: u16) {
    std::fs::create_dir_all(folder).unwrap();
    let write = |name: &str, text: String| {
        std::fs::write(folder.join(format!("{prefix}{name}")), text).unwrap();
    };
    let (second, third) = (first + 1, first + 2);
    write(
        "matrix.mtx",
        format!(
            "%%MatrixMarket matrix coordinate integer general\n2 2 3\n1 1 {first}\n1 2 {second}\n2 2 {third}\n"
        ),
    );
    write("barcodes.tsv", format!("{cells}0\n{cells}1\n"));
    write("genes.tsv", "ENSG0\tg0\nENSG1\tg1\n".into());
}

/// Writes the same in HDF5, as Cell Ranger does.
fn write_h5(path: &Path, cells: &str, first: u16) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = hdf5::File::create(path).unwrap();
    let matrix = file.create_group("matrix").unwrap();
    let texts = |group: &hdf5::Group, name: &str, texts: [String; 2]| {
        let texts = texts.map(|text| text.parse::<hdf5::types::VarLenUnicode>().unwrap());
        let data = group.new_dataset_builder().with_data(&texts);
        data.create(name).unwrap();
    };
    texts(
        &matrix,
        "barcodes",
        [0, 1].map(|cell| format!("{cells}{cell}")),
    );
    let features = matrix.create_group("features").unwrap();
    texts(&features, "id", [0, 1].map(|gene| format!("ENSG{gene}")));
    texts(&features, "name", [0, 1].map(|gene| format!("g{gene}")));
    texts(
        &features,
        "feature_type",
        [0, 1].map(|_| "Gene Expression".into()),
    );
    texts(&features, "genome", [0, 1].map(|_| "GRCh38".into()));
    let numbers = |name: &str, numbers: &[i64]| {
        let data = matrix.new_dataset_builder().with_data(numbers);
        data.create(name).unwrap();
    };
    let first = i64::from(first);
    numbers("data", &[first, first + 1, first + 2]);
    numbers("indices", &[0, 0, 1]);
    numbers("indptr", &[0, 1, 3]);
    numbers("shape", &[2, 2]);
}

/// How long names and large sizes are stored in an archive.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Tar {
    Ustar,
    Gnu,
    /// With the name and the size of each member in an extended header.
    Pax,
}

fn header(name: &str, kind: u8, bytes: usize, tar: Tar) -> Vec<u8> {
    let mut block = vec![0u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{bytes:011o}").as_bytes());
    block[156] = kind;
    match tar {
        Tar::Gnu => block[257..265].copy_from_slice(b"ustar  \0"),
        Tar::Ustar | Tar::Pax => block[257..265].copy_from_slice(b"ustar\x0000"),
    }
    block[148..156].copy_from_slice(b"        ");
    let sum: u64 = block.iter().map(|&byte| u64::from(byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while format!("{length}{rest}").len() != length {
        length += 1;
    }
    format!("{length}{rest}")
}

/// Writes an archive of these files. A name that ends with a slash is a folder.
fn tar(path: &Path, members: &[(&str, Vec<u8>)], tar: Tar) {
    let mut bytes = Vec::new();
    let mut add = |header: Vec<u8>, body: &[u8]| {
        bytes.extend(header);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    };
    for (name, body) in members {
        if name.ends_with('/') {
            add(header(name, b'5', 0, tar), b"");
            continue;
        }
        match tar {
            Tar::Ustar => add(header(name, b'0', body.len(), tar), body),
            Tar::Gnu => {
                let long = format!("{name}\0");
                add(
                    header("././@LongLink", b'L', long.len(), tar),
                    long.as_bytes(),
                );
                add(header("short", b'0', body.len(), tar), body);
            }
            Tar::Pax => {
                let said = record("path", name) + &record("size", &body.len().to_string());
                add(header("pax", b'x', said.len(), tar), said.as_bytes());
                // As for a file of 8 GiB or more, whose size does not fit into the header.
                add(header("short", b'0', 0, tar), body);
            }
        }
    }
    bytes.resize(bytes.len() + 1024, 0);
    std::fs::write(path, bytes).unwrap();
}

fn gzip(path: &Path) -> Vec<u8> {
    let output = Command::new("gzip").arg("-c").arg(path).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn run(command: &str, arguments: &[&Path], flags: &[&str]) -> Run {
    Run::of(slaf(&[command]).args(arguments).args(flags))
}

fn convert(input: &Path, output: &Path, flags: &[&str]) -> Run {
    run("convert", &[input, output], flags)
}

/// Returns the inputs found at a path, relative to it.
fn found(path: &Path) -> Vec<String> {
    let inputs = inputs_of(path).unwrap();
    let below = inputs.iter().map(|input| input.strip_prefix(path).unwrap());
    below.map(|input| input.display().to_string()).collect()
}

/// Returns what is passed over at a path, relative to it, with the reasons.
fn passed_over(path: &Path) -> Vec<(String, String)> {
    let discovered = discover(path, &OpenOptions::default()).unwrap();
    let passed = discovered.passed_over.into_iter();
    let below = |found: &Path| found.strip_prefix(path).unwrap().display().to_string();
    passed
        .map(|passed| (below(&passed.path), passed.reason))
        .collect()
}

/// The first member of an archive begins at offset 512, where an HDF5 file may begin after a user
/// block: the archive was read as that file, without the other members.
#[test]
fn r300_every_hdf5_file_of_an_archive_is_an_input() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    small(1).write(&at("a.h5ad"), "a");
    write_h5(&at("b.h5"), "b", 10);
    small(20).write(&at("c.h5ad"), "c");
    let read = |name: &str| std::fs::read(at(name)).unwrap();
    std::fs::create_dir(at("scratch")).unwrap();
    let scratch = at("scratch");
    let wanted = values(&[("a", 1), ("b", 10), ("c", 20)]);
    for (kind, prefix, folders) in [
        (Tar::Ustar, "", &[][..]),
        (Tar::Gnu, "", &[]),
        (Tar::Pax, "", &[]),
        (Tar::Ustar, "./", &["./"]),
        (Tar::Gnu, "./GSE1/", &["./", "./GSE1/"]),
        (Tar::Pax, "GSE1/", &["GSE1/"]),
    ] {
        let archive = at("GSE1_RAW.tar");
        let names =
            ["GSM1_a.h5ad", "GSM2_b.h5", "GSM3_c.h5ad"].map(|name| format!("{prefix}{name}"));
        let bodies = [read("a.h5ad"), read("b.h5"), gzip(&at("c.h5ad"))];
        let mut members: Vec<(&str, Vec<u8>)> =
            folders.iter().map(|name| (*name, Vec::new())).collect();
        members.extend(names.iter().map(String::as_str).zip(bodies));
        tar(&archive, &members, kind);
        let inside = prefix.trim_start_matches("./");
        assert_eq!(
            found(&archive),
            ["GSM1_a.h5ad", "GSM2_b.h5", "GSM3_c.h5ad"].map(|name| format!("{inside}{name}"))
        );
        let output = at("out.slaf");
        let flags = [
            "--var-join",
            "outer",
            "--scratch-dir",
            scratch.to_str().unwrap(),
        ];
        convert(&archive, &output, &flags).succeeded();
        assert_eq!(named(&output), wanted, "{kind:?}");
        assert_no_orphans(&output);
        assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
        let member = archive.join(format!("{inside}GSM2_b.h5"));
        let flags = ["--against", member.to_str().unwrap()];
        run("verify", &[&output], &flags).succeeded();
        std::fs::remove_dir_all(&output).unwrap();
        // One of them by its path.
        convert(&member, &output, &[]).succeeded();
        assert_eq!(named(&output), values(&[("b", 10)]));
        std::fs::remove_dir_all(&output).unwrap();
    }
    // A single one, and something that is not an input.
    let archive = at("one.tar");
    let molecules = repository("fixtures/10x_h5_refused/molecule_info.h5");
    let members = [
        ("a.h5ad", read("a.h5ad")),
        ("molecule_info.h5", std::fs::read(molecules).unwrap()),
        ("more.zip", b"PK\x03\x04 and so on".to_vec()),
    ];
    tar(&archive, &members, Tar::Ustar);
    let output = at("out.slaf");
    let told = convert(&archive, &output, &[]).succeeded().stderr;
    assert!(told.contains("molecule_info"), "{told}");
    assert!(told.contains("more.zip: a zip archive"), "{told}");
    assert_eq!(named(&output), values(&[("a", 1)]));
    run(
        "verify",
        &[&output],
        &["--against", archive.to_str().unwrap()],
    )
    .succeeded();
}

/// Also if the job is interrupted, or the archive changes.
#[test]
fn r300_a_job_on_an_archive_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let archive = at("x.tar");
    for (name, first) in [("a", 1), ("b", 10)] {
        small(first).write(&at(&format!("{name}.h5ad")), name);
    }
    let read = |name: &str| std::fs::read(at(name)).unwrap();
    let members = [("a.h5ad", read("a.h5ad")), ("b.h5ad", read("b.h5ad"))];
    tar(&archive, &members, Tar::Ustar);
    let output = at("out.slaf");
    for kill in ["after-record", "before-config"] {
        let mut command = slaf(&["convert"]);
        command.arg(&archive).arg(&output).args(["--threads", "1"]);
        Run::of(command.env("SLAF_FAIL_AT", kill));
        convert(&archive, &output, &["--threads", "1"]);
        assert_eq!(named(&output), values(&[("a", 1), ("b", 10)]), "{kill}");
        assert_no_orphans(&output);
        std::fs::remove_dir_all(&output).unwrap();
    }
}

/// An archive in an archive was passed over, or reported as not being a matrix.
#[test]
fn r099_archives_in_an_archive_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (name, first) in [("a", 1), ("b", 10)] {
        write_mtx(&at(name), "", name, first);
        let read = |file: &str| std::fs::read(at(name).join(file)).unwrap();
        let inner = at(&format!("{name}.tar"));
        let members = ["matrix.mtx", "barcodes.tsv", "genes.tsv"];
        let members: Vec<_> = members.iter().map(|file| (*file, read(file))).collect();
        tar(&inner, &members, Tar::Gnu);
    }
    let archive = at("GSE1_RAW.tar");
    let members = [
        ("GSM1_a.tar.gz", gzip(&at("a.tar"))),
        ("GSM2_b.tar", std::fs::read(at("b.tar")).unwrap()),
    ];
    tar(&archive, &members, Tar::Ustar);
    let output = at("out.slaf");
    convert(&archive, &output, &[]).succeeded();
    assert_eq!(named(&output), values(&[("a", 1), ("b", 10)]));
    let member = archive.join("GSM1_a.tar.gz/matrix.mtx");
    run(
        "verify",
        &[&output],
        &["--against", member.to_str().unwrap()],
    )
    .succeeded();
    // By the path of the inner archive.
    std::fs::remove_dir_all(&output).unwrap();
    convert(&archive.join("GSM2_b.tar"), &output, &[]).succeeded();
    assert_eq!(named(&output), values(&[("b", 10)]));
    // Nested more deeply than anyone would intend.
    let mut deep = at("deep.tar");
    std::fs::copy(at("a.tar"), &deep).unwrap();
    for number in 0..6 {
        let outer = at(&format!("deep{number}.tar"));
        tar(
            &outer,
            &[("in.tar", std::fs::read(&deep).unwrap())],
            Tar::Ustar,
        );
        deep = outer;
    }
    let refused = convert(&deep, &at("deep.slaf"), &[]).refused(3).stderr;
    assert!(refused.contains("unpack"), "{refused}");
}

/// The size in a pax header was ignored: the following headers were taken for data, or data for
/// headers.
#[test]
fn hostile_18_the_sizes_of_pax_headers_count() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_mtx(&at("m"), "", "a", 1);
    let read = |name: &str| std::fs::read(at("m").join(name)).unwrap();
    let members = ["matrix.mtx", "barcodes.tsv", "genes.tsv"];
    let members: Vec<_> = members.iter().map(|name| (*name, read(name))).collect();
    let archive = at("x.tar");
    tar(&archive, &members, Tar::Pax);
    let output = at("out.slaf");
    convert(&archive, &output, &[]).succeeded();
    assert_eq!(named(&output), values(&[("a", 1)]));
    // A size beyond the end; GNU tar and Python refuse it, too.
    let mut bytes = std::fs::read(&archive).unwrap();
    let size = members[2].1.len().to_string();
    let from = format!("size={size}\n");
    let place = bytes
        .windows(from.len())
        .rposition(|found| found == from.as_bytes());
    let place = place.unwrap() + "size=".len();
    bytes[place..place + size.len()].copy_from_slice("9".repeat(size.len()).as_bytes());
    bytes.truncate(bytes.len() - 1024 - 512);
    std::fs::write(&archive, bytes).unwrap();
    let refused = convert(&archive, &at("new.slaf"), &[]).refused(3).stderr;
    assert!(refused.contains("cut short"), "{refused}");
}

/// Any file named `raw_` was dropped if any file was named `filtered_`.
#[test]
fn r301_a_raw_matrix_gives_way_to_the_filtered_one_of_its_sample_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_h5(&at("f/GSM1_filtered_feature_bc_matrix.h5"), "a", 1);
    write_h5(&at("f/GSM2_raw_feature_bc_matrix.h5"), "b", 10);
    convert(&at("f"), &at("f.slaf"), &[]).succeeded();
    assert_eq!(named(&at("f.slaf")), values(&[("a", 1), ("b", 10)]));
    std::fs::create_dir(at("g")).unwrap();
    small(1).write(&at("g/raw_counts_donor1.h5ad"), "a");
    small(10).write(&at("g/filtered_donor2.h5ad"), "b");
    assert_eq!(found(&at("g")).len(), 2);
    assert!(passed_over(&at("g")).is_empty());
    // Of the same sample.
    write_h5(&at("f/GSM1_raw_feature_bc_matrix.h5"), "a", 1);
    write_mtx(&at("f/GSM2_filtered_feature_bc_matrix"), "", "b", 10);
    assert_eq!(
        found(&at("f")),
        [
            "GSM1_filtered_feature_bc_matrix.h5",
            "GSM2_filtered_feature_bc_matrix"
        ]
    );
    let passed = passed_over(&at("f"));
    assert_eq!(passed.len(), 2, "{passed:?}");
    assert!(
        passed.iter().all(|(path, _)| path.contains("raw")),
        "{passed:?}"
    );
}

/// A matrix named `matrix.mtx` hid all others in its folder.
#[test]
fn r302_a_plain_matrix_does_not_hide_those_with_prefixes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_mtx(&at("f"), "", "a", 1);
    write_mtx(&at("f"), "GSM2_", "b", 10);
    let told = convert(&at("f"), &at("f.slaf"), &[]).succeeded().stderr;
    assert!(told.contains("f/GSM2_matrix.mtx"), "{told}");
    assert_eq!(found(&at("f")), ["matrix.mtx", "GSM2_matrix.mtx"]);
    assert_eq!(named(&at("f.slaf")), values(&[("a", 1), ("b", 10)]));
    // One without its own lists is not an input, but is reported.
    std::fs::remove_file(at("f/GSM2_barcodes.tsv")).unwrap();
    assert_eq!(found(&at("f")), [""]);
    let passed = passed_over(&at("f"));
    assert!(
        matches!(&passed[..], [(path, _)] if path == "GSM2_matrix.mtx"),
        "{passed:?}"
    );
}

/// Both matrices of an archive were used: the same cells twice.
#[test]
fn r312_an_archive_with_filtered_and_raw_is_the_filtered_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut members = vec![("filtered_feature_bc_matrix/", Vec::new())];
    for (name, files) in [
        (
            "filtered_feature_bc_matrix",
            [
                "filtered_feature_bc_matrix/matrix.mtx",
                "filtered_feature_bc_matrix/barcodes.tsv",
                "filtered_feature_bc_matrix/genes.tsv",
            ],
        ),
        (
            "raw_feature_bc_matrix",
            [
                "raw_feature_bc_matrix/matrix.mtx",
                "raw_feature_bc_matrix/barcodes.tsv",
                "raw_feature_bc_matrix/genes.tsv",
            ],
        ),
    ] {
        let first = if name.starts_with("raw") { 10 } else { 1 };
        write_mtx(&at("u").join(name), "", "a", first);
        members.extend(files.map(|file| (file, std::fs::read(at("u").join(file)).unwrap())));
    }
    tar(&at("x.tar"), &members, Tar::Ustar);
    std::fs::write(at("x.tar.gz"), gzip(&at("x.tar"))).unwrap();
    for (input, flags) in [
        ("x.tar.gz", &[][..]),
        ("x.tar", &["--cell-id-prefix", "{source}_"]),
        ("u", &[]),
    ] {
        let output = at("out.slaf");
        let told = convert(&at(input), &output, flags).succeeded().stderr;
        assert!(
            told.contains("passed over") && told.contains("raw_feature"),
            "{told}"
        );
        let prefix = match flags {
            [] => "a",
            _ => "matrix_a",
        };
        assert_eq!(named(&output), values(&[(prefix, 1)]), "{input}");
        std::fs::remove_dir_all(output).unwrap();
    }
    // An archive next to its unpacked contents, also HDF5 files, and both inside an archive.
    std::fs::rename(at("x.tar.gz"), at("u/x.tar.gz")).unwrap();
    small(20).write(&at("u/b.h5ad"), "b");
    let hdf5 = std::fs::read(at("u/b.h5ad")).unwrap();
    tar(&at("u/b.tar"), &[("b.h5ad", hdf5.clone())], Tar::Gnu);
    assert_eq!(found(&at("u")), ["b.h5ad", "filtered_feature_bc_matrix"]);
    let passed = passed_over(&at("u"));
    let same = passed
        .iter()
        .filter(|(_, reason)| reason.contains("the same as"));
    assert_eq!(same.count(), 2, "{passed:?}");
    // A member that has no counterpart next to the archive is an input.
    tar(
        &at("u/c.tar"),
        &[("c.h5ad", hdf5.clone()), ("c/b.h5ad", hdf5)],
        Tar::Pax,
    );
    std::fs::remove_file(at("u/b.tar")).unwrap();
    small(30).write(&at("d.h5ad"), "d");
    let other = std::fs::read(at("d.h5ad")).unwrap();
    tar(&at("u/d.tar"), &[("b.h5ad", other)], Tar::Pax);
    assert_eq!(
        found(&at("u")),
        ["b.h5ad", "d.tar/b.h5ad", "filtered_feature_bc_matrix"]
    );
    let output = at("out.slaf");
    convert(&at("u"), &output, &["--var-join", "outer"]).succeeded();
    assert_eq!(named(&output), values(&[("a", 1), ("b", 20), ("d", 30)]));
}

/// One HDF5 file that is not a cell matrix ended the command.
#[test]
fn r248_other_hdf5_files_are_passed_over_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_h5(&at("outs/filtered_feature_bc_matrix.h5"), "a", 1);
    write_h5(&at("outs/raw_feature_bc_matrix.h5"), "a", 1);
    write_h5(&at("outs/raw_probe_bc_matrix.h5"), "a", 1);
    write_mtx(&at("outs/filtered_feature_bc_matrix"), "", "a", 1);
    for (name, groups) in [
        (
            "outs/analysis/analysis.h5",
            &["clustering", "pca", "matrix"][..],
        ),
        ("outs/feature_slice.h5", &["feature_slices", "masks"]),
        ("outs/both.h5mu", &["mod", "obs", "var"]),
        ("outs/cells.loom", &["row_attrs", "col_attrs", "layers"]),
        (
            "outs/cells.h5Seurat",
            &["assays", "cell.names", "meta.data"],
        ),
        ("outs/unknown.h5", &["something"]),
    ] {
        std::fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        let file = hdf5::File::create(at(name)).unwrap();
        for group in groups {
            file.create_group(group).unwrap();
        }
    }
    let molecules = repository("fixtures/10x_h5_refused/molecule_info.h5");
    std::fs::copy(molecules, at("outs/molecule_info.h5")).unwrap();
    std::fs::write(at("outs/metrics_summary.csv"), "a,b\n").unwrap();
    convert(&at("outs"), &at("out.slaf"), &[]).succeeded();
    assert_eq!(named(&at("out.slaf")), values(&[("a", 1)]));
    let passed = passed_over(&at("outs"));
    for (name, word) in [
        ("analysis/analysis.h5", "analysis"),
        ("both.h5mu", "MuData"),
        ("cells.h5Seurat", "Seurat"),
        ("cells.loom", "loom"),
        ("feature_slice.h5", "feature slice"),
        ("filtered_feature_bc_matrix", "the same as"),
        ("molecule_info.h5", "molecule_info"),
        ("raw_feature_bc_matrix.h5", "raw"),
        ("raw_probe_bc_matrix.h5", "probes"),
        ("unknown.h5", "something"),
    ] {
        let reason = passed.iter().find(|(path, _)| path == name);
        assert!(
            reason.is_some_and(|(_, reason)| reason.contains(word)),
            "{name}: {passed:?}"
        );
    }
    assert_eq!(passed.len(), 10);
    // A file that claims to be an h5ad is not passed over.
    let broken = hdf5::File::create(at("outs/broken.h5ad")).unwrap();
    broken.create_group("X").unwrap();
    drop(broken);
    let refused = convert(&at("outs"), &at("new.slaf"), &["-q"])
        .refused(3)
        .stderr;
    assert!(refused.contains("broken.h5ad"), "{refused}");
}

/// `outs` hid everything next to it.
#[test]
fn r302_outs_does_not_hide_its_neighbours() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_h5(&at("run/outs/filtered_feature_bc_matrix.h5"), "a", 1);
    write_h5(&at("run/SC_RNA_COUNTER_CS/fork0/filtered.h5"), "a", 1);
    std::fs::create_dir_all(at("run/more")).unwrap();
    small(10).write(&at("run/more/b.h5ad"), "b");
    assert_eq!(
        found(&at("run")),
        ["more/b.h5ad", "outs/filtered_feature_bc_matrix.h5"]
    );
    let passed = passed_over(&at("run"));
    assert!(
        matches!(&passed[..], [(path, _)] if path == "SC_RNA_COUNTER_CS"),
        "{passed:?}"
    );
    // A run of several samples; another matrix contains the cells of all of them again.
    write_h5(&at("m/outs/multi/count/raw_feature_bc_matrix.h5"), "a", 1);
    let sample = "m/outs/per_sample_outs/s/count/sample_filtered_feature_bc_matrix.h5";
    write_h5(&at(sample), "a", 1);
    assert_eq!(inputs_of(&at("m")).unwrap(), [at(sample)]);
    assert_eq!(passed_over(&at("m")).len(), 1);
    // Duplicates through symbolic links, and links that form a cycle.
    std::os::unix::fs::symlink("more/b.h5ad", at("run/b.h5ad")).unwrap();
    std::os::unix::fs::symlink("more", at("run/latest")).unwrap();
    std::os::unix::fs::symlink("..", at("run/more/back")).unwrap();
    assert_eq!(found(&at("run")).len(), 2, "{:?}", found(&at("run")));
    assert_eq!(passed_over(&at("run")).len(), 3);
    // A dataset is an input; stores of other kinds are not.
    convert(&at("run"), &at("run/out.slaf"), &["--var-join", "outer"]).succeeded();
    std::fs::create_dir(at("run/x.zarr")).unwrap();
    std::fs::write(at("run/x.zarr/.zgroup"), "{}").unwrap();
    let all = found(&at("run"));
    assert!(
        all.len() == 3 && all.contains(&"out.slaf".to_string()),
        "{all:?}"
    );
    let passed = passed_over(&at("run"));
    assert!(
        passed.iter().any(|(_, reason)| reason.contains("Zarr")),
        "{passed:?}"
    );
    // A dataset whose conversion is incomplete is not an input.
    std::fs::create_dir(at("run/begun.slaf")).unwrap();
    std::fs::write(
        at("run/begun.slaf/config.json"),
        r#"{"format_version": "0.5"}"#,
    )
    .unwrap();
    assert_eq!(found(&at("run")).len(), 3);
}

/// Nothing was reported about what was passed over.
#[test]
fn r301_what_is_passed_over_is_told_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_h5(&at("f/filtered_feature_bc_matrix.h5"), "a", 1);
    write_h5(&at("f/raw_feature_bc_matrix.h5"), "a", 1);
    let output = at("out.slaf");
    small(30).write(&at("b.h5ad"), "b");
    let input = at("f");
    let dataset = at("appended.slaf");
    convert(&at("b.h5ad"), &dataset, &[]).succeeded();
    let runs: [(&str, Vec<&Path>, &[&str]); 3] = [
        ("convert", vec![&input, &output], &["--json"]),
        ("validate", vec![&input], &["--json"]),
        (
            "append",
            vec![&input, &dataset],
            &["--json", "--var-join", "inner"],
        ),
    ];
    for (command, paths, flags) in runs {
        let run = run(command, &paths, flags).succeeded();
        assert!(
            run.stderr.contains("holds 1 input")
                && run.stderr.contains("filtered_feature_bc_matrix.h5\n")
                && run.stderr.contains("passed over")
                && run.stderr.contains("raw_feature_bc_matrix.h5: "),
            "{command}: {}",
            run.stderr
        );
        let json: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        let passed = json["passed_over"].as_array().unwrap();
        assert_eq!(passed.len(), 1, "{command}");
        let path = passed[0]["path"].as_str().unwrap();
        assert!(path.ends_with("raw_feature_bc_matrix.h5"), "{path}");
        assert!(passed[0]["reason"].as_str().unwrap().contains("raw"));
    }
    // A file given directly passes nothing over, so nothing is reported.
    let quiet = convert(&at("b.h5ad"), &at("b.slaf"), &[]).succeeded();
    assert!(!quiet.stderr.contains("slaf: "), "{}", quiet.stderr);
    // If there is nothing to read, what was found is reported.
    std::fs::remove_file(at("f/filtered_feature_bc_matrix.h5")).unwrap();
    std::fs::remove_file(at("f/raw_feature_bc_matrix.h5")).unwrap();
    std::fs::write(at("f/x.h5ad.gz"), gzip(&at("b.h5ad"))).unwrap();
    let refused = convert(&at("f"), &at("new.slaf"), &[]).refused(3).stderr;
    assert!(
        refused.contains("x.h5ad.gz") && refused.contains("gunzip"),
        "{refused}"
    );
}

fn pipe(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

/// Opening a pipe blocked, and an endless device was read forever.
#[test]
fn hostile_13_pipes_and_devices_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let output = at("out.slaf");
    write_mtx(&at("m"), "", "a", 1);
    small(1).write(&at("a.h5ad"), "a");
    pipe(&at("pipe"));
    for name in ["matrix.mtx", "barcodes.tsv", "genes.tsv"] {
        let inside = at("m").join(name);
        std::fs::rename(&inside, at("kept")).unwrap();
        pipe(&inside);
        let refused = convert(&at("m"), &output, &[]).refused(3).stderr;
        assert!(
            refused.contains(name) && refused.contains("FIFO"),
            "{refused}"
        );
        std::fs::remove_file(&inside).unwrap();
        std::fs::rename(at("kept"), &inside).unwrap();
    }
    for name in ["pipe", "/dev/zero"] {
        let special = at(name);
        let path = special.to_str().unwrap();
        let refused = convert(&special, &output, &[]).refused(3).stderr;
        assert!(refused.contains("not a regular file"), "{refused}");
        let format = convert(&special, &output, &["--format", "h5ad"])
            .refused(3)
            .stderr;
        assert!(format.contains("not a regular file"), "{format}");
        for flag in ["--inputs", "--config", "--genes"] {
            let refused = convert(&at("a.h5ad"), &output, &[flag, path])
                .refused(2)
                .stderr;
            assert!(
                refused.contains(path) && refused.contains("not a regular file"),
                "{refused}"
            );
        }
        for flag in ["--barcodes", "--features"] {
            let refused = convert(&at("m"), &output, &[flag, path]).refused(3).stderr;
            assert!(refused.contains("not a regular file"), "{refused}");
        }
    }
    // In a folder they are ignored.
    std::fs::create_dir(at("f")).unwrap();
    std::fs::rename(at("a.h5ad"), at("f/a.h5ad")).unwrap();
    pipe(&at("f/b.h5ad"));
    assert_eq!(found(&at("f")), ["a.h5ad"]);
    // A dataset's config is opened like other files.
    std::fs::create_dir(&output).unwrap();
    pipe(&output.join("config.json"));
    for (command, paths) in [
        ("info", vec![output.as_path()]),
        ("verify", vec![&output]),
        ("convert", vec![&at("f"), &output]),
        ("append", vec![&at("f"), &output]),
    ] {
        let run = run(command, &paths, &[]);
        assert!(run.code.is_some_and(|code| code != 0), "{command}");
        assert!(
            run.stderr.contains("config.json"),
            "{command}: {}",
            run.stderr
        );
    }
    // A list that is far too long.
    let long = at("long");
    let file = std::fs::File::create(&long).unwrap();
    file.set_len(1 << 30).unwrap();
    for flag in ["--config", "--inputs", "--genes"] {
        let flags = [flag, long.to_str().unwrap()];
        let refused = convert(&at("f/a.h5ad"), &at("new.slaf"), &flags)
            .refused(2)
            .stderr;
        assert!(refused.contains("larger than"), "{refused}");
    }
}

/// The output changed the experiment while it was being read, and half a dataset was left in it.
#[test]
fn hostile_18_an_output_inside_an_input_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = folder.path().join("e");
    unpack(&repository("fixtures/soma/same.tar.gz"), &experiment);
    let list = |folder: &Path| -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        all.sort();
        all
    };
    let before = list(&experiment);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&experiment, &link).unwrap();
    for output in [experiment.join("out.slaf"), link.join("obs/out.slaf")] {
        let refused = convert(&experiment, &output, &[]).refused(3).stderr;
        assert!(refused.contains("inside of the input"), "{refused}");
        assert_eq!(list(&experiment), before);
    }
    let scratch = ["--scratch-dir", experiment.to_str().unwrap()];
    let output = folder.path().join("out.slaf");
    let refused = convert(&experiment, &output, &scratch).refused(3).stderr;
    assert!(refused.contains("inside of the input"), "{refused}");
    convert(&experiment, &output, &[]).succeeded();
    // A dataset that was moved there later.
    let within = experiment.join("within.slaf");
    std::fs::rename(&output, &within).unwrap();
    let rows = triplets(&within);
    let refused = run("append", &[&experiment, &within], &[])
        .refused(3)
        .stderr;
    assert!(refused.contains("inside of the input"), "{refused}");
    assert_eq!(triplets(&within), rows);
}

/// `{source}` was the name of the file including its extensions.
#[test]
fn source_in_a_prefix_has_no_ending() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write_mtx(&at("f"), "GSM1_", "", 1);
    small(10).write(&at("f/b.h5ad"), "");
    let output = at("out.slaf");
    let flags = ["--cell-id-prefix", "{source}-", "--var-join", "outer"];
    convert(&at("f"), &output, &flags).succeeded();
    assert_eq!(named(&output), values(&[("GSM1_matrix-", 1), ("b-", 10)]));
    // The column contains the full file name.
    let cells = table(&output, TableName::Cells);
    let files = texts(cells.column_by_name("source_file").unwrap());
    assert_eq!(files[0].as_deref(), Some("GSM1_matrix.mtx"));
    let file = at("f/b.h5ad");
    run("verify", &[&output], &["--against", file.to_str().unwrap()]).succeeded();
    let sources = Dataset::open(&output).unwrap().config().sources.clone();
    assert_eq!(sources[1].open.cell_id_prefix.as_deref(), Some("b-"));
}

/// The last input was taken for the output: "exists and is a file".
#[test]
fn inputs_without_an_output_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    small(1).write(&at("a.h5ad"), "a");
    small(10).write(&at("b.h5ad"), "b");
    write_mtx(&at("m"), "", "c", 1);
    let [a, b, m] = ["a.h5ad", "b.h5ad", "m"].map(at);
    for (command, last) in [
        ("convert", &b),
        ("convert", &m),
        ("append", &b),
        ("append", &m),
    ] {
        let refused = run(command, &[&a, last], &[]).refused(2).stderr;
        assert!(
            refused.contains(last.to_str().unwrap()) && refused.contains("-o"),
            "{refused}"
        );
    }
    // If it is named with -o, it is an output.
    let refused = run("convert", &[&a], &["-o", b.to_str().unwrap()])
        .refused(3)
        .stderr;
    assert!(refused.contains("is a file"), "{refused}");
}
