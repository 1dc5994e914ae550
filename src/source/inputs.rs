//! Several inputs, of which only a few are open at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::{CellSource, OpenOptions, SourceError, open};

/// Inputs that are open at once, at most. A file is opened again when it is needed again.
const MOST_OPEN: usize = 4;

/// The inputs of a job, by number.
pub struct Inputs {
    inputs: Vec<Input>,
    /// The inputs that are open, the latest last.
    open: Mutex<Vec<(usize, Arc<dyn CellSource>)>>,
    kept: Mutex<BTreeMap<usize, Arc<dyn CellSource>>>,
    /// Those whose entries are known to be unsorted: however often they are opened.
    unsorted: Mutex<BTreeSet<usize>>,
}

enum Input {
    /// A path, and what its first opening told.
    Path(PathBuf, OpenOptions, OnceLock<Known>),
    /// One that the caller opened, and that stays open.
    Open(Arc<dyn CellSource>),
}

/// What need not be found out again about an input.
struct Known {
    /// How it is opened again: in the format that was found.
    options: OpenOptions,
    files: Vec<PathBuf>,
}

impl Known {
    fn of(path: &Path, options: &OpenOptions, source: &dyn CellSource) -> Self {
        let mut options = options.clone();
        // Of a folder, the one input in it must be found again.
        if path.is_file() {
            options.format = Some(source.description().format);
        }
        Known {
            options,
            files: source.files(),
        }
    }
}

impl Inputs {
    /// Inputs that are opened when they are needed, each with its options.
    pub fn of_paths(paths: impl IntoIterator<Item = (PathBuf, OpenOptions)>) -> Self {
        let paths = paths.into_iter();
        Self::of(
            paths
                .map(|(path, options)| Input::Path(path, options, OnceLock::new()))
                .collect(),
        )
    }

    /// Inputs that are open already.
    pub fn of_open(sources: impl IntoIterator<Item = Arc<dyn CellSource>>) -> Self {
        Self::of(sources.into_iter().map(Input::Open).collect())
    }

    fn of(inputs: Vec<Input>) -> Self {
        Inputs {
            inputs,
            open: Mutex::default(),
            kept: Mutex::default(),
            unsorted: Mutex::default(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// How an input is opened, by the caller's words; the defaults for one that came open.
    pub fn options(&self, number: usize) -> OpenOptions {
        match &self.inputs[number] {
            Input::Path(_, options, _) => options.clone(),
            Input::Open(_) => OpenOptions::default(),
        }
    }

    /// The files that hold an input, which is opened if it never was.
    ///
    /// # Panics
    /// Where there is no such number.
    pub fn files(&self, number: usize) -> Result<Vec<PathBuf>, SourceError> {
        if let Input::Path(_, _, known) = &self.inputs[number]
            && let Some(known) = known.get()
        {
            return Ok(known.files.clone());
        }
        Ok(self.get(number)?.files())
    }

    /// Keeps an input open from now on: it learned something that it must not forget.
    ///
    /// # Panics
    /// Where there is no such number.
    pub fn keep(&self, number: usize) -> Result<(), SourceError> {
        let source = self.get(number)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(number, source);
        Ok(())
    }

    /// Takes the entries of an input for unsorted from now on; see [`CellSource::assume_unsorted`].
    ///
    /// # Panics
    /// Where there is no such number.
    pub fn assume_unsorted(&self, number: usize) {
        self.unsorted_inputs().insert(number);
        if let Input::Open(source) = &self.inputs[number] {
            source.assume_unsorted();
        }
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = kept.get(&number) {
            source.assume_unsorted();
        }
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, source)) = open.iter().find(|(known, _)| *known == number) {
            source.assume_unsorted();
        }
    }

    /// The inputs of which that is known, in order.
    pub fn unsorted(&self) -> Vec<usize> {
        self.unsorted_inputs().iter().copied().collect()
    }

    fn unsorted_inputs(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.unsorted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An input, which is opened if it is not open.
    ///
    /// # Panics
    /// Where there is no such number.
    pub fn get(&self, number: usize) -> Result<Arc<dyn CellSource>, SourceError> {
        let (path, options, known) = match &self.inputs[number] {
            Input::Open(source) => return Ok(source.clone()),
            Input::Path(path, options, known) => (path, options, known),
        };
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = kept.get(&number) {
            return Ok(source.clone());
        }
        drop(kept);
        let mut opened = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = opened.iter().position(|(known, _)| *known == number) {
            let entry = opened.remove(place);
            let source = entry.1.clone();
            opened.push(entry);
            return Ok(source);
        }
        let again = known.get().map_or(options, |known| &known.options);
        let source: Arc<dyn CellSource> = open(path, again)?.into();
        known.get_or_init(|| Known::of(path, options, &*source));
        if self.unsorted_inputs().contains(&number) {
            source.assume_unsorted();
        }
        if opened.len() == MOST_OPEN {
            opened.remove(0);
        }
        opened.push((number, source.clone()));
        Ok(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_open_when_they_are_needed() {
        let demo = PathBuf::from("fixtures/h5ad/demo.h5ad");
        let paths = (0..6).map(|_| (demo.clone(), OpenOptions::default()));
        let inputs = Inputs::of_paths(paths.chain([("missing".into(), OpenOptions::default())]));
        for number in [0, 1, 2, 3, 4, 5, 0] {
            assert_eq!(inputs.get(number).unwrap().description().cells, 200);
        }
        assert_eq!(inputs.open.lock().unwrap().len(), MOST_OPEN);
        assert!(inputs.get(6).is_err());
    }
}
