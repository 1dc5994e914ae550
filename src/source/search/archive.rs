//! Finds inputs in archives.

use std::path::Path;

use super::{Candidate, Finds, Form};
use crate::source::format::Siblings;
use crate::source::probed_path::ProbedPath;
use crate::source::text::{Content, TextFile};
use crate::source::{OpenOptions, SourceError};

/// What is found in an archive; or what it is as a whole, if no format can read what is in it: as it is
/// called, and the refusal.
pub(super) type Found = Result<Finds, (String, SourceError)>;

/// Finds inputs among the files of an archive and of the archives in it.
pub(super) fn finds_among(
    archive: &Path,
    files: &[TextFile],
    options: &OpenOptions,
) -> Result<Found, SourceError> {
    let mut together = Vec::new();
    for format in options.formats.iter() {
        let among = format.among(Siblings::of_archive(archive, files))?;
        if let Some(foreign) = among.foreign {
            return Ok(Err(foreign));
        }
        together.push((format, among));
    }
    let mut finds = Finds::default();
    for file in files {
        let name = file.name();
        if name.split('/').any(is_hidden) {
            continue;
        }
        let path = archive.join(&name);
        match file.content() {
            Some(Content::Packed(what)) => finds.pass_over(
                path,
                format!("{what}, which is not looked into; unpack it to have what is in it"),
            ),
            Some(Content::Hdf5 | Content::PackedHdf5 | Content::Other) => {
                let site = ProbedPath::member(&path, file.clone(), options);
                let found = options.formats.ask(&site, &[Form::File])?;
                finds.add(found, path.clone(), Some(archive));
            }
            Some(Content::Archive) | None => {}
        }
    }
    for (format, among) in together {
        finds.passed_over.extend(among.passed_over);
        for path in among.inputs {
            finds.candidates.push(Candidate {
                path,
                format,
                archive: Some(archive.to_path_buf()),
            });
        }
    }
    Ok(Ok(finds))
}

/// Finds inputs in an archive. If it contains nothing but one matrix, the archive stands for it.
pub(super) fn finds_of(
    archive: &Path,
    files: &[TextFile],
    options: &OpenOptions,
) -> Result<Found, SourceError> {
    let mut found = finds_among(archive, files, options)?;
    if let Ok(finds) = &mut found
        && let [only] = &mut finds.candidates[..]
        && only.format.form() == Form::Files
    {
        only.path = archive.to_path_buf();
    }
    Ok(found)
}

/// Whether a file is not user data: it is hidden, or macOS created it.
pub(super) fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name == "__MACOSX"
}
