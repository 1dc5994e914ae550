//! What fuzzers run: each function reads bytes that may be anything, and must come to an end without
//! a panic. `fuzz/` has a target for each, guided by coverage; the test below runs them on damaged
//! fixtures in every test run (`SLAF_MUTATIONS` asks for more rounds).

use std::path::Path;

use crate::dataset::Dataset;
use crate::source::{ChunkBudget, OpenOptions, SourceError, hdf5_filter, inputs_of, open};

/// The bytes of a Matrix Market file, beside lists of as many cells and genes as it says.
pub fn mtx(bytes: &[u8]) {
    const MOST: usize = 64;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 12)]);
    let mut lines = text.lines().filter(|line| !line.starts_with('%'));
    let sizes = lines.next().unwrap_or_default().split_whitespace();
    let mut sizes = sizes.map(|size| size.parse().unwrap_or(0).min(MOST));
    let (genes, cells) = (sizes.next().unwrap_or(0), sizes.next().unwrap_or(0));
    let list = |letter: char, count: usize| -> String {
        (0..count)
            .map(|number| format!("{letter}{number}\t{letter}{number}\n"))
            .collect()
    };
    in_folder(|folder| {
        std::fs::write(folder.join("matrix.mtx"), bytes)?;
        std::fs::write(folder.join("genes.tsv"), list('g', genes))?;
        std::fs::write(folder.join("barcodes.tsv"), list('c', cells))?;
        let _ = read(folder);
        Ok(())
    });
}

/// The bytes of an archive.
pub fn tar(bytes: &[u8]) {
    in_folder(|folder| {
        let archive = folder.join("archive.tar");
        std::fs::write(&archive, bytes)?;
        for input in inputs_of(&archive).unwrap_or_default() {
            let _ = read(&input);
        }
        Ok(())
    });
}

/// The bytes of one file of a SOMA experiment: a schema, a fragment's footer, tiles behind filters,
/// metadata, a group.
pub fn soma(experiment: &Path, file: &Path, bytes: &[u8]) {
    let path = experiment.join(file);
    let Ok(before) = std::fs::read(&path) else {
        return;
    };
    if std::fs::write(&path, bytes).is_ok() {
        let _ = read(experiment);
    }
    let _ = std::fs::write(&path, before);
}

/// The bytes of a chunk of HDF5 behind one filter, whose number is the first byte.
pub fn hdf5_pipeline(bytes: &[u8]) {
    let Some((&number, chunk)) = bytes.split_first() else {
        return;
    };
    const FILTERS: [i32; 5] = [32001, 32004, 32008, 32015, 32000];
    let filter = FILTERS[usize::from(number) % FILTERS.len()];
    // Of bitshuffle: versions, the size of an element, that of a block, the compression within.
    let parameters = [0, 4, 4, 0, [0, 2, 3][usize::from(number) % 3]];
    let _ = hdf5_filter(filter, &parameters, chunk);
}

/// The bytes of a `config.json`.
pub fn config(bytes: &[u8]) {
    in_folder(|folder| {
        std::fs::write(folder.join("config.json"), bytes)?;
        if let Ok(dataset) = Dataset::open(folder) {
            let _ = serde_json::to_vec(dataset.config());
        }
        Ok(())
    });
}

/// Does something with a folder that is gone afterwards. A disk that is full is no finding.
fn in_folder(run: impl FnOnce(&Path) -> std::io::Result<()>) {
    if let Ok(folder) = tempfile::tempdir() {
        let _ = run(folder.path());
    }
}

/// Reads an input whole, whatever of it fails.
fn read(path: &Path) -> Result<(), SourceError> {
    const MOST: u64 = 1 << 16;
    const BUDGET: ChunkBudget = ChunkBudget {
        bytes: 1 << 12,
        cells: 7,
    };
    let source = open(path, &OpenOptions::default())?;
    let description = source.description();
    let (cells, genes) = (description.n_obs.min(MOST), description.n_vars.min(MOST));
    let _ = source.obs_names(0..cells);
    let _ = source.var_names(0..genes);
    let _ = source.obs(0..cells);
    let _ = source.var(0..genes);
    let _ = source.uns();
    for described in std::iter::once(&description.x).chain(&description.layers) {
        if !described.is_readable() {
            continue;
        }
        let matrix = source.matrix(&described.name)?;
        let _ = matrix.sample(&mut |_| ());
        matrix.prepare(&|_| ())?;
        for chunk in matrix.chunks(0..cells, BUDGET)? {
            let _ = chunk?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// A generator of numbers that is the same everywhere.
    struct TypedVec(u64);

    impl TypedVec {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
        }

        /// Bytes with a few changes: other values, pieces that are gone, doubled or moved.
        fn damaged(&mut self, bytes: &[u8]) -> Vec<u8> {
            let mut bytes = bytes.to_vec();
            for _ in 0..=self.below(4) {
                let at = self.below(bytes.len());
                let end = (at + self.below(40)).min(bytes.len());
                match self.below(6) {
                    0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                    1 if at < bytes.len() => {
                        bytes[at] =
                            [0, 1, 0x7f, 0x80, 0xff, b'-', b'9', b' ', b'\n'][self.below(9)];
                    }
                    2 => bytes.truncate(at),
                    3 => drop(bytes.drain(at..end)),
                    4 => {
                        let piece = bytes[at..end].to_vec();
                        let to = self.below(bytes.len());
                        bytes.splice(to..to, piece);
                    }
                    _ => bytes[at..end].fill(0xff),
                }
            }
            bytes
        }
    }

    fn rounds(few: usize) -> usize {
        let more = std::env::var("SLAF_MUTATIONS").map(|text| text.parse().unwrap());
        more.unwrap_or(few)
    }

    fn fixtures(folder: &str, is_one: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        walk(&root.join("fixtures").join(folder), &mut found);
        found.retain(|path| is_one(path));
        found.sort();
        assert!(!found.is_empty(), "no fixtures in {folder}");
        found
    }

    /// A folder with what an archive has.
    fn unpacked(archive: &Path) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut tar = Command::new("tar");
        tar.arg("xzf").arg(archive).arg("-C").arg(folder.path());
        assert!(tar.status().unwrap().success());
        folder
    }

    fn ends(path: &Path, ending: &str) -> bool {
        path.to_string_lossy().ends_with(ending)
    }

    #[test]
    fn matrix_market_files() {
        let mut random = TypedVec(1);
        for path in fixtures("10x_mtx", |path| ends(path, ".mtx")) {
            let bytes = std::fs::read(&path).unwrap();
            mtx(&bytes);
            for _ in 0..rounds(12) {
                mtx(&random.damaged(&bytes));
            }
        }
    }

    #[test]
    fn archives() {
        let mut random = TypedVec(2);
        // A small one, so that most damage is in what an archive is made of.
        let folder = tempfile::tempdir().unwrap();
        for name in ["barcodes.tsv", "genes.tsv", "matrix.mtx"] {
            let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/10x_mtx/v2");
            std::fs::copy(from.join(name), folder.path().join(name)).unwrap();
        }
        let small = folder.path().join("small.tar");
        let mut command = Command::new("tar");
        command.args(["--format=pax", "-cf"]).arg(&small);
        command
            .arg("-C")
            .arg(folder.path())
            .args(["matrix.mtx", "genes.tsv", "barcodes.tsv"]);
        assert!(command.status().unwrap().success());
        let mut seeds = fixtures("10x_mtx", |path| ends(path, ".tar"));
        seeds.push(small);
        for path in seeds {
            let bytes = std::fs::read(&path).unwrap();
            tar(&bytes);
            for _ in 0..rounds(40) {
                tar(&random.damaged(&bytes));
            }
        }
    }

    #[test]
    fn files_of_experiments() {
        let mut random = TypedVec(3);
        let seeds = [
            "filters_census.tar.gz",
            "filters_more.tar.gz",
            "deleted_by_values.tar.gz",
        ];
        for archive in fixtures("soma", |path| seeds.iter().any(|seed| ends(path, seed))) {
            let folder = unpacked(&archive);
            let mut files = Vec::new();
            let mut folders = vec![folder.path().to_path_buf()];
            while let Some(next) = folders.pop() {
                for entry in std::fs::read_dir(next).unwrap() {
                    let path = entry.unwrap().path();
                    let list = if path.is_dir() {
                        &mut folders
                    } else {
                        &mut files
                    };
                    list.push(path);
                }
            }
            files.sort();
            files.retain(|file| std::fs::metadata(file).unwrap().len() > 0);
            for _ in 0..rounds(60) {
                let file = &files[random.below(files.len())];
                let bytes = random.damaged(&std::fs::read(file).unwrap());
                soma(folder.path(), file, &bytes);
            }
            read(folder.path()).unwrap();
        }
    }

    #[test]
    fn chunks_behind_filters() {
        let mut random = TypedVec(4);
        // Files with a few chunks: some are found by chance at any place.
        let seeds = fixtures("h5ad", |path| {
            ["bitshuffle", "blosc", "lz4", "zstd", "lzf"]
                .iter()
                .any(|filter| ends(path, ".h5ad") && path.to_string_lossy().contains(filter))
        });
        for path in seeds {
            let bytes = std::fs::read(&path).unwrap();
            for _ in 0..rounds(60) {
                let at = random.below(bytes.len());
                let end = (at + random.below(400)).min(bytes.len());
                let number = u8::try_from(random.below(256)).unwrap();
                hdf5_pipeline(&[&[number][..], &random.damaged(&bytes[at..end])].concat());
            }
        }
    }

    #[test]
    fn descriptions_of_datasets() {
        let mut random = TypedVec(5);
        for archive in fixtures("slaf", |path| ends(path, ".tar.gz")) {
            let folder = unpacked(&archive);
            let bytes = std::fs::read(folder.path().join("config.json")).unwrap();
            config(&bytes);
            for _ in 0..rounds(300) {
                config(&random.damaged(&bytes));
            }
        }
    }
}
