//! Durable writes: the data is on disk when the functions return.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Named, StoreError};

/// Creates a folder and its parents durably. An existing folder is left unchanged.
///
/// # Errors
/// If a folder cannot be created or synced.
pub fn create_folder(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).named("create the folder", path)?;
    sync_folder(&parent(path))
}

/// Replaces a file atomically: readers see either the old or the new contents, never a mixture,
/// even after a crash.
///
/// # Errors
/// If the file cannot be written, renamed or synced.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    replace_file_with(path, |file| file.write_all(bytes))
}

/// Like [`replace_file`], with contents that `write` writes in pieces of any size.
///
/// # Errors
/// As [`replace_file`], and any error of `write`.
pub fn replace_file_with(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), StoreError> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|file| {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.into_inner()?.sync_all()
    });
    if let Err(error) = written {
        // Report the error of the write, not one of removing the leftover file.
        let _ = fs::remove_file(&temporary);
        return Err(StoreError::from_io("write", path, error));
    }
    fs::rename(&temporary, path).named("replace", path)?;
    sync_folder(&parent(path))
}

/// Makes the contents of a finished file durable.
///
/// # Errors
/// If the file cannot be opened or synced.
pub fn sync_file(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .named("sync", path)
}

/// Makes the entries of a folder durable.
///
/// # Errors
/// If the folder cannot be opened or synced.
pub fn sync_folder(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .named("sync", path)
}

/// Removes a file if it exists.
///
/// # Errors
/// If the file exists but cannot be removed.
pub fn remove_file(path: &Path) -> Result<(), StoreError> {
    ignore_missing(fs::remove_file(path)).named("remove", path)
}

/// Removes a folder and its contents if it exists.
///
/// # Errors
/// If the folder exists but cannot be removed.
pub fn remove_folder(path: &Path) -> Result<(), StoreError> {
    ignore_missing(fs::remove_dir_all(path)).named("remove", path)?;
    sync_folder(&parent(path))
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_files_and_leaves_nothing_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        replace_file(&path, b"one").unwrap();
        replace_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_the_path_that_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("config.json");
        let message = replace_file(&path, b"x").unwrap_err().to_string();
        assert!(message.contains("missing"), "{message}");
    }

    #[test]
    fn removing_what_is_not_there_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        remove_file(&folder.path().join("nothing")).unwrap();
        remove_folder(&folder.path().join("nothing")).unwrap();
    }
}
