//! Manifests of a table: one file per version.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::TableError;
use crate::store::Named;

/// Length of the footer: an offset, two version numbers, and a magic word.
const FOOTER: u64 = 16;
const MAGIC: &[u8] = b"LANC";

/// Temporary files of killed commits are named `.tmp_…` or, with a number, `….manifest#1`.
pub(super) fn is_manifest(name: &str) -> bool {
    name.ends_with(".manifest") && !name.starts_with('.')
}

/// Returns the version that a manifest's name encodes: 20-digit names count down, so that the
/// newest version sorts first.
pub(super) fn version_of(name: &str) -> Option<u64> {
    let number = name
        .strip_suffix(".manifest")
        .filter(|_| is_manifest(name))?;
    let number_of_name = number.parse::<u64>().ok()?;
    Some(match number.len() {
        20 => u64::MAX - number_of_name,
        _ => number_of_name,
    })
}

/// Returns the manifest of a version, or of the newest, among those of a table.
pub(super) fn of_version(manifests: &[PathBuf], version: Option<u64>) -> Option<&PathBuf> {
    let mut numbered = manifests.iter().filter_map(|path| {
        let name = path.file_name()?.to_str()?;
        Some((version_of(name)?, path))
    });
    let found = match version {
        Some(version) => numbered.find(|(number, _)| *number == version),
        None => numbered.max_by_key(|(number, _)| *number),
    };
    found.map(|(_, path)| path)
}

/// Checks a manifest before Lance trusts the lengths in it.
///
/// # Errors
/// [`TableError::Damaged`] if they contradict the size of the file.
pub(super) fn check(path: &Path) -> Result<(), TableError> {
    let damaged = |problem: &str| TableError::Damaged {
        path: path.to_path_buf(),
        problem: problem.into(),
    };
    let mut file = File::open(path).named("open", path)?;
    let length = file.metadata().named("open", path)?.len();
    if length < FOOTER + 4 {
        return Err(damaged("it is too short"));
    }
    let mut footer = [0; FOOTER as usize];
    file.seek(SeekFrom::Start(length - FOOTER))
        .and_then(|_| file.read_exact(&mut footer))
        .named("read", path)?;
    let (position, rest) = footer.split_at(8);
    if !rest.ends_with(MAGIC) {
        return Err(damaged("it does not end as a manifest does"));
    }
    let position = u64::from_le_bytes(position.try_into().unwrap_or_default());
    let inner = (length - FOOTER).checked_sub(position);
    let Some(expected) = inner.and_then(|inner| inner.checked_sub(4)) else {
        return Err(damaged("it says that it begins after its end"));
    };
    let mut found = [0; 4];
    file.seek(SeekFrom::Start(position))
        .and_then(|_| file.read_exact(&mut found))
        .named("read", path)?;
    if u64::from(u32::from_le_bytes(found)) == expected {
        Ok(())
    } else {
        Err(damaged("its length is not the one that it tells"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_by_names() {
        assert_eq!(version_of("18446744073709551614.manifest"), Some(1));
        assert_eq!(version_of("7.manifest"), Some(7));
        assert_eq!(version_of(".tmp_7.manifest"), None);
        assert_eq!(version_of("latest_version_hint.json"), None);
    }

    #[test]
    fn the_newest_has_the_largest_number() {
        let names = [
            "18446744073709551614",
            "18446744073709551613",
            "18446744073709551612",
        ];
        let paths: Vec<PathBuf> = names
            .iter()
            .map(|n| format!("v/{n}.manifest").into())
            .collect();
        assert_eq!(of_version(&paths, None), Some(&paths[2]));
        assert_eq!(of_version(&paths, Some(2)), Some(&paths[1]));
        assert_eq!(of_version(&paths, Some(4)), None);
    }

    #[test]
    fn lengths_are_compared_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("3.manifest");
        let whole = |position: u64, length: u32| {
            let mut bytes = vec![1, 2, 3];
            bytes.extend(length.to_le_bytes());
            bytes.extend([9; 5]);
            bytes.extend(position.to_le_bytes());
            bytes.extend([0, 0, 2, 0]);
            bytes.extend(MAGIC);
            bytes
        };
        let result = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            check(&path)
        };
        assert!(result(&whole(3, 5)).is_ok());
        for (position, length) in [(3, 6), (3, u32::MAX), (4, 5), (10, 5), (u64::MAX, 5)] {
            assert!(
                result(&whole(position, length)).is_err(),
                "{position} {length}"
            );
        }
        assert!(result(&whole(3, 5)[..20]).is_err());
        assert!(result(b"LANC").is_err());
    }
}
