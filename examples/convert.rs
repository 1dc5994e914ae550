//! Converts files of any format into a dataset, and tells how far it is.
//!
//! cargo run --example convert -- INPUT… OUTPUT

use std::sync::atomic::{AtomicU64, Ordering};

use slaf::progress::Event;
use slaf::{Converter, Join};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    let output = paths.pop().ok_or("usage: convert INPUT… OUTPUT")?;
    let written = AtomicU64::new(0);
    let mut converter = Converter::new()
        .join(Join::Outer)
        .obs_join(Join::Outer)
        .memory_limit(1 << 30)
        .on_progress(|event| {
            if let Event::Written { entries } = event {
                written.fetch_add(entries, Ordering::Relaxed);
            }
        });
    for path in paths {
        converter = converter.input(path);
    }
    let summary = converter.write(&output)?;
    println!(
        "{output}: {} cells × {} genes, {} non-zeros ({} entries read)",
        summary.n_obs(),
        summary.n_vars(),
        summary.nnz(),
        written.load(Ordering::Relaxed)
    );
    Ok(())
}
