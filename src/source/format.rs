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

/// Gzip-compressed files begin with these bytes.
const GZIP_SIGNATURE: [u8; 2] = [0x1f, 0x8b];

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
    if let Some(scheme) = path.to_str().and_then(soma::remote_scheme) {
        return Err(unknown(&format!(
            "is not on this machine ({scheme}://…), and cannot be read from there yet; copy it here first"
        )));
    }
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
    } else if holds_tiledb(&mut file, start).map_err(io)? {
        "is an archive of a TileDB-SOMA experiment or array; unpack it first (tar xf) and name the folder"
    } else if start.starts_with(&GZIP_SIGNATURE) {
        "is gzip-compressed; unpack it first"
    } else if start.starts_with(b"PK\x03\x04") {
        "is a zip archive, not an HDF5 file"
    } else {
        "is not an HDF5 file: its signature is missing"
    }))
}

/// Whether a file is an archive, perhaps compressed, whose first files are of TileDB.
fn holds_tiledb(file: &mut File, start: &[u8]) -> std::io::Result<bool> {
    use std::io::{Seek, SeekFrom};
    /// Bytes of the archive that are looked at; the first files are small.
    const LOOKED_AT: u64 = 64 << 10;
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    if start.starts_with(&GZIP_SIGNATURE) {
        let mut decoder = flate2::read::GzDecoder::new(&*file).take(LOOKED_AT);
        // What is damaged further on is none of this question.
        let _ = decoder.read_to_end(&mut bytes);
    } else {
        file.take(LOOKED_AT).read_to_end(&mut bytes)?;
    }
    let is_archive = bytes.get(257..262) == Some(b"ustar");
    let holds = |name: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    Ok(is_archive && (holds(b"__tiledb_group.tdb") || holds(b"__schema/") || holds(b"__commits/")))
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
