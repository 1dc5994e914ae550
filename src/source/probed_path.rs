//! A file or folder that may be an input.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::error::ErrorContext;
use super::hdf5::Hdf5File;
use super::text::{Content, HDF5_SIGNATURE, START, TextFile, first_bytes};
use super::{OpenOptions, SourceError};
use crate::store::open_regular;

/// A file or folder, as a format looks at it that is asked whether it is an input. What is found out
/// is kept for the next one that is asked.
pub struct ProbedPath<'a> {
    path: &'a Path,
    options: &'a OpenOptions,
    kind: Kind,
    start: OnceCell<(Vec<u8>, bool)>,
    hdf5: OnceCell<Hdf5File>,
}

enum Kind {
    Folder,
    File(Content),
    /// A file in an archive.
    Member(TextFile),
}

impl<'a> ProbedPath<'a> {
    pub(super) fn folder(path: &'a Path, options: &'a OpenOptions) -> Self {
        ProbedPath::new(path, options, Kind::Folder)
    }

    pub(super) fn file(path: &'a Path, content: Content, options: &'a OpenOptions) -> Self {
        ProbedPath::new(path, options, Kind::File(content))
    }

    pub(super) fn member(path: &'a Path, file: TextFile, options: &'a OpenOptions) -> Self {
        ProbedPath::new(path, options, Kind::Member(file))
    }

    fn new(path: &'a Path, options: &'a OpenOptions, kind: Kind) -> Self {
        ProbedPath {
            path,
            options,
            kind,
            start: OnceCell::new(),
            hdf5: OnceCell::new(),
        }
    }

    /// Its path. That of a file in an archive goes on behind that of the archive.
    pub fn path(&self) -> &'a Path {
        self.path
    }

    /// Whether it is a folder on the disk.
    pub fn is_folder(&self) -> bool {
        matches!(self.kind, Kind::Folder)
    }

    /// Whether it is a file in a tar archive, where only some formats can read it.
    pub fn is_in_archive(&self) -> bool {
        matches!(self.kind, Kind::Member(_))
    }

    /// The first bytes of a file, inflated where it is gzip-compressed; none of a folder.
    ///
    /// # Errors
    /// [`SourceError::Io`] where it cannot be read.
    pub fn start(&self) -> Result<&[u8], SourceError> {
        Ok(&self.start_of()?.0)
    }

    pub(super) fn is_compressed(&self) -> Result<bool, SourceError> {
        Ok(self.start_of()?.1)
    }

    fn start_of(&self) -> Result<&(Vec<u8>, bool), SourceError> {
        if let Some(start) = self.start.get() {
            return Ok(start);
        }
        let start = match &self.kind {
            Kind::Folder => (Vec::new(), false),
            Kind::File(_) => first_bytes(self.path, START as u64)?,
            Kind::Member(file) => (file.start(START as u64)?, false),
        };
        Ok(self.start.get_or_init(|| start))
    }

    /// What a file is, by its first bytes.
    pub(super) fn content(&self) -> Content {
        match &self.kind {
            Kind::Folder => Content::Other,
            Kind::File(content) => *content,
            Kind::Member(file) => file.content().unwrap_or(Content::Other),
        }
    }

    /// The file, where it is HDF5; one in an archive may be compressed.
    pub(super) fn hdf5(&self) -> Result<Option<&Hdf5File>, SourceError> {
        match (self.content(), &self.kind) {
            (Content::Hdf5, _) | (Content::PackedHdf5, Kind::Member(_)) => {}
            _ => return Ok(None),
        }
        if self.hdf5.get().is_none() {
            let file = Hdf5File::open(self.path, self.options)?;
            let _ = self.hdf5.set(file);
        }
        Ok(self.hdf5.get())
    }
}

/// A file that makes an input what it is; see [`super::InputFormat::identity`].
pub struct InputFile(pub(super) TextFile);

impl InputFile {
    /// The file of a path, of the system or in an archive; none where there is none.
    ///
    /// # Errors
    /// Where an archive cannot be read.
    pub fn at(path: &Path) -> Result<Vec<Self>, SourceError> {
        let file = TextFile::at(path)?;
        Ok(file.into_iter().map(InputFile).collect())
    }
}

/// Whether a path names something that is not on this machine, and by which scheme.
pub(super) fn remote_scheme(path: &str) -> Option<&str> {
    let (scheme, _) = path.split_once("://")?;
    (scheme != "file").then_some(scheme)
}

/// What a file of the system is.
///
/// # Errors
/// Where it cannot be read, or is no regular file.
pub(super) fn content_of(path: &Path) -> Result<Content, SourceError> {
    let look = || -> std::io::Result<Content> {
        let mut file = open_regular(path)?;
        let length = file.metadata()?.len();
        let mut start = Vec::new();
        file.by_ref().take(START as u64).read_to_end(&mut start)?;
        let content = Content::of(&start);
        Ok(
            if Content::may_be_a_user_block(&start) && is_signed_behind(&mut file, length)? {
                Content::Hdf5
            } else {
                content
            },
        )
    };
    look().map_err(|e| ErrorContext::whole(path).io("open", e))
}

/// Whether the signature of HDF5 stands where a user block that is longer than [`START`] would end.
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
        // What begins otherwise is something else, whatever it holds.
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
