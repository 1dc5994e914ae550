//! Determines what a file is from its first bytes.

use std::io::Read;

use super::archive;
use super::gunzip::{Gunzip, MAGIC};

/// HDF5 files begin with these bytes, at offset 0 or, after a user block, at 512 × a power of two.
pub(crate) const HDF5_SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";

/// Number of bytes examined. If compressed, they contain more than an archive header.
pub(crate) const START: usize = 4096;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Hdf5,
    /// A gzip-compressed HDF5 file.
    PackedHdf5,
    /// A tar archive, gzip-compressed or not.
    Archive,
    /// An archive or compressed file that is not supported, and what to call it.
    Packed(&'static str),
    /// Text, possibly compressed, or anything else.
    Other,
}

/// Signatures of archives and compressed files that are not supported.
const PACKED: [(&[u8], &str); 8] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"BZh", "a bzip2-compressed file"),
    (b"\xfd7zXZ\0", "an xz-compressed file"),
    (b"\x28\xb5\x2f\xfd", "a zstd-compressed file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"!<arch>\n", "an ar archive"),
];

impl Content {
    /// Classifies a file by its first [`START`] bytes, or all of them.
    pub fn of(start: &[u8]) -> Self {
        // An archive can have the HDF5 signature at offset 512, where a user block would end,
        // because its first member begins there.
        if archive::begins(start) {
            return Content::Archive;
        }
        if start.starts_with(&MAGIC) {
            return match inflated_start(start) {
                inner if archive::begins(&inner) => Content::Archive,
                inner if inner.starts_with(&HDF5_SIGNATURE) => Content::PackedHdf5,
                _ => Content::Other,
            };
        }
        if let Some((_, what)) = PACKED.iter().find(|(magic, _)| start.starts_with(magic)) {
            return Content::Packed(what);
        }
        let signed = |at: usize| start.get(at..at + 8) == Some(&HDF5_SIGNATURE[..]);
        if signed(0) || (!is_text(start) && [512, 1024, 2048].into_iter().any(signed)) {
            Content::Hdf5
        } else {
            Content::Other
        }
    }

    /// Whether an HDF5 signature further on can be genuine: what precedes it can be a user block
    /// and is not known to be something else.
    pub fn may_be_a_user_block(start: &[u8]) -> bool {
        Content::of(start) == Content::Other && !start.starts_with(&MAGIC) && !is_text(start)
    }
}

/// Whether a file begins like text that is an input or a placeholder for one.
fn is_text(start: &[u8]) -> bool {
    start.trim_ascii_start().starts_with(b"%%MatrixMarket")
        || start.starts_with(b"version https://git-lfs")
}

/// Decompresses the beginning of a file, as far as possible.
fn inflated_start(start: &[u8]) -> Vec<u8> {
    let mut inner = Vec::new();
    let mut text = Gunzip::new(start).take(archive::BLOCK as u64);
    // The input is truncated, so keep what was decompressed until then.
    let _ = text.read_to_end(&mut inner);
    inner
}
