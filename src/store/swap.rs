//! Putting a finished folder in the place of another.

use std::fs;
use std::path::Path;

use super::{Named, StoreError, sync_folder};

/// Gives `new` the name of `old` and `old` the name of `new`. Both lie in the same folder.
///
/// On Linux this is one step of the file system: at every moment the name of `old` leads to a
/// whole folder. Where the system or the file system has no such step, the name is missing for
/// the time between two renames.
pub fn exchange_folders(old: &Path, new: &Path) -> Result<(), StoreError> {
    if !exchange_in_one_step(old, new) {
        // Short, as the name of `old` may be as long as a name can be.
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
