//! Compares the contents of cells of inputs before anything is written.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::IngestError;
use super::contents::of_rows;
use super::duplicate_counts::{DuplicateCounts, NewContents};
use super::genes::DatasetGenes;
use super::tables::Lies;
use crate::chunk::{ColumnMap, CooBatch, CooSpec, IdHash};
use crate::dataset::Dataset;
use crate::plan::{IdType, Plan};
use crate::source::{ChunkBudget, Inputs};
use crate::survey::ValueType;

/// Size of a chunk in bytes.
const CHUNK: u64 = 4 << 20;

impl DuplicateCounts {
    /// Reads all inputs of a plan and finds cells that another input or the dataset they would be
    /// appended to has under other names.
    ///
    /// # Errors
    /// If the inputs or the dataset cannot be read.
    pub fn among(
        inputs: &Inputs,
        plan: &Plan,
        before: Option<&Dataset>,
        threads: usize,
    ) -> Result<Vec<Self>, IngestError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .enable_all()
            .build()
            .map_err(|source| IngestError::Threads { source })?;
        let genes = DatasetGenes::of(inputs, plan, before, &runtime)?;
        let new = read_all(inputs, plan, &genes, threads)?;
        let sources = before.map(|before| &before.config().sources[..]);
        let mut compared = new.compared(plan, sources.unwrap_or_default());
        if let Some(before) = before {
            match before.config().hashes_of_all_cells() {
                Some(files) if before.has_contents(files)? => {
                    before.read_contents(files, &mut |hashes| compared.add(hashes))?;
                }
                _ => {
                    let mut add = |hashes: &[u64]| {
                        compared.add(&mut hashes.iter().copied());
                        Ok(())
                    };
                    runtime.block_on(of_rows(
                        before,
                        Lies::InOrder,
                        &genes.identities,
                        &mut add,
                    ))?;
                }
            }
        }
        compared.named(inputs, before, runtime.handle())
    }
}

fn read_all(
    inputs: &Inputs,
    plan: &Plan,
    genes: &DatasetGenes<'_>,
    threads: usize,
) -> Result<NewContents, IngestError> {
    let first = plan.base.as_ref().map_or(0, |base| base.cells);
    let new = NewContents::with_room(plan.cells.saturating_sub(first));
    let (new, next) = (Mutex::new(new), AtomicUsize::new(0));
    let work = || -> Result<(), IngestError> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= inputs.len() {
                return Ok(());
            }
            let read = read(inputs, plan, genes, number, &new);
            if read.is_err() {
                // The other inputs need not be read.
                next.store(inputs.len(), Ordering::Relaxed);
            }
            read?;
        }
    };
    std::thread::scope(|scope| {
        let others = 1..threads.clamp(1, inputs.len().max(1));
        let others: Vec<_> = others.map(|_| scope.spawn(work)).collect();
        let mut result = work();
        for other in others {
            let other = other.join().unwrap_or(Err(IngestError::WorkerDied));
            result = result.and(other);
        }
        result
    })?;
    Ok(new.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn read(
    inputs: &Inputs,
    plan: &Plan,
    genes: &DatasetGenes<'_>,
    number: usize,
    new: &Mutex<NewContents>,
) -> Result<(), IngestError> {
    let source = inputs.get(number)?;
    let (input, description) = (&plan.inputs[number], source.description());
    let map = genes.map(plan, number)?;
    let spec = CooSpec {
        path: input.path.clone(),
        matrix: input.main.object.clone(),
        first_cell: 0,
        genes: description.n_vars,
        columns: ColumnMap::from(&map),
        dataset_genes: plan.genes,
        cell_type: IdType::UInt32,
        gene_type: IdType::UInt32,
        value_type: ValueType::Float64,
        gene_hashes: (&genes.hashes).into(),
        identities: Some(&genes.identities),
    };
    let matrix = source.matrix(&input.main.name)?;
    matrix.prepare(&|_| ())?;
    let budget = ChunkBudget {
        bytes: CHUNK,
        cells: u64::MAX,
    };
    for chunk in matrix.chunks(0..description.n_obs, budget)? {
        let chunk = chunk?.read()?;
        // Names do not matter.
        let names = vec![IdHash::of(""); chunk.indptr.len() - 1];
        let batch = CooBatch::new(&chunk, &names, &spec)?;
        let first = input.cells.start + chunk.rows.start;
        let mut new = new.lock().unwrap_or_else(PoisonError::into_inner);
        new.add(first, &mut batch.contents.iter().copied());
    }
    Ok(())
}
