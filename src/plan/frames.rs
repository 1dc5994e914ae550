//! Shards that describe cells and genes, and what else inputs say.

use serde::{Deserialize, Serialize};

use super::{Join, Plan, PlannedEmbedding, ShardPart, ShardTable};

/// What is written of inputs besides their matrices. Any worker may write it, at any time; cells tell
/// where their rows of the expression table begin, so that theirs come to an end only when these rows
/// are counted: when the shards that [`Plan::counted_before`] names are done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FrameShard {
    /// What is written.
    pub table: FrameTable,
    /// Ranges of rows of cells or genes, in the order of the dataset; none for notes, which are of all
    /// inputs.
    pub parts: Vec<ShardPart>,
}

/// What a frame shard is written of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrameTable {
    /// The genes that are in no input before, and their embeddings.
    Genes,
    /// Cells and their embeddings.
    Cells,
    /// What is no table: the categories of columns, and what is unstructured.
    Notes,
}

impl FrameShard {
    /// The names of the files that the shard of this number has in the job's folder, in order: the
    /// hashes of identifiers of cells; categories, and what is unstructured if there is anything.
    pub(crate) fn files(&self, number: usize, uns: bool) -> Vec<String> {
        match self.table {
            FrameTable::Genes => Vec::new(),
            FrameTable::Cells => vec![format!("cells-{number}.u64")],
            FrameTable::Notes => {
                let uns = Some(UNS_FILE.to_string()).filter(|_| uns);
                [CATEGORIES_FILE.to_string()]
                    .into_iter()
                    .chain(uns)
                    .collect()
            }
        }
    }
}

/// The names of the files of notes.
pub(crate) const CATEGORIES_FILE: &str = "categories.json";
pub(crate) const UNS_FILE: &str = "uns.json";

/// Bytes of a shard of cells, about: large enough for few fragments, and small enough for all threads
/// to be busy to the end.
const SHARD_BYTES: u64 = 64 << 20;

/// Bytes of a row beside its columns, about: identifiers, and the name of its source.
const ROW_BYTES: u64 = 48;

/// However large the rows, shards of cells are not smaller, nor are there many more than this.
const FEWEST_CELLS: u64 = 4096;
const MOST_SHARDS: u64 = 1024;

impl Plan {
    /// The inputs whose genes may be new to the dataset: all with an outer join, else the first of a new
    /// dataset.
    pub fn inputs_with_new_genes(&self) -> std::ops::Range<usize> {
        match self.gene_plan.join {
            Join::Outer => 0..self.inputs.len(),
            Join::Exact | Join::Inner if self.base.is_some() => 0..0,
            Join::Exact | Join::Inner => 0..self.inputs.len().min(1),
        }
    }

    /// All frame shards of the inputs, of which each has so many genes.
    pub(super) fn frame_shards(&self, genes: &[u64]) -> Vec<FrameShard> {
        if self.inputs.is_empty() {
            return Vec::new();
        }
        let mut shards = Vec::new();
        let parts: Vec<ShardPart> = self
            .inputs_with_new_genes()
            .map(|input| ShardPart {
                input,
                rows: 0..genes.get(input).copied().unwrap_or(0),
            })
            .collect();
        if !parts.is_empty() {
            let table = FrameTable::Genes;
            shards.push(FrameShard { table, parts });
        }
        shards.push(FrameShard {
            table: FrameTable::Notes,
            parts: Vec::new(),
        });
        shards.extend(self.cell_shards());
        shards
    }

    fn cell_shards(&self) -> Vec<FrameShard> {
        let values = row_width(self.obs.len(), &self.obsm) as u64;
        let bytes = ROW_BYTES.saturating_add(values.saturating_mul(8));
        let cells = self
            .inputs
            .iter()
            .map(|input| input.cells.end - input.cells.start);
        let cells: u64 = cells.sum();
        let most = (SHARD_BYTES / bytes).max(FEWEST_CELLS);
        // Of as few rows as a user wants fragments to have.
        let most = most.min(self.fragment_rows).max(cells / MOST_SHARDS).max(1);
        // Of about equal length.
        let each = cells.div_ceil(cells.div_ceil(most).max(1)).max(1);
        let mut shards = Vec::new();
        let (mut parts, mut room) = (Vec::new(), each);
        let table = FrameTable::Cells;
        for (number, input) in self.inputs.iter().enumerate() {
            let mut rows = 0..input.cells.end - input.cells.start;
            while !rows.is_empty() {
                let taken = room.min(rows.end - rows.start);
                parts.push(ShardPart {
                    input: number,
                    rows: rows.start..rows.start + taken,
                });
                (rows.start, room) = (rows.start + taken, room - taken);
                if room == 0 {
                    let parts = std::mem::take(&mut parts);
                    shards.push(FrameShard { table, parts });
                    room = each;
                }
            }
        }
        if !parts.is_empty() {
            shards.push(FrameShard { table, parts });
        }
        shards
    }

    /// Shards in all. Those of matrices come first.
    pub fn all_shards(&self) -> usize {
        self.shards.len() + self.frames.len()
    }

    /// The frame shard of this number among all shards.
    pub fn frame(&self, number: usize) -> Option<&FrameShard> {
        self.frames.get(number.checked_sub(self.shards.len())?)
    }

    /// The cells of the dataset of which some rows of inputs are.
    pub fn cells_of(&self, parts: &[ShardPart]) -> std::ops::Range<u64> {
        let cell = |part: &ShardPart, row: u64| self.inputs[part.input].cells.start + row;
        match (parts.first(), parts.last()) {
            (Some(first), Some(last)) => cell(first, first.rows.start)..cell(last, last.rows.end),
            _ => 0..0,
        }
    }

    /// The shards of the expression table that have rows of cells before this one, in order.
    pub fn counted_before(&self, end: u64) -> impl Iterator<Item = usize> + '_ {
        let shards = self.shards.iter().enumerate();
        shards
            .filter(|(_, shard)| shard.table == ShardTable::Expression)
            .filter(move |(_, shard)| self.cells_of(&shard.parts).start < end)
            .map(|(number, _)| number)
    }
}

/// Values in a row of a table that describes cells or genes.
pub(crate) fn row_width(columns: usize, embeddings: &[PlannedEmbedding]) -> usize {
    let numbers: u64 = embeddings.iter().map(|embedding| embedding.width).sum();
    columns.saturating_add(usize::try_from(numbers).unwrap_or(usize::MAX))
}
