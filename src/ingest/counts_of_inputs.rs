//! Compares the contents of cells of inputs before anything is written.

use super::cell_origins::CellOrigins;
use super::duplicate_counts::{DuplicateCounts, NewContents};
use super::genes::DatasetGenes;
use super::{IngestError, cell_rows, contents};
use crate::chunk::{CooBatch, CooSpec, IdHash, NO_CONTENTS};
use crate::dataset::Dataset;
use crate::parallel::OrderedWork;
use crate::plan::{IdType, Plan};
use crate::source::{ChunkBudget, Inputs, SourceError};
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
        let runtime = runtime(threads)?;
        let genes = DatasetGenes::of(inputs, plan, before, &runtime)?;
        let of_cell = |cell, hash, _: &CooBatch, _| (hash, cell);
        let new = NewContents(read_all(inputs, plan, &genes, threads, &of_cell)?);
        let mut compared = new.compared(CellOrigins { plan, before });
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
                    runtime.block_on(async {
                        let order = cell_rows::order(before).await?;
                        contents::of_rows(before, order, &genes.identities, &mut add).await
                    })?;
                }
            }
        }
        compared.named(inputs, runtime.handle())
    }
}

pub(super) fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, IngestError> {
    crate::table::runtime(threads).map_err(|source| IngestError::Threads { source })
}

/// Makes something of a cell, by its number and hash: the batch that it is in, and its rows there.
pub(super) type OfCell<'a, T> =
    dyn Fn(u32, u64, &CooBatch, std::ops::Range<usize>) -> T + Sync + 'a;

/// Reads all inputs, and makes something of each cell that has enough counts. The plan counted that
/// their numbers fit 32 bits.
pub(super) fn read_all<T: Send>(
    inputs: &Inputs,
    plan: &Plan,
    genes: &DatasetGenes<'_>,
    threads: usize,
    of_cell: &OfCell<'_, T>,
) -> Result<Vec<T>, IngestError> {
    let mut all = Vec::new();
    OrderedWork::new("slaf-counts", threads.min(inputs.len()))
        // All of them are kept, whether taken or not.
        .window(usize::MAX)
        .run(
            (0..inputs.len()).map(Ok),
            |number| read_again(inputs, plan, genes, number, of_cell),
            |mut cells| {
                all.append(&mut cells);
                Ok::<(), IngestError>(())
            },
        )?;
    Ok(all)
}

/// Reads an input; once more where it turns out not to lie in the order of its cells.
fn read_again<T>(
    inputs: &Inputs,
    plan: &Plan,
    genes: &DatasetGenes<'_>,
    number: usize,
    of_cell: &OfCell<'_, T>,
) -> Result<Vec<T>, IngestError> {
    match read(inputs, plan, genes, number, of_cell) {
        Err(IngestError::Source(SourceError::OrderLost { .. })) => {
            inputs.assume_unsorted(number);
            // Turned once, it must stay so.
            inputs.keep(number)?;
            read(inputs, plan, genes, number, of_cell)
        }
        other => other,
    }
}

fn read<T>(
    inputs: &Inputs,
    plan: &Plan,
    genes: &DatasetGenes<'_>,
    number: usize,
    of_cell: &OfCell<'_, T>,
) -> Result<Vec<T>, IngestError> {
    let source = inputs.get(number)?;
    let (input, description) = (&plan.inputs[number], source.description());
    let map = genes.map(plan, number)?;
    let spec = CooSpec {
        path: input.path.clone(),
        matrix: input.main.object.clone(),
        first_cell: 0,
        genes: description.n_vars,
        columns: &map,
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
    let mut all = Vec::new();
    for chunk in matrix.chunks(0..description.n_obs, budget)? {
        let chunk = chunk?.read()?;
        // Names do not matter.
        let names = vec![IdHash::of(""); chunk.indptr.len() - 1];
        let batch = CooBatch::new(&chunk, &names, &spec)?;
        let first = input.cells.start + chunk.rows.start;
        let mut row = 0;
        for ((cell, &hash), &count) in (first..).zip(&batch.contents).zip(&batch.counts) {
            let rows = row..row + count as usize;
            row = rows.end;
            if hash != NO_CONTENTS {
                all.push(of_cell(cell as u32, hash, &batch, rows));
            }
        }
    }
    Ok(all)
}
