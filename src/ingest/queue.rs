//! The shards that are being written, and what may be done next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::IngestError;
use super::batch::Batch;
use super::pieces::Pieces;

/// A shard under way: its pieces are read by any thread and written in their order by one at a
/// time.
pub(super) struct Lane<'a, W> {
    pub shard: usize,
    /// `None` while a thread takes the next piece from it.
    pub pieces: Option<Pieces<'a>>,
    /// There are no more pieces.
    pub exhausted: bool,
    /// Pieces taken, and pieces written.
    pub taken: u64,
    pub written: u64,
    /// Pieces that are read but not written, by their number.
    pub ready: BTreeMap<u64, Batch>,
    /// `None` while a thread writes.
    pub writer: Option<W>,
}

/// What a thread is to do next.
pub(super) enum Task<'a, W> {
    /// Write this batch and give the writer back.
    Write {
        lane: usize,
        writer: W,
        batch: Batch,
    },
    /// All pieces are written: finish the shard.
    Finish { writer: W },
    /// Take the next piece and read it.
    Read {
        lane: usize,
        pieces: Pieces<'a>,
        number: u64,
    },
    /// Begin a shard.
    Begin { shard: usize },
}

/// The state that all threads share.
pub(super) struct Queue<'a, W> {
    state: Mutex<State<'a, W>>,
    changed: Condvar,
    /// Shards written at once.
    lanes: usize,
    /// Pieces in memory at once.
    window: usize,
}

struct State<'a, W> {
    waiting: VecDeque<usize>,
    beginning: usize,
    lanes: BTreeMap<usize, Lane<'a, W>>,
    in_memory: usize,
    failure: Option<IngestError>,
}

impl<'a, W> Queue<'a, W> {
    pub fn new(shards: Vec<usize>, lanes: usize, window: usize) -> Self {
        Queue {
            state: Mutex::new(State {
                waiting: shards.into(),
                beginning: 0,
                lanes: BTreeMap::new(),
                in_memory: 0,
                failure: None,
            }),
            changed: Condvar::new(),
            lanes,
            window,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<'a, W>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to do; `None` when all is done or something failed.
    pub fn next(&self) -> Option<Task<'a, W>> {
        let mut state = self.lock();
        loop {
            if state.failure.is_some() {
                return None;
            }
            if let Some(task) = state.task(self.lanes, self.window) {
                return Some(task);
            }
            if state.waiting.is_empty() && state.lanes.is_empty() && state.beginning == 0 {
                return None;
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

    /// A shard has begun.
    pub fn begun(&self, lane: Lane<'a, W>) {
        self.update(|state| {
            state.beginning -= 1;
            state.lanes.insert(lane.shard, lane);
        });
    }

    /// A piece was taken; the rest can be taken by another thread.
    pub fn taken(&self, lane: usize, pieces: Pieces<'a>) {
        self.update(|state| {
            if let Some(lane) = state.lanes.get_mut(&lane) {
                lane.pieces = Some(pieces);
                lane.taken += 1;
            }
        });
    }

    /// There was no piece left.
    pub fn exhausted(&self, lane: usize) {
        self.update(|state| {
            state.in_memory -= 1;
            if let Some(lane) = state.lanes.get_mut(&lane) {
                lane.exhausted = true;
            }
        });
    }

    /// A piece was read.
    pub fn ready(&self, lane: usize, number: u64, batch: Batch) {
        self.update(|state| {
            if let Some(lane) = state.lanes.get_mut(&lane) {
                lane.ready.insert(number, batch);
            }
        });
    }

    /// A piece was written.
    pub fn written(&self, lane: usize, writer: W) {
        self.update(|state| {
            state.in_memory -= 1;
            if let Some(lane) = state.lanes.get_mut(&lane) {
                lane.written += 1;
                lane.writer = Some(writer);
            }
        });
    }

    /// Something failed: everybody stops. The first failure is kept.
    pub fn fail(&self, failure: IngestError) {
        self.update(|state| {
            state.failure.get_or_insert(failure);
        });
    }

    /// The first failure, if any.
    pub fn into_result(self) -> Result<(), IngestError> {
        let state = self
            .state
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        state.failure.map_or(Ok(()), Err)
    }
}

impl<'a, W> State<'a, W> {
    /// Writing comes first, because it makes room; then reading; then another shard.
    fn task(&mut self, lanes: usize, window: usize) -> Option<Task<'a, W>> {
        for (&number, lane) in &mut self.lanes {
            if let Some(batch) = lane.next_batch()
                && let Some(writer) = lane.writer.take()
            {
                return Some(Task::Write {
                    lane: number,
                    writer,
                    batch,
                });
            }
        }
        let done = self
            .lanes
            .iter()
            .find(|(_, lane)| lane.is_done())
            .map(|(&number, _)| number);
        if let Some(lane) = done.and_then(|number| self.lanes.remove(&number))
            && let Some(writer) = lane.writer
        {
            return Some(Task::Finish { writer });
        }
        if self.in_memory < window {
            for (&number, lane) in &mut self.lanes {
                if !lane.exhausted
                    && let Some(pieces) = lane.pieces.take()
                {
                    self.in_memory += 1;
                    return Some(Task::Read {
                        lane: number,
                        pieces,
                        number: lane.taken,
                    });
                }
            }
            if self.lanes.len() + self.beginning < lanes
                && let Some(shard) = self.waiting.pop_front()
            {
                self.beginning += 1;
                return Some(Task::Begin { shard });
            }
        }
        None
    }
}

impl<W> Lane<'_, W> {
    fn next_batch(&mut self) -> Option<Batch> {
        if self.writer.is_none() {
            return None;
        }
        self.ready.remove(&self.written)
    }

    fn is_done(&self) -> bool {
        self.exhausted && self.written == self.taken && self.writer.is_some()
    }
}
