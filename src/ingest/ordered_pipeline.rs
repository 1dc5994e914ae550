//! Ordered pipeline for the pieces of one part of a shard: any thread reads, and one at a time
//! writes in order.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::IngestError;
use super::entry_batch::EntryBatch;
use super::row_ranges::RowRanges;

/// Next task of a thread.
pub(super) enum Task<'a, W> {
    /// Write this batch and return the writer.
    Write { writer: W, batch: EntryBatch },
    /// Take the next piece and read it.
    Read { pieces: RowRanges<'a>, number: u64 },
}

/// State shared by all threads.
pub(super) struct OrderedPipeline<'a, W> {
    state: Mutex<State<'a, W>>,
    changed: Condvar,
    /// Maximum number of pieces in memory.
    window: usize,
}

struct State<'a, W> {
    /// `None` while a thread is taking the next piece from it.
    pieces: Option<RowRanges<'a>>,
    /// Whether there are no more pieces.
    exhausted: bool,
    /// Number of pieces taken, and number of pieces written.
    taken: u64,
    written: u64,
    /// Pieces that are read but not written, by number.
    ready: BTreeMap<u64, EntryBatch>,
    /// `None` while a thread is writing.
    writer: Option<W>,
    in_memory: usize,
    failure: Option<IngestError>,
}

impl<'a, W> OrderedPipeline<'a, W> {
    /// Creates a queue of these pieces, at most `window` of which are in memory.
    pub fn new(pieces: RowRanges<'a>, writer: W, window: usize) -> Self {
        OrderedPipeline {
            state: Mutex::new(State {
                pieces: Some(pieces),
                exhausted: false,
                taken: 0,
                written: 0,
                ready: BTreeMap::new(),
                writer: Some(writer),
                in_memory: 0,
                failure: None,
            }),
            changed: Condvar::new(),
            window,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<'a, W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a task; `None` when everything is done or something failed.
    pub fn next(&self) -> Option<Task<'a, W>> {
        let mut state = self.lock();
        loop {
            if state.failure.is_some() || state.is_done() {
                return None;
            }
            if let Some(task) = state.task(self.window) {
                return Some(task);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn update(&self, change: impl FnOnce(&mut State<'a, W>)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Called when a piece was taken; another thread can take the next one.
    pub fn taken(&self, pieces: RowRanges<'a>) {
        self.update(|state| {
            state.pieces = Some(pieces);
            state.taken += 1;
        });
    }

    /// Called when there was no piece left.
    pub fn exhausted(&self) {
        self.update(|state| {
            state.in_memory -= 1;
            state.exhausted = true;
        });
    }

    /// Called when a piece was read.
    pub fn ready(&self, number: u64, batch: EntryBatch) {
        self.update(|state| {
            state.ready.insert(number, batch);
        });
    }

    /// Called when a piece was written.
    pub fn written(&self, writer: W) {
        self.update(|state| {
            state.in_memory -= 1;
            state.written += 1;
            state.writer = Some(writer);
        });
    }

    /// Stops all threads after a failure. The first failure is kept.
    pub fn fail(&self, failure: IngestError) {
        self.update(|state| {
            state.failure.get_or_insert(failure);
        });
    }

    /// Returns the writer once everything is written, or the first failure.
    pub fn into_writer(self) -> Result<W, IngestError> {
        let state = self.state.into_inner();
        let state = state.unwrap_or_else(PoisonError::into_inner);
        match (state.failure, state.writer) {
            (Some(failure), _) => Err(failure),
            (None, Some(writer)) => Ok(writer),
            (None, None) => Err(IngestError::WorkerDied),
        }
    }
}

impl<'a, W> State<'a, W> {
    fn is_done(&self) -> bool {
        self.exhausted && self.written == self.taken && self.writer.is_some()
    }

    /// Writing has priority because it frees memory.
    fn task(&mut self, window: usize) -> Option<Task<'a, W>> {
        if self.writer.is_some()
            && let Some(batch) = self.ready.remove(&self.written)
            && let Some(writer) = self.writer.take()
        {
            return Some(Task::Write { writer, batch });
        }
        if self.in_memory < window
            && !self.exhausted
            && let Some(pieces) = self.pieces.take()
        {
            self.in_memory += 1;
            return Some(Task::Read {
                pieces,
                number: self.taken,
            });
        }
        None
    }
}
