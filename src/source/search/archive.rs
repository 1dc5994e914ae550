//! Finds inputs in archives.

use std::path::Path;

use super::{Candidate, Finds, Form};
use crate::source::format::{Among, look_into_hdf5};
use crate::source::text::{Content, TextFile};
use crate::source::{OpenOptions, SourceError, tenx_mtx};

/// Files and folders that TileDB writes into every array and group.
const TILEDB: [&str; 4] = [
    "__tiledb_group.tdb",
    "__schema",
    "__commits",
    "__array_schema.tdb",
];

/// Finds inputs among the files of an archive and of the archives in it.
pub(super) fn finds_among(
    archive: &Path,
    files: Vec<TextFile>,
    options: &OpenOptions,
) -> Result<Finds, SourceError> {
    if holds_tiledb(&files) {
        return Err(SourceError::UnknownFormat {
            path: archive.to_path_buf(),
            found: "is an archive of a TileDB-SOMA experiment or array; unpack it first (tar xf) and name the folder".into(),
        });
    }
    let mut finds = Finds::default();
    for file in &files {
        let name = file.name();
        if name.split('/').any(is_hidden) {
            continue;
        }
        let path = archive.join(&name);
        match file.content() {
            Some(Content::Hdf5 | Content::PackedHdf5) => match look_into_hdf5(&path, options)? {
                Among::Input => finds.candidates.push(Candidate {
                    path,
                    form: Form::Hdf5,
                    archive: Some(archive.to_path_buf()),
                }),
                Among::Foreign(what) => finds.pass_over(path, what),
            },
            Some(Content::Packed(what)) => finds.pass_over(
                path,
                format!("{what}, which is not looked into; unpack it to have what is in it"),
            ),
            Some(Content::Archive | Content::Other) | None => {}
        }
    }
    let matrices = tenx_mtx::matrices_in_archive(archive, files)?;
    finds.passed_over.extend(matrices.passed_over);
    for path in matrices.taken {
        finds.candidates.push(Candidate {
            path,
            form: Form::Mtx,
            archive: Some(archive.to_path_buf()),
        });
    }
    Ok(finds)
}

/// Finds inputs in an archive. If it contains nothing but one matrix, the archive stands for it.
pub(super) fn finds_of(
    archive: &Path,
    files: Vec<TextFile>,
    options: &OpenOptions,
) -> Result<Finds, SourceError> {
    let mut finds = finds_among(archive, files, options)?;
    if let [only] = &mut finds.candidates[..]
        && only.form == Form::Mtx
    {
        only.path = archive.to_path_buf();
    }
    Ok(finds)
}

/// Whether files belong to TileDB, which has many of them; they are only read from a folder.
pub(super) fn holds_tiledb(files: &[TextFile]) -> bool {
    files.iter().any(|file| {
        let name = file.name();
        name.split('/').any(|part| TILEDB.contains(&part))
    })
}

/// Whether a file is not user data: it is hidden, or macOS created it.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}
