//! Which source of a dataset an input is: by its path, by its content, and last by its name.

use std::path::{Path, PathBuf};

use super::VerifyError;
use crate::dataset::{Dataset, SourceNote};
use crate::source::{self, OpenOptions};
use crate::survey::Fingerprint;

/// An input that is to be compared.
#[derive(Debug, Clone)]
pub struct KnownInput {
    pub path: PathBuf,
    /// Which of the dataset's sources it is.
    pub number: usize,
    /// How it was opened, with resources of today.
    pub open: OpenOptions,
}

/// Finds the sources of a dataset again. Each is found once.
pub struct KnownInputs<'a> {
    sources: &'a [SourceNote],
    /// Where the sources were.
    paths: Vec<PathBuf>,
    resources: OpenOptions,
    found: Vec<KnownInput>,
}

impl<'a> KnownInputs<'a> {
    /// Inputs of a dataset, to be read with these resources.
    pub fn of(dataset: &'a Dataset, resources: OpenOptions) -> Self {
        let sources = &dataset.config().sources;
        KnownInputs {
            sources,
            paths: sources
                .iter()
                .map(|source| absolute(&source.path))
                .collect(),
            resources,
            found: Vec::new(),
        }
    }

    /// Adds the sources that were in a folder or an archive, by their paths when they were
    /// converted. Returns whether there were any.
    pub fn add_below(&mut self, path: &Path) -> bool {
        let before = self.found.len();
        let within = absolute(path);
        for (number, source) in self.sources.iter().enumerate() {
            if source.job.is_some()
                && self.is_free(number)
                && self.paths[number].starts_with(&within)
            {
                self.take(source.path.clone(), number);
            }
        }
        self.found.len() > before
    }

    /// How inputs are looked for in a folder or an archive: as the first of the dataset was read.
    pub fn discovery(&self, path: &Path) -> OpenOptions {
        match self.sources.is_empty() {
            true => self.resources.clone(),
            false => self.options(path, 0),
        }
    }

    /// Adds an input.
    ///
    /// # Errors
    /// [`VerifyError::UnknownInput`] where it is none of the sources, or may be several.
    pub fn add(&mut self, path: &Path) -> Result<(), VerifyError> {
        let free = (0..self.sources.len()).filter(|&number| self.is_free(number));
        let free: Vec<usize> = free.collect();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let named = |number: &usize| self.sources[*number].source_file == name;
        let by_content = || -> Option<usize> {
            let mut last: Option<(OpenOptions, Option<Fingerprint>)> = None;
            let mut best: Option<((bool, bool), usize)> = None;
            for &number in &free {
                let source = &self.sources[number];
                let open = self.options(path, number);
                if last.as_ref().is_none_or(|(known, _)| *known != open) {
                    // What cannot be opened like this is not this source.
                    let opened = source::open(path, &open);
                    let taken = opened.and_then(|source| Fingerprint::of(&*source));
                    last = Some((open, taken.ok()));
                }
                let Some((_, Some(found))) = &last else {
                    continue;
                };
                let known = &source.fingerprint;
                let same = found.cells == known.cells
                    && found.genes == known.genes
                    && found.entries == known.entries
                    && found.ids == known.ids;
                // Other values may have the same identifiers.
                let likeness = (found.bytes == known.bytes, named(&number));
                if same && best.is_none_or(|(before, _)| likeness > before) {
                    best = Some((likeness, number));
                }
            }
            best.map(|(_, number)| number)
        };
        let here = absolute(path);
        let by_path = free
            .iter()
            .copied()
            .find(|&number| self.paths[number] == here);
        let by_name = || match &free.iter().copied().filter(named).collect::<Vec<_>>()[..] {
            [number] => Some(*number),
            _ => None,
        };
        let only = || (self.sources.len() == 1 && !free.is_empty()).then_some(0);
        let number = by_path.or_else(by_content).or_else(by_name).or_else(only);
        match number {
            Some(number) => {
                self.take(path.to_path_buf(), number);
                Ok(())
            }
            None => Err(VerifyError::UnknownInput {
                path: path.to_path_buf(),
                known: self.names(),
            }),
        }
    }

    /// All inputs, in the order in which they were added.
    pub fn into_inputs(self) -> Vec<KnownInput> {
        self.found
    }

    fn is_free(&self, number: usize) -> bool {
        self.found.iter().all(|input| input.number != number)
    }

    fn take(&mut self, path: PathBuf, number: usize) {
        let open = self.options(&path, number);
        self.found.push(KnownInput { path, number, open });
    }

    /// How a source was opened; lists that were named and are gone are looked for beside the input.
    fn options(&self, path: &Path, number: usize) -> OpenOptions {
        let mut open = self.sources[number].open.clone();
        open.memory = self.resources.memory;
        open.threads = self.resources.threads;
        open.scratch = self.resources.scratch.clone();
        for list in [&mut open.barcodes, &mut open.features] {
            if let Some(named) = list
                && !named.exists()
                && let Some(name) = named.file_name()
            {
                let mut beside = [path].into_iter().chain(path.parent());
                if let Some(folder) = beside.find(|folder| folder.join(name).exists()) {
                    *named = folder.join(name);
                }
            }
        }
        open
    }

    /// The names of the sources, of which a few suffice.
    fn names(&self) -> String {
        const SHOWN: usize = 20;
        let names = self
            .sources
            .iter()
            .map(|source| source.source_file.as_str());
        let mut names: Vec<&str> = names.take(SHOWN).collect();
        if self.sources.len() > SHOWN {
            names.push("…");
        }
        names.join(", ")
    }
}

fn absolute(path: &Path) -> PathBuf {
    let resolved = path.canonicalize().or_else(|_| std::path::absolute(path));
    resolved.unwrap_or_else(|_| path.to_path_buf())
}
