//! Formats: what a format of inputs must be able to do.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::format_options::OptionSpec;
use super::probed_path::{InputFile, ProbedPath};
use super::text::TextFile;
use super::{CellSource, OpenOptions, SourceError};

/// The name of a format, such as `h5ad`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Format(Cow<'static, str>);

impl Format {
    /// The format of this name.
    pub const fn named(name: &'static str) -> Self {
        Format(Cow::Borrowed(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Format {
    fn from(name: String) -> Self {
        Format(Cow::Owned(name))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a format calls its input on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// One file.
    File,
    /// Several files beside each other, such as a matrix and its lists.
    Files,
    /// A folder as a whole: what is in it is not looked at by others.
    Folder,
}

/// What a file or folder is to a format.
#[derive(Debug)]
#[non_exhaustive]
pub enum Probe {
    /// Nothing.
    No,
    /// Something that only this format may know, but that it does not read, as it is called: it refuses
    /// it in its words where nobody else reads it.
    Unlikely(String),
    /// Something that it reads where it is named, but that is none of the inputs of a folder, as it is
    /// called.
    Beside(String),
    /// Something that it knows and nobody can read: as it is called, and what is said where it is named.
    Foreign {
        /// Its name, such as `loom`.
        called: String,
        /// The error for an input that is named explicitly.
        refusal: Box<SourceError>,
    },
    /// An input.
    Yes,
}

/// The files of one folder, or of an archive with all its folders.
#[derive(Clone, Copy)]
pub struct Siblings<'a> {
    path: &'a Path,
    /// Those of an archive.
    members: Option<&'a [TextFile]>,
}

impl<'a> Siblings<'a> {
    pub(super) fn of_folder(path: &'a Path) -> Self {
        Siblings {
            path,
            members: None,
        }
    }

    pub(super) fn of_archive(path: &'a Path, members: &'a [TextFile]) -> Self {
        Siblings {
            path,
            members: Some(members),
        }
    }

    /// The folder, or the archive.
    pub fn path(&self) -> &'a Path {
        self.path
    }

    pub(super) fn members(&self) -> Option<&'a [TextFile]> {
        self.members
    }

    /// Whether they are in an archive.
    pub fn are_in_archive(&self) -> bool {
        self.members.is_some()
    }
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
    /// A note on a path.
    pub fn new(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        PassedOver {
            path: path.into(),
            reason: reason.into(),
        }
    }
}

/// What a format finds among files that are looked at together.
#[derive(Debug, Default)]
pub struct Among {
    /// Paths of the inputs.
    pub inputs: Vec<PathBuf>,
    /// What looks like an input, and is none.
    pub passed_over: Vec<PassedOver>,
    /// What all of them together are, if that is known and cannot be read: as it is called, and what is
    /// said where it is named.
    pub foreign: Option<(String, SourceError)>,
}

/// A format of inputs: what `slaf` knows of it is here.
///
/// A new format is a folder (or a file) with an implementation and a line in [`super::FORMATS`]; or, in a
/// program of one's own, in [`OpenOptions::formats`]. `examples/own_format.rs` has a small one.
pub trait InputFormat: Send + Sync {
    /// Its name, in lower case: of `--format`, and [`super::Description::format`] of its sources.
    fn name(&self) -> &'static str;

    /// What it is, for the help; nothing where the name says it.
    fn about(&self) -> &'static str {
        ""
    }

    /// What its inputs are on the disk.
    fn form(&self) -> Form {
        Form::File
    }

    /// How its inputs are called, for those who look in vain: `.h5ad`.
    fn looks_like(&self) -> &'static str;

    /// Whether the names of its inputs tell which of them are one sample more than once, as those that
    /// Cell Ranger gives (raw, filtered) do.
    fn names_tell(&self) -> bool {
        true
    }

    /// Options that only some formats have, this one among them.
    fn options(&self) -> &'static [&'static OptionSpec] {
        &[]
    }

    /// Looks at a file or folder and says what it is. Files in archives are shown, too: a format that
    /// cannot read them says no.
    ///
    /// # Errors
    /// Where it cannot be read at all.
    fn probe(&self, site: &ProbedPath<'_>) -> Result<Probe, SourceError>;

    /// Looks at files together, if its inputs are [`Form::Files`].
    ///
    /// # Errors
    /// Where they cannot be listed.
    fn among(&self, _files: Siblings<'_>) -> Result<Among, SourceError> {
        Ok(Among::default())
    }

    /// Why a file is no input, where that can be told better than by what its first bytes are.
    fn why_not(&self, _site: &ProbedPath<'_>) -> Option<String> {
        None
    }

    /// The files by which two inputs are known to be the same; none where that is not to be told.
    ///
    /// # Errors
    /// Where the input cannot be read.
    fn identity(&self, path: &Path) -> Result<Vec<InputFile>, SourceError> {
        match self.form() {
            Form::File => InputFile::at(path),
            Form::Files | Form::Folder => Ok(Vec::new()),
        }
    }

    /// Opens an input.
    ///
    /// # Errors
    /// What makes it unreadable.
    fn open(&self, path: &Path, options: &OpenOptions) -> Result<Box<dyn CellSource>, SourceError>;
}

impl fmt::Debug for dyn InputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The formats that are asked what an input is. The default is all of [`super::FORMATS`].
#[derive(Debug, Clone)]
pub struct Formats(pub(super) Vec<&'static dyn InputFormat>);

impl PartialEq for Formats {
    fn eq(&self, other: &Self) -> bool {
        let names = |formats: &Formats| -> Vec<&'static str> {
            formats.0.iter().map(|format| format.name()).collect()
        };
        names(self) == names(other)
    }
}

impl Formats {
    /// These and one more.
    pub fn with(mut self, format: &'static dyn InputFormat) -> Self {
        self.0.push(format);
        self
    }

    /// The formats, in the order in which they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn InputFormat> {
        self.0.iter().copied()
    }

    /// The format of a name.
    pub fn get(&self, name: &str) -> Option<&'static dyn InputFormat> {
        self.iter().find(|format| format.name() == name)
    }

    /// The options that formats have, each once.
    pub fn options(&self) -> Vec<&'static OptionSpec> {
        let mut options: Vec<&'static OptionSpec> = Vec::new();
        for option in self.iter().flat_map(|format| format.options()) {
            if options.iter().all(|known| known.name != option.name) {
                options.push(option);
            }
        }
        options
    }

    /// What those of some forms say of a file or folder: the best answer, and whose it is.
    pub(super) fn ask(
        &self,
        site: &ProbedPath<'_>,
        forms: &[Form],
    ) -> Result<Option<(&'static dyn InputFormat, Probe)>, SourceError> {
        let mut best: Option<(&'static dyn InputFormat, Probe)> = None;
        for format in self.iter().filter(|format| forms.contains(&format.form())) {
            let probe = format.probe(site)?;
            let better = best.as_ref().map_or(0, |(_, best)| best.rank());
            if probe.rank() > better {
                best = Some((format, probe));
            }
        }
        Ok(best)
    }
}

impl Probe {
    fn rank(&self) -> u8 {
        match self {
            Probe::No => 0,
            Probe::Unlikely(_) => 1,
            Probe::Beside(_) => 2,
            Probe::Foreign { .. } => 3,
            Probe::Yes => 4,
        }
    }
}
