//! Replacing one folder with another.

use std::fs;
use std::path::Path;

use super::{Named, StoreError, sync_folder};

/// Exchanges the names of `old` and `new`, which must be in the same folder.
///
/// On Linux, this is a single operation of the file system: the name of `old` refers to a complete
/// folder at all times. If the system or the file system does not support this, the name is missing
/// briefly between two renames.
///
/// # Errors
/// If a folder cannot be renamed.
pub fn exchange_folders(old: &Path, new: &Path) -> Result<(), StoreError> {
    if !exchange_in_one_step(old, new) {
        // Short, since the name of `old` may already have the maximum length.
        let aside = old.with_file_name(format!(".{}.slaf-aside", std::process::id()));
        fs::rename(old, &aside).named("move aside", old)?;
        fs::rename(new, old).named("move into place", new)?;
        fs::rename(&aside, new).named("move", &aside)?;
    }
    match old.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

#[cfg(target_os = "linux")]
fn exchange_in_one_step(old: &Path, new: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, old, CWD, new, RenameFlags::EXCHANGE).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn exchange_in_one_step(_old: &Path, _new: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exchanges_two_folders() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("a"), folder.path().join("b"));
        fs::create_dir(&old).unwrap();
        fs::create_dir(&new).unwrap();
        fs::write(new.join("x"), b"new").unwrap();
        exchange_folders(&old, &new).unwrap();
        assert_eq!(fs::read(old.join("x")).unwrap(), b"new");
        assert!(!new.join("x").exists());
    }
}
