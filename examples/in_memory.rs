//! Writes a matrix that the program holds in memory as a dataset.
//!
//! cargo run --example in_memory -- OUTPUT

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray};
use slaf::Converter;
use slaf::source::memory::{Memory, MemoryMatrix};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let output = std::env::args().nth(1).ok_or("usage: in_memory OUTPUT")?;
    let names = |names: &[&str]| StringArray::from(names.to_vec());
    let age: ArrayRef = Arc::new(Int32Array::from(vec![Some(30), None]));
    // Two cells and three genes as compressed sparse rows: indptr, indices, data.
    let counts = MemoryMatrix::csr([2, 3], vec![0, 2, 3], vec![0, 2, 1], vec![1.0f32, 4.0, 2.0]);
    let cells = Memory::builder("counts", names(&["c1", "c2"]), names(&["g1", "g2", "g3"]))
        .x(counts)
        .obs(RecordBatch::try_from_iter([("age", age)])?)
        .obsm("X_umap", 2, vec![0.5f32, 1.0, -1.0, 2.0])
        .build()?;
    let summary = Converter::new().source(cells).write(&output)?;
    println!("{output}: {} non-zeros", summary.nnz());
    Ok(())
}
