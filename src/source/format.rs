//! Which format an input has, by its content.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SourceError;
use super::soma::{self, Found};

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// AnnData in HDF5.
    H5ad,
    /// A TileDB-SOMA experiment, a folder.
    Soma,
}

/// HDF5 files begin with these bytes, at 0 or, after a user block, at 512 × a power of two.
const HDF5_SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Looks into an input and says which format it has.
///
/// # Errors
/// [`SourceError::Io`] for a missing or unreadable file, [`SourceError::UnknownFormat`] with what was
/// found instead.
pub fn detect(path: &Path) -> Result<Format, SourceError> {
    let io = |source| SourceError::Io {
        action: "open",
        path: path.to_path_buf(),
        source,
    };
    let unknown = |found: &str| SourceError::UnknownFormat {
        path: path.to_path_buf(),
        found: found.into(),
    };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_dir() {
        return match soma::look(path)? {
            Found::Experiment => Ok(Format::Soma),
            Found::Other(what) => Err(unknown(&format!(
                "is {what}, which alone is no dataset; name the folder of its SOMAExperiment"
            ))),
            Found::Nothing => Err(unknown("is a folder, but not a SOMA experiment")),
        };
    }
    if metadata.len() == 0 {
        return Err(unknown("is empty"));
    }
    let mut file = File::open(path).map_err(io)?;
    let mut start = [0u8; 64];
    let length = read_up_to(&mut file, &mut start).map_err(io)?;
    if has_signature(&mut file, metadata.len()).map_err(io)? {
        return Ok(Format::H5ad);
    }
    let start = &start[..length];
    Err(unknown(if start.starts_with(b"version https://git-lfs") {
        "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull"
    } else if start.starts_with(&[0x1f, 0x8b]) {
        "is gzip-compressed; unpack it first"
    } else if start.starts_with(b"PK\x03\x04") {
        "is a zip archive, not an HDF5 file"
    } else {
        "is not an HDF5 file: its signature is missing"
    }))
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match file.read(&mut buffer[length..])? {
            0 => break,
            n => length += n,
        }
    }
    Ok(length)
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
        assert_eq!(message(b"\x89HDF\r\n\x1a\nrest"), "H5ad");
        let mut behind_a_user_block = vec![0; 1024];
        behind_a_user_block.extend(HDF5_SIGNATURE);
        assert_eq!(message(&behind_a_user_block), "H5ad");
    }
}
