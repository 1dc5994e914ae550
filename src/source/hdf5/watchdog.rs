//! Detects calls into libhdf5 that do not return.
//!
//! On some damaged files libhdf5 loops forever while holding its global lock, and nothing inside
//! the process can stop it. Every call is therefore entered in a list that a watchdog can inspect.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::StringArray;

use super::container::{ArrayHeader, Attribute, Container, Identity, Kind};
use super::ffi::RawChunk;
use super::library::LibHdf5;
use super::stored_texts::TextLayout;
use crate::source::SourceError;

struct Call {
    since: Instant,
    place: String,
}

static CALLS: Mutex<BTreeMap<u64, Call>> = Mutex::new(BTreeMap::new());

fn calls() -> MutexGuard<'static, BTreeMap<u64, Call>> {
    CALLS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a call that should return soon; `place` says what is being read.
fn watched<T>(place: impl Into<String>, call: impl FnOnce() -> T) -> T {
    struct Entry(u64);
    impl Drop for Entry {
        fn drop(&mut self) {
            calls().remove(&self.0);
        }
    }
    let entry = {
        let mut calls = calls();
        let number = calls.last_key_value().map_or(0, |(&last, _)| last + 1);
        calls.insert(
            number,
            Call {
                since: Instant::now(),
                place: place.into(),
            },
        );
        Entry(number)
    };
    let result = call();
    drop(entry);
    result
}

/// A container whose calls are watched.
pub(crate) struct Watched(LibHdf5);

impl Watched {
    /// Opens a file for reading. It is called `path` and located at `at`.
    pub fn open(path: &Path, at: &Path) -> Result<Self, SourceError> {
        watched(path.display().to_string(), || LibHdf5::open(path, at)).map(Watched)
    }

    fn watch<T>(&self, object: &str, call: impl FnOnce(&LibHdf5) -> T) -> T {
        watched(format!("{}: {object}", self.0.path().display()), || {
            call(&self.0)
        })
    }
}

impl Container for Watched {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn members(&self, group: &str) -> Result<Vec<String>, SourceError> {
        self.watch(group, |container| container.members(group))
    }

    fn kind(&self, object: &str) -> Result<Kind, SourceError> {
        self.watch(object, |container| container.kind(object))
    }

    fn identity(&self, object: &str) -> Result<Identity, SourceError> {
        self.watch(object, |container| container.identity(object))
    }

    fn attribute(&self, object: &str, name: &str) -> Result<Option<Attribute>, SourceError> {
        self.watch(object, |container| container.attribute(object, name))
    }

    fn array(&self, object: &str) -> Result<ArrayHeader, SourceError> {
        self.watch(object, |container| container.array(object))
    }

    fn chunks(&self, object: &str) -> Result<Vec<RawChunk>, SourceError> {
        self.watch(object, |container| container.chunks(object))
    }

    fn text_layout(&self, object: &str) -> Result<Option<TextLayout>, SourceError> {
        self.watch(object, |container| container.text_layout(object))
    }

    fn texts(&self, object: &str, rows: Range<u64>) -> Result<StringArray, SourceError> {
        self.watch(object, |container| container.texts(object, rows))
    }

    fn read_bytes(
        &self,
        object: &str,
        rows: Range<u64>,
        out: &mut [u8],
    ) -> Result<(), SourceError> {
        self.watch(object, |container| container.read_bytes(object, rows, out))
    }
}

/// Calls `stuck`, on its own thread, if reading a file's metadata takes longer than `patience`. Its
/// argument says what was being read. It usually ends the process, since the stuck thread cannot be
/// stopped.
pub fn watch(patience: Duration, stuck: impl FnOnce(&str) + Send + 'static) {
    let look = move || {
        loop {
            std::thread::sleep((patience / 4).min(Duration::from_secs(1)));
            // The oldest call is the one that holds the lock the others are waiting for.
            let oldest = calls()
                .values()
                .filter(|call| call.since.elapsed() > patience)
                .max_by_key(|call| call.since.elapsed())
                .map(|call| call.place.clone());
            if let Some(place) = oldest {
                return stuck(&place);
            }
        }
    };
    // If no thread can be started there is no watchdog, but everything else works.
    let _ = std::thread::Builder::new()
        .name("slaf-watch".into())
        .spawn(look);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_call_that_takes_too_long_is_named() {
        let (tell, told) = mpsc::channel();
        watch(Duration::from_millis(20), move |place| {
            tell.send(place.to_string()).unwrap();
        });
        watched("quick", || ());
        let place = watched("a.h5ad: obs", || told.recv_timeout(Duration::from_secs(60)));
        assert_eq!(place.unwrap(), "a.h5ad: obs");
    }
}
