//! The data files of a table, as far as a look at the folder tells.

use std::path::{Path, PathBuf};

use lance::Dataset;
use lance_table::format::DataFile;

/// A data file that is not there, or not in its length.
#[derive(Debug)]
pub(crate) enum MissingFile {
    Missing(std::io::Error),
    /// Bytes that it should have, and has.
    Length(u64, u64),
}

/// Looks at each data file that lies in the folder of a table, which none of it is read for.
pub(crate) fn look_at_files<'a>(
    table: &'a Dataset,
    folder: &'a Path,
) -> impl Iterator<Item = (PathBuf, &'a DataFile, Option<MissingFile>)> {
    let files = table
        .fragments()
        .iter()
        .flat_map(|fragment| &fragment.files);
    // Others lie somewhere else.
    let files = files.filter(|file| file.base_id.is_none());
    files.map(|file| {
        let path = folder.join("data").join(&file.path);
        let absence = match (std::fs::metadata(&path), file.file_size_bytes.get()) {
            (Err(error), _) => Some(MissingFile::Missing(error)),
            (Ok(found), Some(expected)) if found.len() != u64::from(expected) => {
                Some(MissingFile::Length(expected.into(), found.len()))
            }
            _ => None,
        };
        (path, file, absence)
    })
}
