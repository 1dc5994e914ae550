//! A text file, wherever it is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::archive::Member;
use super::content::Content;
use super::gunzip::{Gunzip, MAGIC};
use crate::source::SourceError;
use crate::source::error::Place;
use crate::store::open_regular;

/// A text file of the system, or one in an archive, which may lie in another one; plain or
/// gzip-compressed.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    path: PathBuf,
    /// Where it is in the archive, and in the archives that are in it.
    members: Vec<Member>,
}

impl TextFile {
    /// A file of the system.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        TextFile {
            path: path.into(),
            members: Vec::new(),
        }
    }

    /// A file in this one, which is an archive.
    pub(super) fn member(&self, member: Member) -> Self {
        let mut members = self.members.clone();
        members.push(member);
        TextFile {
            path: self.path.clone(),
            members,
        }
    }

    /// The file of the system: this one, or the archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path, or that in the archive.
    pub fn name(&self) -> String {
        if self.members.is_empty() {
            let name = self.path.file_name().unwrap_or(self.path.as_os_str());
            return name.to_string_lossy().into_owned();
        }
        let names = self.members.iter().map(|member| member.name.as_str());
        names.collect::<Vec<_>>().join("/")
    }

    /// Its path in the innermost archive.
    pub(super) fn own_name(&self) -> &str {
        self.members.last().map_or("", |member| &member.name)
    }

    /// What it is, if it is in an archive.
    pub fn content(&self) -> Option<Content> {
        self.members.last().map(|member| member.content)
    }

    /// Where its bytes begin in the file of the system, or in what that is when it is inflated, and in
    /// each archive within; for telling files apart.
    pub fn positions(&self) -> Vec<u64> {
        self.members.iter().map(|member| member.at).collect()
    }

    /// How many archives it is in.
    pub(super) fn depth(&self) -> usize {
        self.members.len()
    }

    /// For messages about it as a whole.
    pub fn place(&self) -> Place {
        match self.members.is_empty() {
            false => Place::new(&self.path, self.name()),
            true => Place::whole(&self.path),
        }
    }

    /// Its text from the beginning.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, SourceError> {
        let text = self.stored().and_then(inflated);
        text.map_err(|e| self.place().io("read", e))
    }

    /// Its bytes as they are stored.
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

    /// The file itself, where its text can be read from any place.
    pub fn plain(&self) -> Result<Option<File>, SourceError> {
        let io = |e| self.place().io("read", e);
        if !self.members.is_empty() {
            return Ok(None);
        }
        let mut file = open_regular(&self.path).map_err(io)?;
        Ok((!is_gzip(&mut file).map_err(io)?).then_some(file))
    }

    /// The first bytes of its text, at most so many.
    pub fn start(&self, count: u64) -> Result<Vec<u8>, SourceError> {
        let mut start = Vec::new();
        let text = self.open()?;
        let read = text.take(count).read_to_end(&mut start);
        read.map_err(|e| self.place().io("read", e))?;
        Ok(start)
    }
}

/// A member of an archive, all of it or an error.
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

/// The text of a stream, inflated if it is compressed.
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

/// The first bytes of a file's text, at most `count`, inflated if it is compressed; and whether it is.
pub(crate) fn first_bytes(path: &Path, count: u64) -> Result<(Vec<u8>, bool), SourceError> {
    let read = || -> io::Result<(Vec<u8>, bool)> {
        let mut file = open_regular(path)?;
        let compressed = is_gzip(&mut file)?;
        let mut start = Vec::new();
        let mut text = inflated(Box::new(file))?.take(count);
        // Of a file that was cut short, what can be had.
        match text.read_to_end(&mut start) {
            Err(error) if start.is_empty() => Err(error),
            _ => Ok((start, compressed)),
        }
    };
    read().map_err(|e| Place::whole(path).io("read", e))
}
