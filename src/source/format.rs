//! Which format an input has, by its content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::Place;
use super::hdf5::Hdf5File;
use super::soma::Found;
use super::text::{TextFile, first_bytes};
use super::{OpenOptions, SourceError, search, soma, tenx_h5, tenx_mtx};

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// AnnData in HDF5.
    H5ad,
    /// A matrix of 10x Genomics in HDF5.
    #[serde(rename = "10x-h5")]
    TenxH5,
    /// A Matrix Market file with its lists, as Cell Ranger writes them.
    #[serde(rename = "10x-mtx")]
    TenxMtx,
    /// A TileDB-SOMA experiment, a folder.
    Soma,
}

/// HDF5 files begin with these bytes, at 0 or, after a user block, at 512 × a power of two.
const HDF5_SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Bytes that show what a text or an archive is.
const START: u64 = 512;
/// Bytes of an archive that are looked at for what TileDB writes; its first files are small.
const ARCHIVE_START: u64 = 64 << 10;

/// Looks into an input and says which format it has.
///
/// # Errors
/// [`SourceError::Io`] for a missing or unreadable file, [`SourceError::UnknownFormat`] with what was
/// found instead; of a folder or an archive with several inputs, a refusal that lists them.
pub fn detect(path: &Path) -> Result<Format, SourceError> {
    if path.is_file() && !looks_like_archive(path)? {
        return detect_one(path);
    }
    search::only(path).map(|(_, format)| format)
}

/// The format of one input: a file, the folder of a matrix, or a matrix in an archive.
pub(super) fn detect_one(path: &Path) -> Result<Format, SourceError> {
    let io = |source| SourceError::Io {
        action: "open",
        path: path.to_path_buf(),
        source,
    };
    let unknown = |found: String| SourceError::UnknownFormat {
        path: path.to_path_buf(),
        found,
    };
    let Ok(metadata) = std::fs::metadata(path) else {
        // It was found in an archive.
        return Ok(Format::TenxMtx);
    };
    if metadata.is_dir() {
        return match soma::look(path)? {
            Found::Experiment => Ok(Format::Soma),
            Found::Other(what) => Err(unknown(alone(&what))),
            Found::Nothing => Ok(Format::TenxMtx),
        };
    }
    if metadata.len() == 0 {
        return Err(unknown("is empty".into()));
    }
    let mut file = File::open(path).map_err(io)?;
    if has_signature(&mut file, metadata.len()).map_err(io)? {
        return detect_hdf5(path);
    }
    let (start, compressed) = first_bytes(path, START)?;
    if tenx_mtx::is_banner(&start) {
        return Ok(Format::TenxMtx);
    }
    if TextFile::all_in_archive(path)?.is_some() {
        return Ok(Format::TenxMtx);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_list = ["barcodes", "features", "genes"]
        .iter()
        .any(|kind| name.contains(&format!("{kind}.tsv")));
    Err(unknown(if start.starts_with(b"version https://git-lfs") {
        "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull".into()
    } else if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        "is a zip archive; unpack it first".into()
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

fn detect_hdf5(path: &Path) -> Result<Format, SourceError> {
    let file = Hdf5File::open(path, &OpenOptions::default())?;
    match tenx_h5::kind_of(&file)? {
        tenx_h5::Kind::Matrix => Ok(Format::TenxH5),
        tenx_h5::Kind::Molecules => Err(Place::whole(path).unsupported(
            "a molecule_info file of Cell Ranger, which lists molecules,",
            "give the matrix that lies beside it: filtered_feature_bc_matrix.h5",
        )),
        tenx_h5::Kind::Other => Ok(Format::H5ad),
    }
}

/// Refuses an object of TileDB that is no experiment.
pub(super) fn alone(what: &str) -> String {
    format!("is {what}, which alone is no dataset; name the folder of its SOMAExperiment")
}

/// Whether a file is an archive, perhaps compressed, whose first files are of TileDB.
pub(super) fn holds_tiledb(path: &Path) -> Result<bool, SourceError> {
    let (bytes, _) = first_bytes(path, ARCHIVE_START)?;
    let is_archive = bytes.get(257..262) == Some(b"ustar");
    let holds = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    Ok(is_archive && (holds(b"__tiledb_group.tdb") || holds(b"__schema/") || holds(b"__commits/")))
}

/// Whether a file is a tar archive, compressed or not.
pub(super) fn looks_like_archive(path: &Path) -> Result<bool, SourceError> {
    // HDF5 files, the most frequent ones, are told without more ado.
    if has_hdf5_signature(path) {
        return Ok(false);
    }
    TextFile::is_archive(path)
}

/// Whether a file that can be read begins as HDF5 files do.
pub(super) fn has_hdf5_signature(path: &Path) -> bool {
    let found = || -> std::io::Result<bool> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        has_signature(&mut file, length)
    };
    found().unwrap_or(false)
}

fn has_signature(file: &mut File, length: u64) -> std::io::Result<bool> {
    use std::io::{Seek, SeekFrom};
    let mut at = 0;
    while at + 8 <= length {
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = [0u8; 8];
        file.read_exact(&mut bytes)?;
        if bytes == HDF5_SIGNATURE {
            return Ok(true);
        }
        at = if at == 0 { 512 } else { at * 2 };
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
        // That it is HDF5, only the library can deny.
        assert!(message(b"\x89HDF\r\n\x1a\nrest").contains("/"));
    }

    #[test]
    fn user_blocks_are_passed_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut behind_a_user_block = vec![0; 1024];
        behind_a_user_block.extend(HDF5_SIGNATURE);
        std::fs::write(file.path(), behind_a_user_block).unwrap();
        assert!(has_hdf5_signature(file.path()));
    }
}
