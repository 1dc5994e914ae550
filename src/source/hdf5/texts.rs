//! Reads text within the memory limit. The lengths are determined before reading.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, StringArray, StringBuilder};

use super::Hdf5File;
use super::stored_texts::StoredTexts;
use crate::source::blocks::RowBlocks;
use crate::source::error::{ErrorContext, SourceError};

/// Memory that the program takes before it reads anything, in bytes; and number of copies of a text
/// that are in memory while it is read and written.
const OTHER_MEMORY: u64 = 160 << 20;
const COPIES: u64 = 6;

/// Number of bytes of text read from libhdf5 at once, unless a single row has more.
const AT_ONCE: u64 = 1 << 20;

/// Datasets of which it is kept how their texts are stored.
const MOST_OPEN: usize = 16;

/// What all who read the texts of a file know together.
#[derive(Default)]
pub(super) struct SharedTexts {
    /// How the texts of datasets are stored, those that were asked for last at the end.
    open: Mutex<Vec<(String, Arc<StoredTexts>)>>,
    /// Bytes of lists that are held.
    held: AtomicU64,
}

impl Hdf5File {
    /// Reads rows of text, or the value of a scalar, like `Container::texts`. Several rows may
    /// take up to a quarter of the memory, a single one as much as is available.
    ///
    /// # Errors
    /// [`SourceError::TooLarge`], before anything is read, if they are too long; fewer rows may
    /// succeed.
    pub fn texts(&self, object: &str, rows: Range<u64>) -> Result<StringArray, SourceError> {
        self.texts_within(object, rows, self.memory() / 4)
    }

    /// Likewise, with at most `most` bytes of text in total if there is more than one row.
    pub fn texts_within(
        &self,
        object: &str,
        rows: Range<u64>,
        most: u64,
    ) -> Result<StringArray, SourceError> {
        // Arrow's texts have 32-bit offsets.
        let most = most.min(i32::MAX as u64);
        let single = rows.end - rows.start <= 1;
        let most = if single {
            self.longest().min(i32::MAX as u64)
        } else {
            most
        };
        // Ends of the groups of rows that are read together.
        let (mut ends, mut row) = (Vec::new(), rows.start);
        let (mut all, mut together) = (0u64, 0u64);
        let known = self.stored_texts(object)?.each(rows.clone(), |bytes| {
            if together > 0 && together.saturating_add(bytes) > AT_ONCE {
                ends.push(row);
                together = 0;
            }
            together = together.saturating_add(bytes);
            all = all.saturating_add(bytes);
            row += 1;
            all <= most
        })?;
        if all > most {
            return Err(too_long(&self.place(object), all));
        }
        if !known || ends.is_empty() {
            return self.container.texts(object, rows);
        }
        ends.push(rows.end);
        let mut texts: Option<StringBuilder> = None;
        let mut start = rows.start;
        for end in ends {
            let block = self.container.texts(object, start..end)?;
            start = end;
            let texts = texts.get_or_insert_with(|| {
                let rows = usize::try_from(rows.end - rows.start).unwrap_or(0);
                StringBuilder::with_capacity(rows, usize::try_from(all).unwrap_or(0))
            });
            block.iter().for_each(|text| texts.append_option(text));
        }
        let mut texts = texts.unwrap_or_default().finish();
        texts.shrink_to_fit();
        Ok(texts)
    }

    /// Number of bytes of text that can be read and written at once.
    fn longest(&self) -> u64 {
        (self.memory().saturating_sub(OTHER_MEMORY) / COPIES).max(AT_ONCE)
    }

    /// Checks that the memory is sufficient for this many bytes of text in one row.
    pub fn suffices(&self, place: &ErrorContext, bytes: u64) -> Result<(), SourceError> {
        if bytes <= self.longest() {
            Ok(())
        } else {
            Err(too_long(place, bytes))
        }
    }

    /// How the texts of an object are stored.
    pub(super) fn stored_texts(&self, object: &str) -> Result<Arc<StoredTexts>, SourceError> {
        let lock = || {
            let open = self.texts.open.lock();
            open.unwrap_or_else(PoisonError::into_inner)
        };
        let mut open = lock();
        if let Some(place) = open.iter().position(|(name, _)| name == object) {
            let entry = open.remove(place);
            let texts = entry.1.clone();
            open.push(entry);
            return Ok(texts);
        }
        drop(open);
        let texts = StoredTexts::open(&self.container, &self.bytes, object, self.memory())?;
        let texts = Arc::new(texts);
        if texts.is_small() {
            let mut open = lock();
            if open.len() >= MOST_OPEN {
                open.remove(0);
            }
            open.push((object.to_string(), texts.clone()));
        }
        Ok(texts)
    }

    /// Reads all `count` values of a text dataset. `what` is its name in the error if it takes too
    /// much memory.
    pub fn list(&self, object: &str, count: u64, what: &str) -> Result<StringArray, SourceError> {
        // Text in Arrow has 32-bit offsets.
        let most = (self.memory() / 4).min(i32::MAX as u64);
        let fits = |bytes: u64| {
            if bytes <= most {
                Ok(())
            } else {
                let advised = bytes.saturating_mul(8);
                Err(self.place(object).too_large(what, bytes, advised))
            }
        };
        // Each value takes at least its offset.
        let least = count.saturating_mul(4);
        fits(least)?;
        let mut blocks = RowBlocks::new(0..count, 1);
        let mut texts = StringBuilder::new();
        while let Some((_, block)) = blocks.read(|rows| self.texts(object, rows))? {
            let bytes = block.values().len() as u64;
            blocks.held(bytes);
            fits(least.saturating_add(texts.values_slice().len() as u64 + bytes))?;
            block.iter().for_each(|text| texts.append_option(text));
        }
        let mut texts = texts.finish();
        // Up to half of a builder's capacity may be unused.
        texts.shrink_to_fit();
        Ok(texts)
    }

    /// Adds bytes that are held from now on to the total of all lists of this file, until
    /// [`Hdf5File::let_go`].
    pub fn hold(&self, object: &str, bytes: u64) -> Result<(), SourceError> {
        let before = self.texts.held.fetch_add(bytes, Ordering::Relaxed);
        let all = before.saturating_add(bytes);
        if all <= self.memory() / 4 {
            return Ok(());
        }
        self.let_go(bytes);
        let what = "with the categories of the columns before it, its list of categories";
        Err(self
            .place(object)
            .too_large(what, all, all.saturating_mul(5)))
    }

    /// Total size of all lists held, in bytes.
    pub fn held_bytes(&self) -> u64 {
        self.texts.held.load(Ordering::Relaxed)
    }

    /// Subtracts bytes that are no longer held.
    pub fn let_go(&self, bytes: u64) {
        self.texts.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn too_long(place: &ErrorContext, bytes: u64) -> SourceError {
    let advised = bytes.saturating_mul(COPIES).saturating_add(OTHER_MEMORY);
    place.too_large("text of such a length", bytes, advised)
}
