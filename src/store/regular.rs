//! Files named by users: only regular files are opened, and lists are read up to a size limit.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use bytesize::ByteSize;
use rustix::fs::OFlags;

/// Opens a regular file for reading. A pipe would block until somebody writes, and a device may
/// have no end.
///
/// # Errors
/// Also if the path is not that of a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Check before opening, because opening a device may already have an effect.
    check(&std::fs::metadata(path)?)?;
    // If it has become a pipe in the meantime, opening it must not block.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// Also if the file is larger.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = open_regular(path)?;
    // The reported size may be wrong: files in /proc have size 0.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!(
            "it is larger than {}, the most that is read of such a file",
            ByteSize::b(most)
        )));
    }
    Ok(bytes)
}

/// Reads the text of a regular file of at most `most` bytes.
///
/// # Errors
/// Also if it is larger, or not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read_regular(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not valid UTF-8"))
}

fn check(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe (FIFO)"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {what}, not a regular file"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("list");
        std::fs::write(&file, "abc").unwrap();
        assert_eq!(read_text(&file, 3).unwrap(), "abc");
        assert!(read_text(&file, 2).unwrap_err().to_string().contains("2 B"));
        std::fs::write(&file, b"\xff").unwrap();
        assert!(read_text(&file, 3).is_err());
        let message = |path: &Path| open_regular(path).unwrap_err().to_string();
        assert!(message(folder.path()).contains("a folder"));
        assert!(message(Path::new("/dev/zero")).contains("a device"));
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            assert!(message(&pipe).contains("a pipe"));
        }
    }
}
