//! Finds inputs in folders and their subfolders.

use std::path::{Path, PathBuf};

use super::archive::{self, is_hidden};
use super::{Candidate, Finds, Form, InputFormat, Probe};
use crate::source::error::ErrorContext;
use crate::source::format::Siblings;
use crate::source::probed_path::{ProbedPath, content_of};
use crate::source::text::{Content, TextFile};
use crate::source::{OpenOptions, SourceError};

/// Maximum depth of nested folders that are searched.
const DEEPEST: usize = 8;

/// Maximum number of files and folders to look at.
const MOST_LOOKED_AT: usize = 1_000_000;

/// File name extensions of archives that cannot be read.
const PACKED: [&str; 9] = [
    ".zip", ".7z", ".rar", ".bz2", ".tbz", ".xz", ".txz", ".zst", ".ar",
];

pub(super) struct Search<'a> {
    top: &'a Path,
    options: &'a OpenOptions,
    looked_at: usize,
    finds: Finds,
}

impl<'a> Search<'a> {
    /// Finds everything in a folder.
    pub fn of(top: &'a Path, options: &'a OpenOptions) -> Result<Finds, SourceError> {
        let mut search = Search {
            top,
            options,
            looked_at: 0,
            finds: Finds::default(),
        };
        search.folder(top, 0)?;
        Ok(search.finds)
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), SourceError> {
        let site = ProbedPath::folder(folder, self.options);
        let found = self.options.formats.ask(&site, &[Form::Folder])?;
        if !matches!(found, None | Some((_, Probe::No))) {
            // Nothing below an experiment is searched, and an array on its own is not an input.
            self.finds.add(found, folder.to_path_buf(), None);
            return Ok(());
        }
        if let Some(what) = store(folder) {
            self.finds.pass_over(folder, what);
            return Ok(());
        }
        let before = self.finds.candidates.len();
        let (files, folders) = self.listed(folder)?;
        for format in self.options.formats.iter() {
            let among = format.among(Siblings::of_folder(folder))?;
            self.finds.passed_over.extend(among.passed_over);
            if let Some((called, _)) = among.foreign {
                self.finds.pass_over(folder, called);
            }
            for path in among.inputs {
                self.take(path, format);
            }
        }
        let alone = self.finds.candidates.len() == before + 1;
        for file in files {
            self.file(file)?;
        }
        self.folders(folders, depth)?;
        // A folder with one matrix stands for it, unless it contains other inputs as well.
        if let [only] = &mut self.finds.candidates[before..]
            && alone
        {
            only.path = folder.to_path_buf();
        }
        Ok(())
    }

    fn folders(&mut self, folders: Vec<PathBuf>, depth: usize) -> Result<(), SourceError> {
        let is = |path: &PathBuf, name: &str| path.ends_with(name);
        let outs = folders.iter().any(|path| is(path, "outs"));
        let samples = folders.iter().find(|path| is(path, "per_sample_outs"));
        let mut multi = None;
        let mut of_samples = false;
        for below in &folders {
            if outs && below.to_string_lossy().ends_with("_CS") {
                let reason = "a working folder of Cell Ranger, whose results are in outs";
                self.finds.pass_over(below, reason);
                continue;
            }
            if depth >= DEEPEST {
                let reason = format!("it lies deeper than {DEEPEST} folders; name it itself");
                self.finds.pass_over(below, reason);
                continue;
            }
            let before = self.finds.candidates.len();
            self.folder(below, depth + 1)?;
            let found = before..self.finds.candidates.len();
            if is(below, "multi") {
                multi = Some(found);
            } else {
                of_samples |= Some(below) == samples && !found.is_empty();
            }
        }
        // Cell Ranger's counts for all samples of a run together.
        if let (Some(multi), true, Some(samples)) = (multi, of_samples, samples) {
            for candidate in self.finds.candidates.drain(multi) {
                self.finds.passed_over.push(super::PassedOver::new(
                    candidate.path,
                    format!(
                        "all cells of a run, whose samples are in {}",
                        samples.display()
                    ),
                ));
            }
        }
        Ok(())
    }

    fn take(&mut self, path: PathBuf, format: &'static dyn InputFormat) {
        self.finds.candidates.push(Candidate {
            path,
            format,
            archive: None,
        });
    }

    /// A file on its own.
    fn file(&mut self, file: PathBuf) -> Result<(), SourceError> {
        let content = match content_of(&file) {
            Ok(content) => content,
            Err(error) => {
                let reason = crate::failure::in_one_line(&error);
                self.finds.pass_over(file, reason);
                return Ok(());
            }
        };
        match content {
            Content::PackedHdf5 => self.finds.pass_over(
                file,
                "a gzip-compressed HDF5 file; unpack it to have it read: gunzip",
            ),
            Content::Archive => self.archive(&file)?,
            Content::Packed(what) if is_packed_by_name(&file) => self.finds.pass_over(
                file,
                format!("{what}, which is not looked into; unpack it to have what is in it"),
            ),
            Content::Hdf5 | Content::Packed(_) | Content::Other => {
                let site = ProbedPath::file(&file, content, self.options);
                let found = self.options.formats.ask(&site, &[Form::File])?;
                self.finds.add(found, file, None);
            }
        }
        Ok(())
    }

    fn archive(&mut self, file: &Path) -> Result<(), SourceError> {
        let Some(files) = TextFile::all_in_archive(file)? else {
            return Ok(());
        };
        let finds = match archive::finds_of(file, &files, self.options)? {
            Ok(finds) => finds,
            Err((called, _)) => {
                self.finds.pass_over(file, called);
                return Ok(());
            }
        };
        if finds.candidates.is_empty() && finds.passed_over.is_empty() {
            self.finds.pass_over(file, "an archive without a matrix");
        }
        self.finds.candidates.extend(finds.candidates);
        self.finds.passed_over.extend(finds.passed_over);
        Ok(())
    }

    /// Lists files and folders, sorted, without hidden ones.
    fn listed(&mut self, folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), SourceError> {
        let io = |e| ErrorContext::whole(folder).io("list", e);
        let (mut files, mut folders) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(folder).map_err(io)? {
            let path = entry.map_err(io)?.path();
            self.looked_at += 1;
            if self.looked_at > MOST_LOOKED_AT {
                return Err(ErrorContext::whole(self.top).unsupported(
                    format!("a folder of more than {MOST_LOOKED_AT} files"),
                    "name the inputs one by one",
                ));
            }
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if is_hidden(&name) {
                continue;
            }
            if path.is_dir() {
                if !leads_back(folder, &path) {
                    folders.push(path);
                }
            } else if path.is_file() {
                files.push(path);
            }
        }
        files.sort();
        folders.sort();
        Ok((files, folders))
    }
}

/// Whether a folder is a link to one that contains it.
fn leads_back(folder: &Path, below: &Path) -> bool {
    below.is_symlink()
        && match (folder.canonicalize(), below.canonicalize()) {
            (Ok(folder), Ok(below)) => folder.starts_with(below),
            _ => false,
        }
}

/// Returns what a folder is called if it is a dataset of another kind, which is not read.
fn store(folder: &Path) -> Option<&'static str> {
    let has = |name: &str| folder.join(name).exists();
    if has(".zgroup") || has(".zarray") || has("zarr.json") {
        return Some("a Zarr store, which is not read; write it as h5ad");
    }
    (has("_versions") && folder.extension().is_some_and(|e| e == "lance"))
        .then_some("a Lance table")
}

fn is_packed_by_name(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    PACKED.iter().any(|ending| name.ends_with(ending))
}
