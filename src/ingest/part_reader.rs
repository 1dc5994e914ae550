//! Reads a part of a shard: rows of the matrices of one input, as rows of the table.

use std::borrow::Cow;

use super::IngestError;
use super::shards::ShardRun;
use crate::chunk::{
    ColumnHashes, CooBatch, CooSpec, EntryBatch, GeneIdentity, IdHash, LayersBatch,
};
use crate::plan::{Plan, PlannedInput, ShardPart, ShardTable};
use crate::source::blocks::RowBlocks;
use crate::source::{CellSource, ChunkBudget, Reindex, RowRangeChunks, SourceError, row_ranges};
use crate::table::TableError;

/// A part of a shard that is being written.
pub(super) struct PartReader<'a> {
    run: &'a ShardRun<'a>,
    plan: &'a Plan,
    part: &'a ShardPart,
    table: ShardTable,
    source: &'a dyn CellSource,
    columns: MatrixColumns<'a>,
    /// Hashes of this input's cells, if they are the columns of the matrices.
    cells: Vec<IdHash>,
}

/// Where the rows and columns of a matrix of an input lie in the table.
struct MatrixColumns<'a> {
    /// Number of the first row of the input.
    first_row: u64,
    /// Columns of the matrix.
    own: u64,
    /// Columns of the table.
    all: u64,
    map: Cow<'a, Reindex>,
    identities: Option<&'a [GeneIdentity]>,
}

impl<'a> MatrixColumns<'a> {
    fn of(
        run: &'a ShardRun<'a>,
        plan: &Plan,
        input: &PlannedInput,
        table: ShardTable,
        source: &dyn CellSource,
        genes: &'a Reindex,
    ) -> Self {
        let description = source.description();
        let first_cell = input.cells.start;
        match table {
            ShardTable::Expression | ShardTable::Layers => MatrixColumns {
                first_row: first_cell,
                own: description.n_vars,
                all: plan.genes,
                map: Cow::Borrowed(genes),
                identities: Some(&run.genes.identities[..])
                    .filter(|_| table == ShardTable::Expression),
            },
            ShardTable::Obsp => MatrixColumns {
                first_row: first_cell,
                own: description.n_obs,
                all: plan.cells,
                map: Cow::Owned(match first_cell {
                    0 => Reindex::Identity,
                    // The plan has checked that cell numbers fit 32 bits.
                    first => Reindex::Shifted {
                        by: first as u32,
                        columns: description.n_obs,
                    },
                }),
                identities: None,
            },
            ShardTable::Varp => MatrixColumns {
                first_row: 0,
                own: plan.genes,
                all: plan.genes,
                map: Cow::Owned(Reindex::Identity),
                identities: None,
            },
        }
    }
}

impl<'a> PartReader<'a> {
    /// Creates a reader of rows of an input, whose genes are these of the dataset.
    pub fn of(
        run: &'a ShardRun<'a>,
        plan: &'a Plan,
        part: &'a ShardPart,
        table: ShardTable,
        source: &'a dyn CellSource,
        genes: &'a Reindex,
    ) -> Result<Self, IngestError> {
        let mut cells = Vec::new();
        if table == ShardTable::Obsp {
            let mut blocks = RowBlocks::new(0..source.description().n_obs, 1);
            while let Some(rows) = blocks.next() {
                let ids = source.obs_names(rows)?;
                blocks.held(ids.values().len() as u64);
                cells.extend(IdHash::of_all(&ids));
            }
        }
        let input = &plan.inputs[part.input];
        Ok(PartReader {
            run,
            plan,
            part,
            table,
            source,
            columns: MatrixColumns::of(run, plan, input, table, source, genes),
            cells,
        })
    }

    fn input(&self) -> &'a PlannedInput {
        &self.plan.inputs[self.part.input]
    }

    /// The rows of the part, in ranges within the budget.
    pub fn ranges(
        &self,
        budget: ChunkBudget,
    ) -> Result<
        impl Iterator<Item = Result<RowRangeChunks<'a>, SourceError>> + Send + use<'a>,
        SourceError,
    > {
        let matrices = self.input().matrices(self.table);
        row_ranges(self.source, matrices, self.part.rows.clone(), budget)
    }

    /// Reads and narrows the rows of a range.
    pub fn read(&self, range: RowRangeChunks<'_>) -> Result<EntryBatch, IngestError> {
        let PartReader {
            plan,
            table,
            columns,
            ..
        } = self;
        let (input, table) = (self.input(), *table);
        let matrices = input.matrices(table);
        let ids = match table {
            ShardTable::Varp => self.source.var_names(range.rows.clone())?,
            _ => self.source.obs_names(range.rows.clone())?,
        };
        let row_hashes = IdHash::of_all(&ids);
        let column_hashes = match table {
            // By the cells' numbers in the dataset, of which only this input's are needed.
            ShardTable::Obsp => ColumnHashes {
                first: input.cells.start as u32,
                own: &self.cells,
            },
            _ => ColumnHashes::from(&self.run.genes.hashes),
        };
        let [cell_type, gene_type] = plan.id_types(table);
        let values = plan.values(table);
        let mut batches = Vec::with_capacity(matrices.len());
        for ((matrix, value), chunks) in matrices.iter().zip(&values).zip(range.matrices) {
            let spec = CooSpec {
                path: input.path.clone(),
                matrix: matrix.object.clone(),
                first_cell: columns.first_row,
                genes: columns.own,
                columns: &columns.map,
                dataset_genes: columns.all,
                cell_type,
                gene_type,
                value_type: value.value_type,
                gene_hashes: column_hashes,
                identities: columns.identities,
            };
            let mut parts = Vec::with_capacity(chunks.len());
            for chunk in chunks {
                let chunk = chunk.read()?;
                let first = (chunk.rows.start - range.rows.start) as usize;
                let hashes = &row_hashes[first..first + chunk.indptr.len() - 1];
                parts.push(CooBatch::new(&chunk, hashes, &spec)?);
            }
            batches.push(parts);
        }
        if let [parts] = &mut batches[..]
            && parts.len() == 1
        {
            return Ok(EntryBatch::One(Box::new(parts.remove(0))));
        }
        let types: Vec<_> = values.iter().map(|value| value.value_type).collect();
        let united = LayersBatch::unite(batches, gene_type, cell_type, &types);
        Ok(EntryBatch::Several(united.map_err(|source| {
            TableError::Arrow {
                path: self.run.target.table(table.into()).path().to_path_buf(),
                source,
            }
        })?))
    }
}
