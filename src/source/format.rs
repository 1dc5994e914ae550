//! Detects the format of an input from its content.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::dataset_folder::{self, Dataset};
use super::error::Place;
use super::hdf5::Hdf5File;
use super::soma::Found;
use super::text::{Content, HDF5_SIGNATURE, START, TextFile, first_bytes};
use super::{OpenOptions, SourceError, foreign, search, soma, tenx_h5, tenx_mtx};
use crate::store::open_regular;

/// A supported input format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// AnnData in HDF5.
    H5ad,
    /// 10x Genomics feature-barcode matrix in HDF5.
    #[serde(rename = "10x-h5")]
    TenxH5,
    /// Matrix Market file with its barcodes and features files, as Cell Ranger writes them.
    #[serde(rename = "10x-mtx")]
    TenxMtx,
    /// TileDB-SOMA experiment, a folder.
    Soma,
    /// A SLAF dataset, a folder.
    Slaf,
}

/// Detects the format of an input from its content.
///
/// # Errors
/// [`SourceError::Io`] for a missing or unreadable file; [`SourceError::UnknownFormat`], with what
/// was found instead, if it is no supported format; for a folder or archive with several inputs, an
/// error that lists them.
pub fn detect(path: &Path) -> Result<Format, SourceError> {
    search::only(path, &OpenOptions::default()).map(|(_, format)| format)
}

/// Returns the format of a single input: a file, the folder of a matrix, or a file in an archive.
pub(super) fn detect_one(path: &Path, options: &OpenOptions) -> Result<Format, SourceError> {
    let unknown = |found: String| SourceError::UnknownFormat {
        path: path.to_path_buf(),
        found,
    };
    let Ok(metadata) = std::fs::metadata(path) else {
        // The path is inside an archive.
        let found = TextFile::find_in_archive(path)?;
        return match found.and_then(|found| found.file.content()) {
            Some(Content::Hdf5 | Content::PackedHdf5) => detect_hdf5(path, options),
            _ => Ok(Format::TenxMtx),
        };
    };
    if metadata.is_dir() {
        if dataset_folder::look(path) != Dataset::None {
            return Ok(Format::Slaf);
        }
        return match soma::look(path)? {
            Found::Experiment => Ok(Format::Soma),
            Found::Other(what) => Err(unknown(alone(&what))),
            Found::Nothing => Ok(Format::TenxMtx),
        };
    }
    if content_of(path)? == Content::Hdf5 {
        return detect_hdf5(path, options);
    }
    if metadata.len() == 0 {
        return Err(unknown("is empty".into()));
    }
    let (start, compressed) = first_bytes(path, START as u64)?;
    if tenx_mtx::is_banner(&start) {
        return Ok(Format::TenxMtx);
    }
    let content = Content::of(&start);
    if content == Content::Archive {
        return Ok(Format::TenxMtx);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_list = ["barcodes", "features", "genes"]
        .iter()
        .any(|kind| name.contains(&format!("{kind}.tsv")));
    Err(unknown(if start.starts_with(b"version https://git-lfs") {
        "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull".into()
    } else if let Content::Packed(what) = content {
        format!("is {what}; unpack it first")
    } else if compressed && start.starts_with(&HDF5_SIGNATURE) {
        "is a gzip-compressed HDF5 file; unpack it first, with gunzip".into()
    } else if name.contains(".mtx") {
        "is not a Matrix Market file: its first line is not %%MatrixMarket …".into()
    } else if is_list {
        "is a list; name the matrix (.mtx) beside it, or their folder".into()
    } else if compressed {
        "is gzip-compressed, but what is in it is neither a Matrix Market file nor a tar archive"
            .into()
    } else {
        "is not an HDF5 file: its signature is missing; nor is it a Matrix Market file".into()
    }))
}

fn detect_hdf5(path: &Path, options: &OpenOptions) -> Result<Format, SourceError> {
    let file = Hdf5File::open(path, options)?;
    match tenx_h5::kind_of(&file)? {
        tenx_h5::Kind::Matrix => Ok(Format::TenxH5),
        tenx_h5::Kind::Molecules => Err(Place::whole(path).unsupported(
            "a molecule_info file of Cell Ranger, which lists molecules,",
            "give the matrix that lies beside it: filtered_feature_bc_matrix.h5",
        )),
        tenx_h5::Kind::Other => Ok(Format::H5ad),
    }
}

/// What an HDF5 file found among other files is.
pub(super) enum Among {
    /// An input, or a file that should be one.
    Input,
    /// Something else, with what to call it.
    Foreign(String),
}

/// Inspects an HDF5 file found among other files. A file that looks like an input but cannot be
/// read counts as an input, so that opening it reports what is wrong.
pub(super) fn look_into_hdf5(path: &Path, options: &OpenOptions) -> Result<Among, SourceError> {
    let file = Hdf5File::open(path, options)?;
    Ok(match foreign::called(&file)? {
        Some(what) => Among::Foreign(what),
        None => Among::Input,
    })
}

/// Message for a TileDB object that is not a SOMA experiment.
pub(super) fn alone(what: &str) -> String {
    format!("is {what}, which alone is no dataset; name the folder of its SOMAExperiment")
}

/// Returns what kind of content a file on disk has.
///
/// # Errors
/// If it cannot be read or is not a regular file.
pub(super) fn content_of(path: &Path) -> Result<Content, SourceError> {
    let look = || -> std::io::Result<Content> {
        let mut file = open_regular(path)?;
        let length = file.metadata()?.len();
        let mut start = Vec::new();
        file.by_ref().take(START as u64).read_to_end(&mut start)?;
        let content = Content::of(&start);
        Ok(match Content::may_be_a_user_block(&start) {
            true if is_signed_behind(&mut file, length)? => Content::Hdf5,
            _ => content,
        })
    };
    look().map_err(|e| Place::whole(path).io("open", e))
}

/// Whether there is an HDF5 signature after a user block that is longer than [`START`].
fn is_signed_behind(file: &mut File, length: u64) -> std::io::Result<bool> {
    let mut at = START as u64;
    while at + 8 <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = [0u8; 8];
        file.read_exact(&mut bytes)?;
        if bytes == HDF5_SIGNATURE {
            return Ok(true);
        }
        at *= 2;
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        match detect(file.path()) {
            Ok(format) => format!("{format:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn content_decides() {
        assert!(message(b"").contains("is empty"));
        assert!(message(b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
        assert!(message(b"hello").contains("not an HDF5 file"));
        assert!(message(b"PK\x03\x04").contains("zip archive"));
        assert_eq!(message(b" %%MatrixMarket matrix"), "TenxMtx");
        assert!(message(b"\x1f\x8b\x08").contains("cut short"));
        // Only the library can tell that it is not HDF5.
        assert!(message(b"\x89HDF\r\n\x1a\nrest").contains("/"));
    }

    #[test]
    fn user_blocks_are_passed_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let content = |start: &[u8], at: usize| {
            let mut bytes = start.to_vec();
            bytes.resize(at, 0);
            bytes.extend(HDF5_SIGNATURE);
            std::fs::write(file.path(), bytes).unwrap();
            content_of(file.path()).unwrap()
        };
        for at in [0, 512, 1024, 2048, 4096, 8192] {
            assert_eq!(content(b"", at), Content::Hdf5);
            assert_ne!(content(b"", at + 512 + 1), Content::Hdf5);
        }
        // Files that begin differently are something else, whatever they contain.
        for start in [
            &b"%%MatrixMarket matrix"[..],
            b"version https://git-lfs.github.com/spec/v1\n",
            b"PK\x03\x04",
            b"\x1f\x8b\x08",
            b"BZh9",
        ] {
            for at in [512, 2048, 8192] {
                assert_ne!(content(start, at), Content::Hdf5, "{start:?}");
            }
        }
    }
}
