//! Converts inputs of all formats that slaf reads, and of one that only this program knows.
//!
//! cargo run --example own_format -- INPUT… OUTPUT

mod toy;

use slaf::Converter;
use slaf::source::{Formats, OpenOptions};

use toy::Toy;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut paths: Vec<String> = std::env::args().skip(1).collect();
    let output = paths.pop().ok_or("usage: own_format INPUT… OUTPUT")?;
    let mut converter = Converter::new().open_options(OpenOptions {
        formats: Formats::default().with(&Toy),
        ..OpenOptions::default()
    });
    for path in paths {
        converter = converter.input(path);
    }
    let summary = converter.write(&output)?;
    println!(
        "{output}: {} cells, {} genes",
        summary.n_obs(),
        summary.n_vars()
    );
    Ok(())
}
