//! Identifies which source of a dataset an input is: by path, then by content, then by name.

use std::path::{Path, PathBuf};

use super::VerifyError;
use crate::dataset::{Dataset, SourceNote};
use crate::source::{self, OpenOptions, OptionKind};
use crate::survey::Fingerprint;

/// An input to be compared.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KnownInput {
    /// Path of the input.
    pub path: PathBuf,
    /// Position among the dataset's sources.
    pub number: usize,
    /// How it was opened originally, with the current resources.
    pub open: OpenOptions,
}

/// Finds the sources of a dataset. Each is found only once.
pub struct KnownInputs<'a> {
    sources: &'a [SourceNote],
    /// Original paths of the sources.
    paths: Vec<PathBuf>,
    resources: OpenOptions,
    found: Vec<KnownInput>,
}

impl<'a> KnownInputs<'a> {
    /// Creates a search for the inputs of a dataset, which are read with these resources.
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

    /// Adds the sources that were in a folder or an archive, by their paths at conversion. Returns
    /// whether there were any.
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

    /// Options for searching a folder or an archive: those of the dataset's first input.
    pub fn discovery(&self, path: &Path) -> OpenOptions {
        if self.sources.is_empty() {
            self.resources.clone()
        } else {
            self.options(path, 0)
        }
    }

    /// Adds an input.
    ///
    /// # Errors
    /// [`VerifyError::UnknownInput`] if it is not one of the sources, or could be several of them.
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
                    // If it cannot be opened with these options, it is not this source.
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

    /// Returns all inputs, in the order in which they were added.
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

    /// Returns the options of a source; lists that no longer exist are searched for next to the
    /// input.
    fn options(&self, path: &Path, number: usize) -> OpenOptions {
        let mut open = self.sources[number].open.clone();
        open.memory = self.resources.memory;
        open.threads = self.resources.threads;
        open.scratch = self.resources.scratch.clone();
        for list in open.formats.options() {
            let named = match list.kind {
                OptionKind::File => open.own.file(list),
                _ => None,
            };
            let Some(name) = named
                .filter(|named| !named.exists())
                .and_then(Path::file_name)
            else {
                continue;
            };
            let beside = [path].into_iter().chain(path.parent());
            let mut beside = beside.map(|folder| folder.join(name));
            let found = beside.find(|list| list.exists());
            // A path that cannot be kept is as good as one that is gone.
            if let Some(found) = found.as_ref().and_then(|found| found.to_str()) {
                let _ = open.own.set(list, found);
            }
        }
        open
    }

    /// Returns the names of the sources, at most a few of them.
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
