//! Finds the inputs that a path contains, and what else is there.

mod archive;
mod copies;
mod detect;
mod folder;
mod samples;

use std::path::{Path, PathBuf};

pub use self::detect::detect;
use self::detect::detect_file;
use self::folder::Search;
use super::error::ErrorContext;
use super::format::{Form, InputFormat, PassedOver, Probe};
use super::probed_path::{ProbedPath, remote_scheme};
use super::text::{Content, TextFile};
use super::{OpenOptions, SourceError};
use crate::remedy::Setting;

/// What a message lists at most.
const LISTED: usize = 20;

/// What a path contains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discovered {
    /// The inputs, sorted by path; a matrix without a prefix comes first. The path of an input in
    /// an archive is that of the archive followed by its path in the archive.
    pub inputs: Vec<PathBuf>,
    /// Files that look like an input but are not, or that duplicate one.
    pub passed_over: Vec<PassedOver>,
}

/// An input, unless it turns out to duplicate another one.
#[derive(Debug, Clone)]
struct Candidate {
    path: PathBuf,
    format: &'static dyn InputFormat,
    /// The archive it is in, if any.
    archive: Option<PathBuf>,
}

/// What has been found so far.
#[derive(Debug, Default)]
struct Finds {
    candidates: Vec<Candidate>,
    passed_over: Vec<PassedOver>,
}

impl Finds {
    fn pass_over(&mut self, path: impl Into<PathBuf>, reason: impl Into<String>) {
        self.passed_over.push(PassedOver::new(path, reason));
    }

    /// Takes what a format says is an input, and passes over what it says is none.
    fn add(
        &mut self,
        found: Option<(&'static dyn InputFormat, Probe)>,
        path: PathBuf,
        archive: Option<&Path>,
    ) {
        match found {
            Some((format, Probe::Yes)) => self.candidates.push(Candidate {
                path,
                format,
                archive: archive.map(Path::to_path_buf),
            }),
            Some((
                _,
                Probe::Unlikely(called) | Probe::Beside(called) | Probe::Foreign { called, .. },
            )) => self.pass_over(path, called),
            Some((_, Probe::No)) | None => {}
        }
    }

    /// Returns each input once.
    fn looked(mut self, root: &Path) -> Looked {
        samples::keep_the_best(root, &mut self);
        copies::keep_one_of_each(root, &mut self);
        let inputs = self.candidates.into_iter();
        let mut inputs: Vec<_> = inputs.map(|c| (c.path, Some(c.format))).collect();
        inputs.sort_by(|(a, _), (b, _)| rank(a).cmp(rank(b)));
        self.passed_over.sort_by(|a, b| a.path.cmp(&b.path));
        Looked {
            inputs,
            passed_over: self.passed_over,
        }
    }
}

/// What a path holds, and in which formats, as far as that was seen.
struct Looked {
    inputs: Vec<(PathBuf, Option<&'static dyn InputFormat>)>,
    passed_over: Vec<PassedOver>,
}

/// Sort key of inputs: the matrix without a prefix comes before those with one.
fn rank(path: &Path) -> &Path {
    match path.file_name().and_then(|name| name.to_str()) {
        Some("matrix.mtx" | "matrix.mtx.gz") => path.parent().unwrap_or(path),
        _ => path,
    }
}

/// Returns the inputs that a path contains; see [`discover`].
///
/// # Errors
/// Same as [`discover`].
pub fn inputs_of(path: &Path) -> Result<Vec<PathBuf>, SourceError> {
    Ok(discover(path, &OpenOptions::default())?.inputs)
}

/// Returns the inputs that a path contains, and what is skipped.
///
/// A file stands for itself, whatever it contains, unless it is an archive. So does a folder with a
/// single Matrix Market file and its barcodes and features. Other folders and archives are searched
/// for matrices with their own barcodes and features (with prefixes, as in `GSM1_matrix.mtx.gz`),
/// for HDF5 files that can be read, for SOMA experiments, SLAF datasets and archives.
///
/// Duplicates count as one input: of the raw and the filtered matrix of a sample, the filtered one
/// is used; of an HDF5 file and a folder of the same name, the file; and of something inside and
/// outside an archive, the one outside.
///
/// # Errors
/// [`SourceError::Io`] for paths that are missing or cannot be listed,
/// [`SourceError::UnknownFormat`] for a folder or archive without any input, and any error that
/// makes an archive or an HDF5 file unreadable.
pub fn discover(path: &Path, options: &OpenOptions) -> Result<Discovered, SourceError> {
    let Looked {
        inputs,
        passed_over,
    } = look(path, options)?;
    Ok(Discovered {
        inputs: inputs.into_iter().map(|(path, _)| path).collect(),
        passed_over,
    })
}

fn look(path: &Path, options: &OpenOptions) -> Result<Looked, SourceError> {
    let unknown = |found: String| SourceError::UnknownFormat {
        path: path.to_path_buf(),
        found,
    };
    if let Some(scheme) = path.to_str().and_then(remote_scheme) {
        return Err(unknown(format!(
            "is not on this machine ({scheme}://…), and cannot be read from there yet; copy it here first"
        )));
    }
    let itself = || Looked {
        inputs: vec![(path.to_path_buf(), None)],
        passed_over: Vec::new(),
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let Some(found) = TextFile::find_in_archive(path)? else {
                return Err(ErrorContext::whole(path).io("open", error));
            };
            if found.file.content() != Some(Content::Archive) {
                return Ok(itself());
            }
            let files = found.file.all_within()?;
            let finds = archive::finds_among(found.file.path(), &files, options)?;
            let finds = finds.map_err(|(_, refusal)| refusal)?;
            let looked = finds.looked(found.file.path());
            return something(looked, path, || nothing_in_archive(options));
        }
    };
    if !metadata.is_dir() {
        let Some(files) = TextFile::all_in_archive(path)? else {
            return Ok(itself());
        };
        let finds = archive::finds_of(path, &files, options)?;
        let finds = finds.map_err(|(_, refusal)| refusal)?;
        return something(finds.looked(path), path, || nothing_in_archive(options));
    }
    let site = ProbedPath::folder(path, options);
    match options.formats.ask(&site, &[Form::Folder])? {
        Some((_, Probe::Foreign { refusal, .. })) => return Err(*refusal),
        Some((format, Probe::Yes | Probe::Beside(_) | Probe::Unlikely(_))) => {
            return Ok(Looked {
                inputs: vec![(path.to_path_buf(), Some(format))],
                passed_over: Vec::new(),
            });
        }
        Some((_, Probe::No)) | None => {}
    }
    let looked = Search::of(path, options)?.looked(path);
    something(looked, path, || {
        format!(
            "is a folder without anything that can be read: {}; name a matrix whose lists are elsewhere with {} and {}",
            none_of(options, &[Form::File, Form::Folder, Form::Files]),
            Setting::any("barcodes"),
            Setting::any("features")
        )
    })
}

fn nothing_in_archive(options: &OpenOptions) -> String {
    let none = none_of(options, &[Form::File, Form::Files]);
    format!("is an archive without anything that can be read: {none}")
}

/// What was looked for, form by form: `no .h5ad, no .h5 and no .mtx`.
fn none_of(options: &OpenOptions, forms: &[Form]) -> String {
    let of = |form: &Form| {
        let form = *form;
        let formats = options.formats.iter();
        formats.filter(move |format| format.form() == form)
    };
    let all = forms.iter().flat_map(of);
    let all: Vec<String> = all
        .map(|format| format!("no {}", format.looks_like()))
        .collect();
    match &all[..] {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        _ => all.concat(),
    }
}

/// Returns what was found, or an error if nothing was.
fn something(
    discovered: Looked,
    path: &Path,
    nothing: impl FnOnce() -> String,
) -> Result<Looked, SourceError> {
    if !discovered.inputs.is_empty() {
        return Ok(discovered);
    }
    let mut found = nothing();
    let passed_over = &discovered.passed_over;
    for PassedOver { path, reason } in passed_over.iter().take(LISTED) {
        found += &format!("; {} is passed over: {reason}", path.display());
    }
    if passed_over.len() > LISTED {
        found += &format!("; and {} more", passed_over.len() - LISTED);
    }
    Err(SourceError::UnknownFormat {
        path: path.to_path_buf(),
        found,
    })
}

/// Returns the single input of a path, and its format.
pub(super) fn only(
    path: &Path,
    options: &OpenOptions,
) -> Result<(PathBuf, &'static dyn InputFormat), SourceError> {
    let mut inputs = look(path, options)?.inputs;
    match (inputs.pop(), &inputs[..]) {
        (Some((input, Some(format))), []) => Ok((input, format)),
        (Some((input, None)), []) => {
            let format = detect_file(&input, options)?;
            Ok((input, format))
        }
        (last, _) => {
            let all: Vec<PathBuf> = inputs
                .into_iter()
                .chain(last)
                .map(|(path, _)| path)
                .collect();
            Err(SourceError::several(path, &all))
        }
    }
}
