//! Which format a file has, by its content.

use std::path::Path;

use super::only;
use crate::source::error::ErrorContext;
use crate::source::format::{Form, Format, InputFormat, Probe};
use crate::source::probed_path::{ProbedPath, content_of};
use crate::source::text::{Content, HDF5_SIGNATURE, TextFile};
use crate::source::{OpenOptions, SourceError};

/// Looks into an input and says which format it has.
///
/// # Errors
/// [`SourceError::Io`] for a missing or unreadable file, [`SourceError::UnknownFormat`] with what was
/// found instead; of a folder or an archive with several inputs, a refusal that lists them.
pub fn detect(path: &Path) -> Result<Format, SourceError> {
    let (_, format) = only(path, &OpenOptions::default())?;
    Ok(Format::named(format.name()))
}

/// The format of a file, or of a file in an archive.
pub(super) fn detect_file(
    path: &Path,
    options: &OpenOptions,
) -> Result<&'static dyn InputFormat, SourceError> {
    let site = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => ProbedPath::folder(path, options),
        Ok(_) => ProbedPath::file(path, content_of(path)?, options),
        Err(error) => match TextFile::find_in_archive(path)? {
            Some(found) => ProbedPath::member(path, found.file, options),
            None => return Err(ErrorContext::whole(path).io("open", error)),
        },
    };
    match options
        .formats
        .ask(&site, &[Form::File, Form::Files, Form::Folder])?
    {
        None | Some((_, Probe::No)) => Err(SourceError::UnknownFormat {
            path: path.to_path_buf(),
            found: what_it_is(&site, options)?,
        }),
        Some((_, Probe::Foreign { refusal, .. })) => Err(*refusal),
        Some((format, Probe::Yes | Probe::Beside(_) | Probe::Unlikely(_))) => Ok(format),
    }
}

/// What a file is that no format reads.
fn what_it_is(site: &ProbedPath<'_>, options: &OpenOptions) -> Result<String, SourceError> {
    if std::fs::metadata(site.path()).is_ok_and(|metadata| metadata.len() == 0) {
        return Ok("is empty".into());
    }
    let (start, compressed) = (site.start()?, site.is_compressed()?);
    Ok(if start.starts_with(b"version https://git-lfs") {
        "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull".into()
    } else if let Content::Packed(what) = Content::of(start) {
        format!("is {what}; unpack it first")
    } else if compressed && start.starts_with(&HDF5_SIGNATURE) {
        "is a gzip-compressed HDF5 file; unpack it first, with gunzip".into()
    } else if let Some(why) = options
        .formats
        .iter()
        .find_map(|format| format.why_not(site))
    {
        why
    } else if compressed {
        "is gzip-compressed, but what is in it is neither a Matrix Market file nor a tar archive"
            .into()
    } else {
        "is not an HDF5 file: its signature is missing; nor is it a Matrix Market file".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Formats;

    fn message(bytes: &[u8]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        match detect(file.path()) {
            Ok(format) => format.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn content_decides() {
        assert!(message(b"").contains("is empty"));
        assert!(message(b"version https://git-lfs.github.com/spec/v1\n").contains("git lfs pull"));
        assert!(message(b"hello").contains("not an HDF5 file"));
        assert!(message(b"PK\x03\x04").contains("zip archive"));
        assert_eq!(message(b" %%MatrixMarket matrix"), "10x-mtx");
        assert!(message(b"\x1f\x8b\x08").contains("cut short"));
        // That it is HDF5, only the library can deny.
        assert!(message(b"\x89HDF\r\n\x1a\nrest").contains("/"));
    }

    #[test]
    fn names_and_options_are_unambiguous() {
        let formats = Formats::default();
        for (number, format) in formats.iter().enumerate() {
            assert_eq!(
                formats.iter().position(|f| f.name() == format.name()),
                Some(number)
            );
        }
        let all = formats.iter().flat_map(|format| format.options());
        for option in all {
            let same = formats
                .options()
                .into_iter()
                .find(|o| o.name == option.name);
            assert_eq!(
                same,
                Some(*option),
                "formats that share an option share it whole"
            );
        }
    }
}
