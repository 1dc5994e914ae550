//! Processes chunks on several threads and returns the results in order.

use std::collections::VecDeque;

use crate::source::{Chunks, PendingChunk};

use super::VerifyError;

/// Passes every chunk to `work` on one of `threads` threads, and the results to `take` in order.
pub(super) fn in_order<'a, T: Send>(
    threads: usize,
    chunks: Chunks<'a>,
    work: impl Fn(PendingChunk<'a>) -> Result<T, VerifyError> + Sync,
    mut take: impl FnMut(T) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    let work = &work;
    std::thread::scope(|scope| {
        let mut under_way = VecDeque::new();
        for chunk in chunks {
            let chunk = chunk?;
            if under_way.len() == threads.max(1) {
                finish(under_way.pop_front(), &mut take)?;
            }
            let thread = std::thread::Builder::new()
                .name("slaf-verify".into())
                .spawn_scoped(scope, move || work(chunk))
                .map_err(|source| VerifyError::Threads { source })?;
            under_way.push_back(thread);
        }
        while !under_way.is_empty() {
            finish(under_way.pop_front(), &mut take)?;
        }
        Ok(())
    })
}

fn finish<T>(
    thread: Option<std::thread::ScopedJoinHandle<'_, Result<T, VerifyError>>>,
    take: &mut impl FnMut(T) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    match thread.map(std::thread::ScopedJoinHandle::join) {
        Some(Ok(result)) => take(result?),
        Some(Err(_)) => Err(VerifyError::WorkerDied),
        None => Ok(()),
    }
}
