//! A text file on disk or in an archive.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::archive::Member;
use super::content::Content;
use super::gunzip::{Gunzip, MAGIC};
use crate::source::SourceError;
use crate::source::error::ErrorContext;
use crate::store::open_regular;

/// A text file on disk or in an archive, which may be nested; plain or gzip-compressed.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    path: PathBuf,
    /// Its location in the archive, and in archives nested within it.
    members: Vec<Member>,
}

impl TextFile {
    /// Creates a file on disk.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        TextFile {
            path: path.into(),
            members: Vec::new(),
        }
    }

    /// Returns a file in this one, which must be an archive.
    pub(super) fn member(&self, member: Member) -> Self {
        let mut members = self.members.clone();
        members.push(member);
        TextFile {
            path: self.path.clone(),
            members,
        }
    }

    /// Path of the file on disk: the file itself, or its archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Name of the file, or its path in the archive.
    pub fn name(&self) -> String {
        if self.members.is_empty() {
            let name = self.path.file_name().unwrap_or(self.path.as_os_str());
            return name.to_string_lossy().into_owned();
        }
        let names = self.members.iter().map(|member| member.name.as_str());
        names.collect::<Vec<_>>().join("/")
    }

    /// Path in the innermost archive.
    pub(super) fn own_name(&self) -> &str {
        self.members.last().map_or("", |member| &member.name)
    }

    /// What the file is, if it is in an archive.
    pub fn content(&self) -> Option<Content> {
        self.members.last().map(|member| member.content)
    }

    /// Offset of its content in the (decompressed) file on disk, and in each nested archive;
    /// identifies the file.
    pub fn positions(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.at).collect()
    }

    /// Number of archives it is nested in.
    pub(super) fn depth(&self) -> usize {
        self.members.len()
    }

    /// Returns the context for errors about the file as a whole.
    pub fn place(&self) -> ErrorContext {
        if !self.members.is_empty() {
            ErrorContext::new(&self.path, self.name())
        } else {
            ErrorContext::whole(&self.path)
        }
    }

    /// Opens its text at the beginning.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, SourceError> {
        let text = self.stored().and_then(inflated);
        text.map_err(|e| self.place().io("read", e))
    }

    /// Opens its bytes as stored.
    fn stored(&self) -> io::Result<Box<dyn Read + Send>> {
        let mut file = open_regular(&self.path)?;
        let Some((first, others)) = self.members.split_first() else {
            return Ok(Box::new(file));
        };
        let mut bytes: Box<dyn Read + Send> = if is_gzip(&mut file)? {
            let mut archive = Gunzip::new(file);
            skip_by_reading(&mut archive, first.at)?;
            Box::new(Exactly::new(archive, first.bytes))
        } else {
            file.seek(SeekFrom::Start(first.at))?;
            Box::new(Exactly::new(file, first.bytes))
        };
        for member in others {
            let mut archive = inflated(bytes)?;
            skip_by_reading(&mut archive, member.at)?;
            bytes = Box::new(Exactly::new(archive, member.bytes));
        }
        Ok(bytes)
    }

    /// Whether another file has the same text.
    pub fn has_text_of(&self, other: &TextFile) -> Result<bool, SourceError> {
        const BLOCK: u64 = 64 << 10;
        let (mut one, mut another) = (self.open()?, other.open()?);
        let (mut left, mut right) = (Vec::new(), Vec::new());
        loop {
            for (input, block, file) in [
                (&mut one, &mut left, self),
                (&mut another, &mut right, other),
            ] {
                block.clear();
                let read = input.take(BLOCK).read_to_end(block);
                read.map_err(|e| file.place().io("read", e))?;
            }
            if left != right || left.is_empty() {
                return Ok(left == right);
            }
        }
    }

    /// Returns the file itself if its text can be read at any position.
    pub fn plain(&self) -> Result<Option<File>, SourceError> {
        let io = |e| self.place().io("read", e);
        if !self.members.is_empty() {
            return Ok(None);
        }
        let mut file = open_regular(&self.path).map_err(io)?;
        Ok((!is_gzip(&mut file).map_err(io)?).then_some(file))
    }

    /// Reads up to `count` bytes from the beginning of its text.
    pub fn start(&self, count: u64) -> Result<Vec<u8>, SourceError> {
        let mut start = Vec::new();
        let text = self.open()?;
        let read = text.take(count).read_to_end(&mut start);
        read.map_err(|e| self.place().io("read", e))?;
        Ok(start)
    }
}

/// Reads exactly one member of an archive, or fails.
struct Exactly<R> {
    input: io::Take<R>,
}

impl<R: Read> Exactly<R> {
    fn new(input: R, bytes: u64) -> Self {
        Exactly {
            input: input.take(bytes),
        }
    }
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(out)?;
        if read == 0 && !out.is_empty() && self.input.limit() > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(read)
    }
}

pub(super) fn is_gzip(file: &mut File) -> io::Result<bool> {
    let mut start = Vec::new();
    file.rewind()?;
    file.by_ref().take(2).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == MAGIC)
}

/// Decompresses a stream if it is compressed.
fn inflated(mut bytes: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
    let mut start = Vec::new();
    bytes.by_ref().take(2).read_to_end(&mut start)?;
    let compressed = start == MAGIC;
    let bytes = io::Cursor::new(start).chain(bytes);
    Ok(if compressed {
        Box::new(Gunzip::new(bytes))
    } else {
        Box::new(bytes)
    })
}

pub(super) fn skip_by_reading<R: Read>(input: &mut R, count: u64) -> io::Result<()> {
    let skipped = io::copy(&mut input.take(count), &mut io::sink())?;
    if skipped == count {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Returns up to `count` bytes from the beginning of a file's text, decompressed if necessary, and
/// whether it is compressed.
pub(crate) fn first_bytes(path: &Path, count: u64) -> Result<(Vec<u8>, bool), SourceError> {
    let read = || -> io::Result<(Vec<u8>, bool)> {
        let mut file = open_regular(path)?;
        let compressed = is_gzip(&mut file)?;
        let mut start = Vec::new();
        let mut text = inflated(Box::new(file))?.take(count);
        // If the file is truncated, return what is there.
        match text.read_to_end(&mut start) {
            Err(error) if start.is_empty() => Err(error),
            _ => Ok((start, compressed)),
        }
    };
    read().map_err(|e| ErrorContext::whole(path).io("read", e))
}
