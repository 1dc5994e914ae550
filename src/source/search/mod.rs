//! Finds the inputs that a path contains, and what else is there.

mod archive;
mod copies;
mod folder;
mod samples;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::folder::Search;
use super::dataset_folder::{self, Dataset};
use super::error::Place;
use super::soma::Found;
use super::text::{Content, TextFile};
use super::{Format, OpenOptions, SourceError, format, soma};

/// Maximum number of inputs that a message lists.
const LISTED: usize = 20;

/// What a path contains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovered {
    /// The inputs, sorted by path; a matrix without a prefix comes first. The path of an input in
    /// an archive is that of the archive followed by its path in the archive.
    pub inputs: Vec<PathBuf>,
    /// Files that look like an input but are not, or that duplicate one.
    pub passed_over: Vec<PassedOver>,
}

/// Something that is not read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// Path of the file or folder.
    pub path: PathBuf,
    /// Why it is not read.
    pub reason: String,
}

impl PassedOver {
    fn new(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        PassedOver {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// Storage form of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Hdf5,
    /// A Matrix Market file, or a folder or archive that contains nothing but one.
    Mtx,
    Soma,
    Slaf,
}

/// An input, unless it turns out to duplicate another one.
#[derive(Debug, Clone)]
struct Candidate {
    path: PathBuf,
    form: Form,
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

    /// Returns each input once.
    fn discovered(mut self, root: &Path) -> Discovered {
        samples::keep_the_best(root, &mut self);
        copies::keep_one_of_each(root, &mut self);
        let mut inputs: Vec<PathBuf> = self.candidates.into_iter().map(|c| c.path).collect();
        inputs.sort_by(|a, b| rank(a).cmp(rank(b)));
        self.passed_over.sort_by(|a, b| a.path.cmp(&b.path));
        Discovered {
            inputs,
            passed_over: self.passed_over,
        }
    }
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
    let unknown = |found: String| SourceError::UnknownFormat {
        path: path.to_path_buf(),
        found,
    };
    if let Some(scheme) = path.to_str().and_then(soma::remote_scheme) {
        return Err(unknown(format!(
            "is not on this machine ({scheme}://…), and cannot be read from there yet; copy it here first"
        )));
    }
    let itself = || Discovered {
        inputs: vec![path.to_path_buf()],
        passed_over: Vec::new(),
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let Some(found) = TextFile::find_in_archive(path)? else {
                return Err(Place::whole(path).io("open", error));
            };
            if found.file.content() != Some(Content::Archive) {
                return Ok(itself());
            }
            let files = found.file.all_within()?;
            let finds = archive::finds_among(found.file.path(), files, options)?;
            return something(finds.discovered(found.file.path()), path, NO_MATRIX);
        }
    };
    if !metadata.is_dir() {
        let Some(files) = TextFile::all_in_archive(path)? else {
            return Ok(itself());
        };
        let finds = archive::finds_of(path, files, options)?;
        return something(finds.discovered(path), path, NO_MATRIX);
    }
    // If it is damaged, opening it reports the error.
    if dataset_folder::look(path) != Dataset::None {
        return Ok(itself());
    }
    if let Found::Other(what) = soma::look(path)? {
        return Err(unknown(format::alone(&what)));
    }
    let discovered = Search::of(path, options)?.discovered(path);
    something(
        discovered,
        path,
        "is a folder without anything that can be read: no .h5ad, no .h5, no SOMA experiment, no SLAF dataset and no .mtx with a list of cells (barcodes.tsv) of its own; name a matrix whose lists are elsewhere with --barcodes and --features",
    )
}

const NO_MATRIX: &str = "is an archive without anything that can be read: no .h5ad, no .h5 and no .mtx with a list of cells (barcodes.tsv) of its own";

/// Returns what was found, or an error if nothing was.
fn something(
    discovered: Discovered,
    path: &Path,
    nothing: &str,
) -> Result<Discovered, SourceError> {
    if !discovered.inputs.is_empty() {
        return Ok(discovered);
    }
    let mut found = nothing.to_string();
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

/// Error for several inputs where one is expected.
pub(super) fn several(path: &Path, inputs: &[PathBuf]) -> SourceError {
    let mut listed: Vec<String> = inputs
        .iter()
        .take(LISTED)
        .map(|input| input.display().to_string())
        .collect();
    if inputs.len() > LISTED {
        listed.push(format!("and {} more", inputs.len() - LISTED));
    }
    Place::whole(path).unsupported(
        format!("{} inputs at once", inputs.len()),
        format!("choose one: {}", listed.join(", ")),
    )
}

/// Returns the single input of a path, and its format.
pub(super) fn only(path: &Path, options: &OpenOptions) -> Result<(PathBuf, Format), SourceError> {
    let inputs = discover(path, options)?.inputs;
    match &inputs[..] {
        [input] => Ok((input.clone(), format::detect_one(input, options)?)),
        _ => Err(several(path, &inputs)),
    }
}
