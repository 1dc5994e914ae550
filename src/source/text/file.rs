//! A text file, wherever it is.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::archive::{self, Member};
use super::gunzip::{Gunzip, MAGIC};
use crate::source::SourceError;
use crate::source::error::Place;

/// A text file of the system, or one in an archive; plain or gzip-compressed.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    path: PathBuf,
    member: Option<Member>,
}

impl TextFile {
    /// A file of the system.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        TextFile {
            path: path.into(),
            member: None,
        }
    }

    /// A file in the archive `path`.
    pub fn in_archive(path: &Path, member: Member) -> Self {
        TextFile {
            path: path.to_path_buf(),
            member: Some(member),
        }
    }

    /// The file of the system: this one, or the archive.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path, or that in the archive.
    pub fn name(&self) -> String {
        match &self.member {
            Some(member) => member.name.clone(),
            None => {
                let name = self.path.file_name().unwrap_or(self.path.as_os_str());
                name.to_string_lossy().into_owned()
            }
        }
    }

    /// For messages about it as a whole.
    pub fn place(&self) -> Place {
        match &self.member {
            Some(member) => Place::new(&self.path, &member.name),
            None => Place::whole(&self.path),
        }
    }

    /// Its text from the beginning.
    pub fn open(&self) -> Result<Box<dyn Read + Send>, SourceError> {
        self.open_io().map_err(|e| self.place().io("read", e))
    }

    fn open_io(&self) -> io::Result<Box<dyn Read + Send>> {
        let mut file = File::open(&self.path)?;
        let Some(member) = &self.member else {
            return inflated(Box::new(file));
        };
        let bytes: Box<dyn Read + Send> = if is_gzip(&mut file)? {
            let mut archive = Gunzip::new(file);
            skip_by_reading(&mut archive, member.at)?;
            Box::new(Exactly::new(archive, member.bytes))
        } else {
            file.seek(SeekFrom::Start(member.at))?;
            Box::new(Exactly::new(file, member.bytes))
        };
        inflated(bytes)
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
        if self.member.is_some() {
            return Ok(None);
        }
        let mut file = File::open(&self.path).map_err(io)?;
        Ok((!is_gzip(&mut file).map_err(io)?).then_some(file))
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

fn is_gzip(file: &mut File) -> io::Result<bool> {
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

fn skip_by_reading<R: Read>(input: &mut R, count: u64) -> io::Result<()> {
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
        let mut file = File::open(path)?;
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

impl TextFile {
    /// Whether a file is a tar archive, compressed or not.
    pub fn is_archive(path: &Path) -> Result<bool, SourceError> {
        Ok(archive::is_header(&first_bytes(path, 512)?.0))
    }

    /// The files of the archive `path`; `None` where it is no archive.
    pub fn all_in_archive(path: &Path) -> Result<Option<Vec<TextFile>>, SourceError> {
        let (start, compressed) = first_bytes(path, 512)?;
        if !archive::is_header(&start) {
            return Ok(None);
        }
        let list = || -> io::Result<Vec<Member>> {
            let mut file = File::open(path)?;
            if compressed {
                archive::members(&mut Gunzip::new(file), skip_by_reading)
            } else {
                let length = file.metadata()?.len();
                archive::members(&mut file, move |file, count| {
                    let at = file.stream_position()?;
                    if at.checked_add(count).is_none_or(|end| end > length) {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    file.seek(SeekFrom::Start(at + count)).map(|_| ())
                })
            }
        };
        let members = list().map_err(|e| Place::whole(path).io("read", e))?;
        let files = members.into_iter();
        Ok(Some(
            files
                .map(|member| TextFile::in_archive(path, member))
                .collect(),
        ))
    }
}
