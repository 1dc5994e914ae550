//! Files in archives, and in archives nested within them.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::archive::{self, Member};
use super::content::{Content, START};
use super::file::{TextFile, is_gzip, skip_by_reading};
use crate::source::SourceError;
use crate::source::error::ErrorContext;
use crate::store::open_regular;

/// Maximum depth of nested archives.
const DEEPEST: usize = 4;

/// A file in an archive that a path refers to, and all files of that archive.
pub(crate) struct Found {
    /// The file.
    pub file: TextFile,
    /// All files of the archive.
    pub beside: Vec<TextFile>,
}

/// Returns the file on disk that contains an input: the path itself, or the archive it is in.
pub(crate) fn holder_of(path: &Path) -> PathBuf {
    match std::fs::metadata(path) {
        Ok(_) => path.to_path_buf(),
        Err(_) => archive_above(path).unwrap_or(path).to_path_buf(),
    }
}

fn archive_above(path: &Path) -> Option<&Path> {
    path.ancestors().skip(1).find(|above| above.is_file())
}

impl TextFile {
    /// Whether a file on disk is a tar archive, compressed or not.
    pub fn is_archive(path: &Path) -> Result<bool, SourceError> {
        let start = || -> io::Result<Vec<u8>> {
            let mut start = Vec::new();
            let file = open_regular(path)?;
            file.take(START as u64).read_to_end(&mut start)?;
            Ok(start)
        };
        let start = start().map_err(|e| ErrorContext::whole(path).io("read", e))?;
        Ok(Content::of(&start) == Content::Archive)
    }

    /// Lists the files of an archive and of those nested in it; `None` if it is not an archive.
    pub fn all_in_archive(path: &Path) -> Result<Option<Vec<TextFile>>, SourceError> {
        if TextFile::is_archive(path)? {
            TextFile::new(path).all_within().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Lists the files of this archive and of those nested in it.
    pub fn all_within(&self) -> Result<Vec<TextFile>, SourceError> {
        let mut all = Vec::new();
        let mut archives = vec![self.clone()];
        while let Some(archive) = archives.pop() {
            for file in archive.files()? {
                if file.content() != Some(Content::Archive) {
                    all.push(file);
                } else if file.depth() < DEEPEST {
                    archives.push(file);
                } else {
                    return Err(file.place().unsupported(
                        "an archive within so many others",
                        "unpack the outermost one: tar xf",
                    ));
                }
            }
        }
        Ok(all)
    }

    /// Returns the file at a path, on disk or in an archive; `None` if there is none.
    pub fn at(path: &Path) -> Result<Option<TextFile>, SourceError> {
        if path.is_file() {
            Ok(Some(TextFile::new(path)))
        } else {
            Ok(TextFile::find_in_archive(path)?.map(|found| found.file))
        }
    }

    /// Returns the file in an archive that a path refers to: the path of the archive, followed by
    /// that in the archive. `None` if no part of the path is a file.
    ///
    /// # Errors
    /// If the archive does not contain this file.
    pub fn find_in_archive(path: &Path) -> Result<Option<Found>, SourceError> {
        let Some(archive) = archive_above(path) else {
            return Ok(None);
        };
        if !TextFile::is_archive(archive)? {
            return Ok(None);
        }
        let wanted = path.strip_prefix(archive).unwrap_or(path);
        let missing =
            || ErrorContext::whole(archive).damaged(format!("it has no file {}", wanted.display()));
        let mut archive = TextFile::new(archive);
        let mut rest = wanted;
        loop {
            let beside = archive.files()?;
            let own = |file: &TextFile| PathBuf::from(file.own_name());
            if let Some(file) = beside.iter().find(|file| own(file) == rest) {
                return Ok(Some(Found {
                    file: file.clone(),
                    beside,
                }));
            }
            let mut inner = beside.into_iter();
            let inner = inner.find(|file| {
                file.content() == Some(Content::Archive) && rest.starts_with(own(file))
            });
            let inner = inner.ok_or_else(missing)?;
            rest = rest.strip_prefix(own(&inner)).unwrap_or(rest);
            archive = inner;
        }
    }

    /// Lists the files of this archive, without those nested deeper.
    fn files(&self) -> Result<Vec<TextFile>, SourceError> {
        let members = match self.depth() {
            0 => members_of_file(self.path()).map_err(|e| self.place().io("read", e))?,
            _ => {
                let mut text = self.open()?;
                archive::members(&mut text, skip_by_reading)
                    .map_err(|e| self.place().io("read", e))?
            }
        };
        let files = members.into_iter().map(|member| self.member(member));
        Ok(files.collect())
    }
}

fn members_of_file(path: &Path) -> io::Result<Vec<Member>> {
    let mut file = open_regular(path)?;
    if is_gzip(&mut file)? {
        return archive::members(&mut super::gunzip::Gunzip::new(file), skip_by_reading);
    }
    let length = file.metadata()?.len();
    archive::members(&mut file, move |file, count| {
        let at = file.stream_position()?;
        if at.checked_add(count).is_none_or(|end| end > length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.seek(SeekFrom::Start(at + count)).map(|_| ())
    })
}
