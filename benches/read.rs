//! Reads a matrix through the library and discards it: the cost of a reader without a conversion.
//!
//! `read INPUT [THREADS]` prints the number of entries and the cost of reading, without process
//! startup, as JSON. It is run by benches/soma.py.

use std::error::Error;
use std::sync::Mutex;

use serde_json::json;
use slaf::source::{self, ChunkBudget, MatrixName, OpenOptions, SourceError};

#[path = "measured/clock.rs"]
mod clock;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    // Cargo adds a flag.
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let Some(input) = arguments.next() else {
        // Without arguments, as run by `cargo bench`, there is nothing to do.
        return Ok(());
    };
    let threads: usize = arguments.next().map_or(Ok(1), |threads| threads.parse())?;
    let clock = clock::Clock::start()?;
    let source = source::open(input.as_ref(), &OpenOptions::default())?;
    let description = source.description();
    source.matrix(&MatrixName::X)?.prepare(&|_| ())?;
    let budget = ChunkBudget {
        bytes: 16 << 20,
        cells: u64::MAX,
    };
    let chunks = Mutex::new(
        source
            .matrix(&MatrixName::X)?
            .chunks(0..description.n_obs, budget)?,
    );
    let work = || -> Result<u64, SourceError> {
        let mut entries = 0;
        loop {
            let next = chunks.lock().map(|mut chunks| chunks.next());
            let Ok(Some(chunk)) = next else {
                return Ok(entries);
            };
            entries += chunk?.read()?.data.len() as u64;
        }
    };
    let entries = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined
            .map(|entries| entries.unwrap_or(Ok(0)))
            .sum::<Result<u64, SourceError>>()
    })?;
    let cells = source.obs(0..description.n_obs.min(1 << 16))?.num_rows();
    let outcome = clock.stop(json!({"non_zeros": entries, "cells": cells}))?;
    println!("{outcome}");
    Ok(())
}
