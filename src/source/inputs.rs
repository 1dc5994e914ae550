//! A set of inputs, only a few of which are open at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::SystemTime;

use super::error::ErrorContext;
use super::{CellSource, OpenOptions, SourceError, Stamp, open};

/// Maximum number of inputs open at once. A file that was closed is reopened when it is needed
/// again.
const MOST_OPEN: usize = 4;

/// How often to try to open an input whose files may have been modified meanwhile, before giving
/// up.
const ATTEMPTS: usize = 3;

/// The inputs of a job, by number.
#[derive(Default)]
pub struct Inputs {
    inputs: Vec<Input>,
    /// Inputs that are kept open for the next caller, least recently used first.
    open: Mutex<Vec<(usize, Arc<dyn CellSource>)>>,
    kept: Mutex<BTreeMap<usize, Arc<dyn CellSource>>>,
    /// Inputs whose entries are known to be unsorted. Remembered here because they may be reopened.
    unsorted: Mutex<BTreeSet<usize>>,
}

enum Input {
    /// A path to open when needed.
    Path(Box<Slot>),
    /// An input that the caller opened, and that stays open.
    Open(Arc<dyn CellSource>),
}

/// An input that is opened when it is needed.
struct Slot {
    path: PathBuf,
    options: OpenOptions,
    /// What the first opening found out.
    known: OnceLock<Known>,
    /// The source, as long as anyone holds it. Everyone shares it, because a second instance would
    /// not know what this one has learned. Opening it blocks only those who need the same input.
    source: Mutex<Option<Weak<dyn CellSource>>>,
}

/// What need not be determined again when an input is reopened.
struct Known {
    /// Options for reopening, with the format that was detected.
    options: OpenOptions,
    files: Vec<PathBuf>,
    /// Stamp of the files before anything was read from them.
    stamp: Stamp,
}

impl Known {
    fn of(path: &Path, options: &OpenOptions, source: &dyn CellSource, stamp: Stamp) -> Self {
        let mut options = options.clone();
        // In a folder or archive, the one input has to be located again.
        if path.is_file() && source.description().path == path {
            let format = &source.description().format;
            options.format = options.formats.get(format.as_str()).map(|_| format.clone());
        }
        Known {
            options,
            files: source.files(),
            stamp,
        }
    }
}

impl Inputs {
    /// Creates inputs that are opened when needed, each with its options.
    pub fn of_paths(paths: impl IntoIterator<Item = (PathBuf, OpenOptions)>) -> Self {
        let mut inputs = Self::default();
        for (path, options) in paths {
            inputs.push_path(path, options);
        }
        inputs
    }

    /// Creates inputs from sources that are already open.
    pub fn of_open(sources: impl IntoIterator<Item = Arc<dyn CellSource>>) -> Self {
        let mut inputs = Self::default();
        for source in sources {
            inputs.push_open(source);
        }
        inputs
    }

    /// Adds an input that is opened when needed.
    pub fn push_path(&mut self, path: PathBuf, options: OpenOptions) {
        self.inputs.push(Input::Path(Box::new(Slot {
            path,
            options,
            known: OnceLock::new(),
            source: Mutex::default(),
        })));
    }

    /// Adds a source that is already open.
    pub fn push_open(&mut self, source: Arc<dyn CellSource>) {
        self.inputs.push(Input::Open(source));
    }

    /// Number of inputs.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Whether there are no inputs.
    pub fn is_empty(&self) -> bool {
        self.inputs.is_empty()
    }

    /// Returns the options with which the caller asked to open an input; the defaults for a source
    /// that was passed in open.
    ///
    /// # Panics
    /// If there is no input with this number.
    pub fn options(&self, number: usize) -> OpenOptions {
        match &self.inputs[number] {
            Input::Path(slot) => slot.options.clone(),
            Input::Open(_) => OpenOptions::default(),
        }
    }

    /// Returns the files that an input consists of. Opens it if it has never been opened.
    ///
    /// # Errors
    /// If the input cannot be opened.
    ///
    /// # Panics
    /// If there is no input with this number.
    pub fn files(&self, number: usize) -> Result<Vec<PathBuf>, SourceError> {
        if let Input::Path(slot) = &self.inputs[number]
            && let Some(known) = slot.known.get()
        {
            return Ok(known.files.clone());
        }
        Ok(self.get(number)?.files())
    }

    /// Returns the stamp of an input's files from before anything was read from them. Opens the
    /// input if it has never been opened.
    ///
    /// # Panics
    /// If there is no input with this number.
    pub(crate) fn stamp(&self, number: usize) -> Result<Stamp, SourceError> {
        let source = self.get(number)?;
        match &self.inputs[number] {
            Input::Path(slot) if let Some(known) = slot.known.get() => Ok(known.stamp),
            _ => Stamp::of(&source.files()),
        }
    }

    /// Changes the options with which an input is opened from now on. Has no effect on a source
    /// that was passed in open.
    ///
    /// # Panics
    /// If there is no input with this number.
    pub fn change(&mut self, number: usize, change: impl FnOnce(&mut OpenOptions)) {
        if let Input::Path(slot) = &mut self.inputs[number] {
            change(&mut slot.options);
            slot.known = OnceLock::new();
            slot.source = Mutex::default();
        }
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(known, _)| *known != number);
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        kept.remove(&number);
    }

    /// Keeps an input open from now on, because it has learned something that must not be lost.
    ///
    /// # Errors
    /// If the input cannot be opened.
    ///
    /// # Panics
    /// If there is no input with this number.
    pub fn keep(&self, number: usize) -> Result<(), SourceError> {
        let source = self.get(number)?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(number, source);
        Ok(())
    }

    /// Treats the entries of an input as unsorted from now on; see [`CellSource::assume_unsorted`].
    ///
    /// # Panics
    /// If there is no input with this number.
    pub fn assume_unsorted(&self, number: usize) {
        self.unsorted_inputs().insert(number);
        let source = match &self.inputs[number] {
            Input::Open(source) => Some(source.clone()),
            Input::Path(slot) => slot.source().as_ref().and_then(Weak::upgrade),
        };
        if let Some(source) = source {
            source.assume_unsorted();
        }
    }

    /// Returns the numbers of the inputs treated as unsorted, in ascending order.
    pub fn unsorted(&self) -> Vec<usize> {
        self.unsorted_inputs().iter().copied().collect()
    }

    fn unsorted_inputs(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        self.unsorted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an input, opening it if necessary.
    ///
    /// # Errors
    /// If the input cannot be opened.
    ///
    /// # Panics
    /// If there is no input with this number.
    pub fn get(&self, number: usize) -> Result<Arc<dyn CellSource>, SourceError> {
        let slot = match &self.inputs[number] {
            Input::Open(source) => return Ok(source.clone()),
            Input::Path(slot) => slot,
        };
        let mut held = slot.source();
        let source = match held.as_ref().and_then(Weak::upgrade) {
            Some(source) => source,
            None => {
                let source = slot.open()?;
                if self.unsorted_inputs().contains(&number) {
                    source.assume_unsorted();
                }
                *held = Some(Arc::downgrade(&source));
                source
            }
        };
        drop(held);
        self.used(number, &source);
        Ok(source)
    }

    /// Keeps an input open for a while and closes the least recently used ones.
    fn used(&self, number: usize, source: &Arc<dyn CellSource>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.contains_key(&number) {
            return;
        }
        drop(kept);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.iter().position(|(known, _)| *known == number) {
            Some(place) => open[place..].rotate_left(1),
            None => open.push((number, source.clone())),
        }
        // Keep several inputs open only if what they hold together fits in a share of the memory.
        let most = match &self.inputs[number] {
            Input::Path(slot) => slot.options.memory / 8,
            Input::Open(_) => u64::MAX,
        };
        let mut held = 0u64;
        let kept = open.iter().rev().take_while(|(_, source)| {
            held = held.saturating_add(source.held_bytes());
            held <= most
        });
        let kept = kept.count().clamp(1, MOST_OPEN);
        let older = open.len().saturating_sub(kept);
        let older: Vec<_> = open.drain(..older).collect();
        // Closing them takes a while, so release the lock first.
        drop(open);
        for (number, source) in older {
            drop(source);
            if let Input::Path(slot) = &self.inputs[number] {
                slot.forget();
            }
        }
    }
}

impl Slot {
    fn source(&self) -> MutexGuard<'_, Option<Weak<dyn CellSource>>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<Arc<dyn CellSource>, SourceError> {
        if let Some(known) = self.known.get() {
            return Ok(open(&self.path, &known.options)?.into());
        }
        // The list of files is only known once the input is open, and what was read until then must
        // still be what the files hold. Clocks may differ, so if the files look modified the input
        // is opened once more, with a stamp taken before and after.
        let mut before = None;
        for _ in 0..ATTEMPTS {
            let begun = SystemTime::now();
            let source = open(&self.path, &self.options)?;
            crate::failpoint::reach("input-opened");
            let stamp = Stamp::of(&source.files())?;
            if before == Some(stamp) || !stamp.may_be_later_than(begun) {
                self.known
                    .get_or_init(|| Known::of(&self.path, &self.options, &*source, stamp));
                return Ok(source.into());
            }
            before = Some(stamp);
            std::thread::sleep(Stamp::SLOW_CLOCK);
        }
        Err(ErrorContext::whole(&self.path)
            .damaged("it is being written to by another program; run again when that has finished"))
    }

    /// Frees the slot of a source that nobody holds any more. If the input is being opened right
    /// now, the slot belongs to the new source.
    fn forget(&self) {
        if let Ok(mut source) = self.source.try_lock()
            && source.as_ref().is_some_and(|held| held.strong_count() == 0)
        {
            *source = None;
        }
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
            assert_eq!(inputs.get(number).unwrap().description().n_obs, 200);
        }
        assert_eq!(inputs.open.lock().unwrap().len(), MOST_OPEN);
        assert!(inputs.get(6).is_err());
    }

    #[test]
    fn a_source_that_somebody_holds_is_the_only_one() {
        let demo = PathBuf::from("fixtures/h5ad/demo.h5ad");
        let paths = (0..8).map(|_| (demo.clone(), OpenOptions::default()));
        let inputs = Inputs::of_paths(paths);
        let held = inputs.get(0).unwrap();
        for number in 1..8 {
            inputs.get(number).unwrap();
        }
        assert!(Arc::ptr_eq(&held, &inputs.get(0).unwrap()));
        inputs.keep(0).unwrap();
        drop(held);
        let kept = Arc::as_ptr(&inputs.get(0).unwrap()).cast::<()>();
        for number in 1..8 {
            inputs.get(number).unwrap();
        }
        assert_eq!(Arc::as_ptr(&inputs.get(0).unwrap()).cast::<()>(), kept);
    }

    #[test]
    fn opening_one_input_does_not_hold_up_another() {
        let demo = PathBuf::from("fixtures/h5ad/demo.h5ad");
        let paths = (0..2).map(|_| (demo.clone(), OpenOptions::default()));
        let inputs = Inputs::of_paths(paths);
        let Input::Path(slot) = &inputs.inputs[0] else {
            panic!("it is a path");
        };
        // Simulates an opening in progress.
        let opening = slot.source();
        assert_eq!(inputs.get(1).unwrap().description().n_obs, 200);
        drop(opening);
        assert_eq!(inputs.get(0).unwrap().description().n_obs, 200);
    }
}
